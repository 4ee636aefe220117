"""The card of a run tells what a person who answers for it must be able to show, and speaks of nobody."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from lxml import html
from report_frames import RUN, small

from features.tables import CONTRACTS
from needs.home import Home
from needs.run.about_run import leave_facts, read_facts
from needs.show.card import FIXED, SOURCE, STEPS, Facts, write_card
from needs.show.messages import LANGUAGES, messages, say

HEX = re.compile(r"[0-9a-f]{64}")


def facts() -> Facts:
    """Facts of a run that had offers, and no catalogue; the forecast loses a year ahead."""
    sources = pd.DataFrame(
        [("offers", 5059, f"{RUN.as_of:%Y-%m-%d}", "ab" * 32), ("catalogue", 0, "", "cd" * 32)], columns=SOURCE
    )
    spans = {f"wape_{steps}": error for steps, error in zip(STEPS, (0.1, 0.2, 0.4), strict=True)}
    ours = {"grain": "bassin", "origin": "2025-03", "model": "need_forecaster", "wape": 0.25, "pit_coverage": 0.81, **spans}
    naive = ours | {"model": "seasonal_naive", "wape": 0.3, **dict.fromkeys(spans, 0.3)}
    return Facts(sources, pd.DataFrame([ours, naive]), "2026-03-01")


def page_of(tmp_path, language="fr", told=None):
    return write_card(tmp_path / "card.html", RUN, small(), told or facts(), language).read_text(encoding="utf-8")


def table(page, name):
    rows = html.document_fromstring(page).xpath(f"//table[@aria-labelledby='{name}']/tbody/tr")
    return [[cell.text_content() for cell in row] for row in rows]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_card_stands_alone_and_has_every_part_in_order(tmp_path, language):
    page = page_of(tmp_path, language)
    document = html.document_fromstring(page)
    assert document.get("lang") == language
    assert document.xpath("//main/section/h2/@id") == [
        "purposes", "data", "models", "errors", "grades", "equity", "limits", "oversight", "act", "gdpr",
    ]  # fmt: skip
    assert all(link.startswith("#") for link in document.xpath("//@href | //@src"))
    assert not document.xpath("//script | //link | //img")
    text = document.text_content()
    for section in FIXED:
        assert say(f"card_{section}_1", language) in text
    for name in ("run_id", "code_version", "params_sha256", "data_sha256"):
        assert getattr(RUN, name) in text, "the whole print, that it may be compared"


def test_no_line_of_a_section_is_skipped():
    for section in FIXED:
        numbers = sorted(int(code.rsplit("_", 1)[1]) for code in messages() if re.fullmatch(f"card_{section}_[0-9]+", code))
        assert numbers == list(range(1, len(numbers) + 1))


def test_it_tells_ages_prints_and_what_is_absent(tmp_path):
    page = page_of(tmp_path)
    ((source, rows, _, age, mark),) = table(page, "data")
    assert (source, re.sub(r"\D", "", rows), age, mark) == ("offres d'emploi", "5059", "0", "ab" * 6)
    assert "catalogue des formations" in html.document_fromstring(page).text_content()


def test_errors_stand_beside_the_naive_ones_by_horizon_losses_included(tmp_path):
    told = table(page_of(tmp_path, "en"), "errors")
    assert [row[1] for row in told] == ["months 1 to 12", "months 1 to 3", "months 4 to 6", "months 7 to 12"]
    assert [row[2] for row in told] == ["25%", "10%", "20%", "40%"]
    assert [row[4] for row in told] == ["no more error", "no more error", "no more error", "more error"]
    assert told[0][5] == "81%"


def test_a_run_of_which_nothing_was_left_has_a_card_all_the_same(tmp_path):
    nothing = read_facts(tmp_path, "20260331-aaaaaaaaaaaa")
    assert table(page_of(tmp_path, told=nothing), "errors") == []


def test_facts_come_back_as_they_were_left_and_go_with_their_run(tmp_path):
    for run in ("one", "two", "three"):
        leave_facts(tmp_path, run, facts(), kept=["two"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["three.json", "two.json"]
    back = read_facts(tmp_path, "three")
    pd.testing.assert_frame_equal(back.sources, facts().sources)
    pd.testing.assert_frame_equal(back.judged, facts().judged)
    assert back.learned_at == "2026-03-01"


def test_a_night_leaves_the_card_of_its_run_and_no_person_in_it(ran: Home) -> None:
    (card,) = ran.reports.glob("*/card.html")
    (left,) = ran.history.glob("*.json")
    assert card.parent.name == left.stem
    sources = {row["source"]: row for row in json.loads(left.read_text(encoding="utf-8"))["sources"]}
    assert set(sources) == {contract.name for contract in CONTRACTS}
    assert all(HEX.fullmatch(row["sha256"]) for row in sources.values())
    assert sources["offers"]["newest"] == "2026-03-31"
    page = card.read_text(encoding="utf-8")
    assert {len(table(page, "errors"))} == {8}
    assert not re.search(r"\b[0-9a-f]{32}\b", page), "a pseudonym"

"""Laws of the report: it stands alone, tells what is published, is small, and everybody can read it."""

from __future__ import annotations

import csv
import html as plain_html
import io
import json
import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from lxml import html
from report_frames import HOSTILE, RUN, history, region, small

from features import facts
from features.sources.ours import read_table
from features.tables import SIGNALS
from models.pathways import ARROW
from needs.show.card import SOURCE, Facts, write_card
from needs.show.dossiers import FOLDER, write_dossiers
from needs.show.figures import euros
from needs.show.messages import LANGUAGES, say
from needs.show.report import write_report
from needs.show.report_map import draw_map
from needs.show.report_pages import cells_of, ranks_of
from needs.show.report_parts import absent_sources, narrowing_of, pathways_of
from needs.store.schema import TABLES, conform, empty

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 10_000_000
CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


def find_axe() -> Path | None:
    """Find axe-core: where NEEDS_AXE says, else among the packages of the folder or of the machine."""
    folders = [ROOT / "node_modules"]
    if npm := shutil.which("npm"):
        told = subprocess.run([npm, "root", "-g"], capture_output=True, encoding="utf-8", check=False).stdout.strip()
        folders += [Path(told)] if told else []
    named = os.environ.get("NEEDS_AXE")
    places = [Path(named)] if named else [folder / "axe-core" / "axe.min.js" for folder in folders]
    return next((path for path in places if path.is_file()), None)


AXE = find_axe()
NO_FACTS = Facts(pd.DataFrame(columns=list(SOURCE)), pd.DataFrame(), "")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
needs_axe = pytest.mark.skipif(AXE is None, reason="no axe-core on this machine: npm install axe-core")


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    return small()


def page_of(tables, tmp_path, language="fr", **more):
    return write_report(tmp_path / "index.html", RUN, tables, language, **more).read_text(encoding="utf-8")


def pages_in(page):
    (text,) = html.document_fromstring(page).xpath("//script[@id='pages']/text()")
    return json.loads(text)


def columns(pages, name):
    return pd.DataFrame(pages[name])


# What it is -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_report_stands_alone(tables, tmp_path, language):
    page = page_of(tables, tmp_path, language, history=history(tables), changed=["rien"])
    document = html.document_fromstring(page)
    assert document.get("lang") == language
    assert all(link.startswith("#") for link in document.xpath("//@href | //@src | //@action"))
    assert not document.xpath("//link | //iframe | //img | //object | //script[@src]")
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    (policy,) = document.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy.startswith("default-src 'none'")


def test_every_part_of_the_report_is_there_in_its_order(tables, tmp_path):
    document = html.document_fromstring(page_of(tables, tmp_path, changed=["une ligne de changement"]))
    parts = ["overview", "plan", "pages", "needs", "people", "lessons", "quality", "assumptions"]
    assert document.xpath("//main/section/@id") == [f"{part}-section" for part in parts]
    assert document.xpath("//nav//a/@href") == [f"#{part}-section" for part in parts]
    levels = [int(heading.tag[1]) for heading in document.xpath("//h1 | //h2 | //h3 | //h4")]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    identifiers = document.xpath("//@id")
    assert len(identifiers) == len(set(identifiers))
    assert set(document.xpath("//@aria-labelledby")) <= set(identifiers)
    assert "une ligne de changement" in document.text_content()


def test_the_same_tables_make_the_same_bytes_whatever_the_order_of_rows(tables, tmp_path):
    past = history(tables)
    first = page_of(tables, tmp_path, history=past)
    shuffled = {name: frame.sample(frac=1, random_state=5) for name, frame in tables.items()}
    assert page_of(shuffled, tmp_path, history=past.sample(frac=1, random_state=5)) == first


def test_no_text_of_the_data_becomes_markup(tables, tmp_path):
    tables["lots"] = tables["lots"].assign(envelope=HOSTILE)
    page = page_of(tables, tmp_path)
    assert HOSTILE not in page
    assert set(columns(pages_in(page), "lots")["envelope"]) == {HOSTILE}
    for path in write_dossiers(tmp_path / FOLDER, RUN, tables, "fr"):
        assert HOSTILE not in path.read_text(encoding="utf-8")


def test_an_empty_run_still_has_a_report_and_dossiers(tmp_path):
    nothing = {name: empty(name) for name in TABLES}
    pages = pages_in(page_of(nothing, tmp_path))
    assert pages["territories"] == []
    assert len(write_dossiers(tmp_path / FOLDER, RUN, nothing, "en")) == facts.maisons()["maison"].nunique() + 1


# What it tells --------------------------------------------------------------------------------------------------------------


def test_the_figures_of_a_page_are_those_published(tables, tmp_path):
    pages = pages_in(page_of(tables, tmp_path, history=history(tables)))
    codes = [row[0] for row in pages["territories"]]
    cells = columns(pages, "cells")
    needs = conform("sector_needs", tables["sector_needs"]).groupby("territory")["need"].sum()
    shown = cells.groupby("t")["need"].sum().rename(index=dict(enumerate(codes)))
    pd.testing.assert_series_equal(shown.sort_index(), needs, check_names=False, rtol=0.01)
    lots = columns(pages, "lots")
    assert lots["cents"].sum() == tables["lots"]["cost_cents"].sum()
    assert lots["places"].sum() == tables["lots"]["places"].sum()
    assert sorted(lots["lot_id"]) == sorted(tables["lots"]["lot_id"])
    ranks = columns(pages, "ranks")
    assert len(ranks) == len(tables["rankings"])
    best = ranks[ranks["rank"] == 1].iloc[0]
    asked = tables["rankings"]
    row = asked[(asked["territory"] == codes[int(best["t"])]) & (asked["rank"] == 1)].iloc[0]
    assert best["value"] == pytest.approx(row["value"], rel=0.005)
    assert best["stability"] == pytest.approx(row["stability"], rel=0.005)


def test_cells_add_up_and_their_intervals_hold_them(tables):
    shown = {name: conform(name, frame) for name, frame in tables.items()}
    cells = cells_of(shown, "fr")
    assert (cells["gap"] - (cells["need"] - cells["supply"] - cells["under_way"])).abs().max() < 1e-6
    assert (cells["need_low"] <= cells["need"]).all()
    assert (cells["need"] <= cells["need_high"]).all()
    assert (cells["gap_low"] <= cells["gap"]).all()


def test_an_option_that_is_not_bought_says_why(tables):
    ranks = ranks_of({name: conform(name, frame) for name, frame in tables.items()}, "fr")
    assert ranks["places"].sum() == tables["lots"]["places"].sum()
    left = ranks[ranks["places"] == 0]
    assert (left["why"] != "").all()
    assert (ranks["caveats"] != "").all()


def test_rates_say_of_how_many_people_and_of_where(tables):
    ranks = ranks_of({name: conform(name, frame) for name, frame in tables.items()}, "fr")
    told = ranks[ranks["rate"].notna()]
    assert set(told["of_region"]) == {0, 1}
    assert told["rate_n"].notna().all()
    assert ranks["raw"].notna().any()


def test_the_past_comes_before_what_is_forecast(tables, tmp_path):
    pages = pages_in(page_of(tables, tmp_path, history=history(tables)))
    assert max(pages["past"]) < min(pages["months"])
    assert {len(line) for line in pages["cells"]["behind"] if line} == {len(pages["past"])}
    assert {len(line) for line in pages["cells"]["ahead"] if line} == {len(pages["months"])}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_missing_file_is_named_and_its_share_is_between_none_and_all(tables, language):
    tables["digest"] = tables["digest"].assign(message=say("digest.sources.missing", language, source="bmo"), topic="sources")
    shown = {name: conform(name, frame) for name, frame in tables.items()}
    assert absent_sources(shown["digest"]) == ["bmo"]
    found = narrowing_of(shown)
    assert {one.source: one.there for one in found}["bmo"] is False
    assert all(0 <= one.share <= 1 for one in found)


def test_more_doubts_never_lower_the_share_of_a_file(tables):
    shown = {name: conform(name, frame) for name, frame in tables.items()}
    before = {one.source: one.share for one in narrowing_of(shown)}
    doubted = shown["rankings"].assign(
        caveats='[["few_observations", 1.0], ["borrowed_effect", 1.0], ["sources_disagree", 1.0]]'
    )
    after = {one.source: one.share for one in narrowing_of({**shown, "rankings": doubted})}
    assert all(after[source] >= share for source, share in before.items())


def test_the_map_holds_every_commune_once():
    drawing = draw_map({"BE4441": 9.0, "BE4446": 1.0})
    assert sum(bassin.path.count("h0") for bassin in drawing.bassins) == len(facts.communes())
    shades = {bassin.territory: bassin.shade for bassin in drawing.bassins}
    assert shades["BE4441"] > shades["BE4446"] > shades["BE4402"] == 0


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_classes_of_the_map_darken_one_after_the_other_and_texts_can_be_read():
    style = (ROOT / "needs/show/report.css").read_text(encoding="utf-8")
    shades = [luminance(re.search(rf"\.shade{place} {{ stroke: (#\w{{6}})", style)[1]) for place in range(1, 6)]
    assert all(after < before * 0.8 for before, after in pairwise(shades))
    names = dict(re.findall(r"--(\w+): (#\w{6})", style))
    for name in ("ink", "quiet", "blue", "amber", "link"):
        assert (luminance(names["wash"]) + 0.05) / (luminance(names[name]) + 0.05) >= 4.5, name


# How large it is ------------------------------------------------------------------------------------------------------------


def test_the_report_of_a_whole_region_can_be_mailed(tmp_path):
    tables = region()
    assert tables["rankings"]["territory"].nunique() == 43
    page = page_of(tables, tmp_path, history=history(tables))
    assert len(columns(pages_in(page), "cells")) == 43 * 65
    assert len(page.encode()) < LARGEST


# Dossiers -------------------------------------------------------------------------------------------------------------------


def test_there_is_a_dossier_per_maison_and_one_for_the_committee(tables, tmp_path):
    written = write_dossiers(tmp_path, RUN, tables, "fr")
    assert [path.stem for path in written] == [*sorted(facts.maisons()["maison"].unique()), "comite"]
    told = "".join(html.document_fromstring(path.read_text(encoding="utf-8")).text_content() for path in written[:-1])
    for amount in tables["lots"].groupby("lot_id")["cost_cents"].sum():
        assert euros(round(amount / 100) * 100, "fr") in told


def test_questions_ask_with_the_columns_of_signals(tables, tmp_path):
    page = html.document_fromstring(write_dossiers(tmp_path, RUN, tables, "fr")[-1].read_text(encoding="utf-8"))
    (headers,) = page.xpath("//form/@data-headers")
    assert headers.split(";") == [column.header or column.name for column in SIGNALS.columns]
    assert set(page.xpath("//tr/@data-nomenclature")) == {"SECTEUR", "FORMACODE"}


# In a browser ---------------------------------------------------------------------------------------------------------------


def opened(path, script, where="", size="1200,900"):
    """Open a page in Chromium, run a script in it that leaves its answer, and read the answer."""
    page = path.read_text(encoding="utf-8")
    copy = path.parent / f"opened-{path.name}"
    page = page.replace(
        "style-src 'unsafe-inline'\">", "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
    )  # of the card
    copy.write_text(page.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    command += [f"--user-data-dir={path.parent / 'profile'}", "--virtual-time-budget=30000", f"--window-size={size}"]
    done = subprocess.run(
        [*command, "--dump-dom", f"{copy.as_uri()}{where}"], capture_output=True, encoding="utf-8", check=True, timeout=120
    )
    found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, "the page left no answer"
    return json.loads(plain_html.unescape(found[1]))


ANSWER = """const answer = (told) => { const left = document.createElement("pre"); left.id = "answer";
left.textContent = JSON.stringify(told); document.body.append(left); };"""
JUDGE = """addEventListener("load", () => setTimeout(() => axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa",
"wcag22aa", "best-practice"] }).then((told) =>
answer(told.violations.map((one) => [one.id, one.nodes.map((node) => node.html)]))), 100));"""


@pytest.mark.long
@needs_browser
@needs_axe
@pytest.mark.parametrize("size", ["1200,900", "500,900"])
@pytest.mark.parametrize("shown", ["#t-{territory}", "#s-{sector}", "dossier", "card"])
def test_axe_finds_no_fault(tables, tmp_path, shown, size):
    lot = tables["lots"].iloc[0]
    page_of(tables, tmp_path, history=history(tables), changed=["rien"])
    path, where = tmp_path / "index.html", shown.format(territory=lot["territory"], sector=lot["sector"])
    if shown == "dossier":
        path, where = write_dossiers(tmp_path, RUN, tables, "fr")[-1], ""
    if shown == "card":
        path, where = write_card(tmp_path / "card.html", RUN, tables, NO_FACTS, "fr"), ""
    axe = AXE.read_text(encoding="utf-8").replace("</script", "<\\/script")
    assert opened(path, f"{axe};{ANSWER}{JUDGE}", where, size) == []


@needs_browser
def test_a_page_follows_its_address_and_tables_sort_and_filter(tables, tmp_path):
    page_of(tables, tmp_path, history=history(tables))
    lot = tables["lots"].iloc[0]
    script = """addEventListener("load", () => setTimeout(() => {
    const title = document.querySelector("#sheet-title").textContent;
    const money = () => [...document.querySelectorAll("#all-lots tbody tr")].map((row) => row.children[5].textContent);
    const button = document.querySelectorAll("#all-lots thead button")[5];
    button.click();
    const sorted = [money(), button.parentElement.getAttribute("aria-sort")];
    const field = document.querySelector("#lots-filter");
    field.value = "LOT_ID"; field.dispatchEvent(new Event("input"));
    const search = document.querySelector("#search");
    search.value = "strasb"; search.dispatchEvent(new Event("input"));
    answer([title, sorted, money().length, [...document.querySelectorAll("#found a")].map((one) => one.hash)]);
    }, 100));""".replace("LOT_ID", lot["lot_id"])
    title, (money, told), kept, hits = opened(tmp_path / "index.html", ANSWER + script, f"#t-{lot['territory']}")
    assert lot["territory"] in title
    amounts = [int(re.sub(r"\D", "", text)) for text in money]
    assert amounts == sorted(amounts, reverse=True)
    assert told == "descending"
    assert kept == 1
    assert "#t-BE4441" in hits


@needs_browser
def test_answers_come_back_as_signals(tables, tmp_path):
    path = write_dossiers(tmp_path, RUN, tables, "fr")[-1]
    script = """addEventListener("load", () => setTimeout(() => {
    HTMLAnchorElement.prototype.click = () => {};  // a browser without a screen would wait for the download
    const form = document.getElementById("answers"), rows = [...form.querySelectorAll("tbody tr")];
    document.getElementById("day").value = "2026-05-04";
    const fill = (row, values) => Object.entries(values).forEach(([name, value]) => {
      row.querySelector('[data-field="' + name + '"]').value = value; });
    fill(rows[0], { sens: "2", places: "12", comment: 'deux; "trois"' });
    fill(rows[rows.length - 1], { sens: "-1", code: "j1501" });
    form.requestSubmit();
    answer(form.dataset.last);
    }, 100));"""
    text = opened(path, ANSWER + script)
    read = list(csv.DictReader(io.StringIO(text), delimiter=";"))
    assert [row["sens"] for row in read] == ["2", "-1"]
    assert read[0]["commentaire"] == 'deux; "trois"'
    assert read[1]["code"] == "J1501"
    (tmp_path / "signals.csv").write_text(text, encoding="utf-8")
    checked = read_table([tmp_path / "signals.csv"], SIGNALS)
    assert checked.rejected.empty
    assert checked.kept.sort_values("direction")["direction"].tolist() == [-1, 2]
    assert set(checked.kept["territory_kind"]) == {"BE", "R"}


def test_who_is_proposed_more_than_one_course_is_counted_once_at_the_first_rank() -> None:
    rows = [(rank, pathway) for rank in (1, 2) for pathway in ["S1", ARROW.join(["S1", "S2"])] * 6]
    told = pathways_of(pd.DataFrame(rows, columns=["rank", "pathway"]))
    assert told == {"proposed": 12, "several": 6}
    assert pathways_of(pd.DataFrame(rows[:4], columns=["rank", "pathway"])) == {}

"""Laws of what planners read: words, figures, the workbook, the CSV files and the page."""

import json
import re
import string
from functools import cache
from itertools import pairwise

import numpy as np
import openpyxl
import pandas as pd
import plan_frames
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree, html
from report_frames import RUN, estimate

from features import facts
from features.contracts import ESTIMATE
from features.vocabulary import ACTION_TYPES, PUBLICS, months_from
from models.lessons import STEPS as STEPS_TAUGHT
from models.misses import LIFTED, NOTHING, SEATS
from models.seat_costs import STEPS
from models.sight import BARRIERS
from needs.show.figures import count, euros, percent, safe_cell
from needs.show.lot_sheets import complete_lots, lots_sheet
from needs.show.messages import LANGUAGES, messages, say, tell
from needs.show.report import write_report
from needs.show.sheets import rankings_sheet, sector_needs_sheet
from needs.show.summary import gather_rest, needs_by_territory, spending_by, totals_of
from needs.show.workbook import write_exports
from needs.store.schema import TABLES, conform, empty

EXERCISE = 2027


def forecasts(draw, bassins, occupations, months):
    grid = pd.MultiIndex.from_product([bassins, occupations, months_from("2026-04", months)])
    rows = grid.to_frame(index=False, name=["territory", "occupation", "period"])
    season = 1 + 0.4 * np.sin(rows["period"].str[5:].astype(int) * np.pi / 6)
    rows = rows.assign(**estimate(draw, len(rows), 3.0))
    need = rows["value"] * 1.8 * season
    rows = rows.assign(
        coverage=0.55, coverage_low=0.45, coverage_high=0.65, need=need, need_low=need * 0.6, need_high=need * 1.5
    )
    return rows.assign(seasonal=0.4, seasonal_low=0.0, seasonal_high=1.0)


def lots(draw, bassins, size, prefix, reasons):
    codes = facts.formacodes()["formacode"].sample(size, random_state=7).to_numpy()
    sessions, group = draw.integers(1, 5, size), draw.integers(8, 16, size)
    return pd.DataFrame(
        {
            "lot_id": [f"{EXERCISE}-{prefix}{place:05d}" for place in range(size)],
            "envelope": draw.choice(["socle", "additionnel"], size),
            "volet": "socle",
            "exercise": EXERCISE,
            "action_type": draw.choice(ACTION_TYPES, size),
            "sector": [code[:3] for code in codes],
            "formacode": codes,
            "certification": "",
            "entry_level": "",
            "exit_level": draw.choice(["", "3", "4", "5"], size),
            "territory": draw.choice(bassins, size),
            "public": draw.choice(PUBLICS, size),
            "places": sessions * group,
            "places_max": sessions * group,
            "sessions": sessions,
            "group_min": 8,
            "group_max": 16,
            "hours": 420.0,
            "cost_cents": sessions * group * draw.integers(180_000, 520_000, size),
            "allowance_cents": 0,
            "expected_entries": sessions * group * 0.85,
            **estimate(draw, size, 4.0),
            "marginal_worth": 0.21,
            "infructueux_risk": 0.08,
            "reason": draw.choice(reasons, size),
            "tipping_point": draw.integers(1500, 4000, size).astype(float),
            "decided_by": "engine",
        }
    )


def rankings(draw, bassins):
    sectors = facts.sectors()["sector"].head(12)
    grid = pd.MultiIndex.from_product([bassins, sectors, ["certification", "langue"], ["", "4"]])
    rows = grid.to_frame(index=False, name=["territory", "sector", "action_type", "level"])
    rows = rows.assign(
        rank=rows.groupby("territory").cumcount() + 1, **estimate(draw, len(rows), 0.1), cost_per_job_eur=9_000.0
    )
    rows = rows.assign(emerging=0.25, emerging_rank=rows["rank"])
    doubts = [["sources_disagree", 0.7], ["few_observations", 0.5], ["effect_doubtful", 0.4], ["self_employment", 0.3]]
    return rows.assign(reasons=json.dumps([["need_unmet", 0.4], ["cost_low", 0.2]]), caveats=json.dumps(doubts))


def effects(draw):
    grid = pd.MultiIndex.from_product(
        [["", "230"], ["certification", "langue"], ["all", "sex=F"], ["durable", "work"], [6, 12]]
    )
    rows = grid.to_frame(index=False, name=["sector", "action_type", "group", "outcome", "horizon_months"])
    told = (
        "n_effective",
        "overlap",
        "robustness",
        "bound_low",
        "bound_high",
        "applicants",
        "applicants_low",
        "applicants_high",
    )
    numbers = {name: draw.random(len(rows)) for name in (*told, "raw_rate")}
    doubts = ["", "fragile", "designs|fragile", "refused"]
    return rows.assign(**estimate(draw, len(rows), 0.1), **numbers, lowered=np.resize(doubts, len(rows)))


def seat_costs(draw):
    rows = pd.DataFrame({"sector": ["230", "312"], "action_type": ["certification", "langue"], "level": ["4", ""]})
    steps = {f"{step}{unit}": draw.random(2) for step in STEPS for unit in ("", "_eur")}
    return rows.assign(place_eur=3000.0, seat_eur=3000.0, group_paid=[1, 0], **steps)


def course_scores(draw):
    rows = pd.DataFrame({"kind": ["lot", "provider"], "code": ["GE24-0001", "90000001234567"], "action_type": "certification"})
    return rows.assign(
        **estimate(draw, 2, 0.1), raw_rate=0.6, promised=0.05, beyond=0.01, rank=pd.array([None, 1], dtype="Int64")
    )


def lessons(draw):
    rows = pd.DataFrame({"lot": ["GE25-0001", "GE25-0002"], "exercise": 2025, "territory": ["BE4441", "D67"]})
    shares = {f"{step}{end}": draw.random(2) for step in STEPS_TAUGHT for end in ("", "_n", "_predicted")}
    numbers = (
        "bought",
        "places_run",
        "entries",
        "cost_eur",
        "work_6",
        "durable_12",
        "jobs_predicted",
        "jobs",
        "jobs_low",
        "jobs_high",
    )
    apart = {f"{name}_apart": ["above", "as_predicted"] for name in (*STEPS_TAUGHT, "jobs")}
    return rows.assign(
        **shares, **{name: draw.random(2) for name in numbers}, **apart, bids=[0, 3], sessions=2, sessions_run=1, level="4",
        action_type="certification", sector="230", formacode="23035", decided_by=["human", "engine"],
    )  # fmt: skip


def decisions(draw):
    rows = pd.DataFrame(
        {"lot_id": ["2027-BE4441-23035-1a2b3c4d"], "field": ["verrou"], "author": ["A. Martin"], "motive": ["demande"]}
    )
    numbers = ("asked", "sessions", "sessions_free", "jobs", "jobs_free", "entries_obtained", "jobs_obtained")
    return rows.assign(**{name: draw.random(1) for name in numbers})


def policies(draw):
    rows = pd.DataFrame({"policy": ["status_quo", "nothing", "public:rsa", "tree_2", "unrestricted_capped"]})
    numbers = {name: draw.random(len(rows)) for name in ("places", "cost")}
    ends = {f"{name}{end}": draw.random(len(rows)) for name in ("net", "gain") for end in ("", "_low", "_high")}
    rule = [None, None, None, "level <= 3 & not rsa → certification; level > 3 (or unknown) → ", None]
    return rows.assign(**estimate(draw, len(rows), 0.1), **numbers, **ends, rule=pd.array(rule, dtype="str"))


@cache
def published(bassins=5, occupations=6, months=30, size=60):
    """A run such as the nightly job publishes, with real codes and made-up figures."""
    draw = np.random.default_rng(3)
    towns = facts.territories().query("kind == 'BE'")["territory"].head(bassins).tolist()
    jobs = facts.occupations()["occupation"].sample(occupations, random_state=1).tolist()
    needed = forecasts(draw, towns, jobs, months)
    region = needed.groupby(["occupation", "period"], as_index=False)[["value", "need"]].sum().assign(territory="R44")
    sectors = needed[["territory", "period", "value", "low", "high", "need"]].assign(
        sector=needed["occupation"].map(dict(zip(jobs, facts.sectors()["sector"], strict=False))), level="4"
    )
    bought = lots(draw, towns, size, "A", ["best_cost_per_job"])
    left = lots(draw, towns, size, "R", ["envelope_spent", "no_gap_left", "no_whole_session"])
    outcomes = rankings(draw, ["R44", *towns[:2]]).filter(items=["territory", "sector", "action_type", "level", *ESTIMATE])
    return {
        "forecasts": pd.concat([needed, region], ignore_index=True),
        "sector_needs": sectors.assign(supply=2.0, under_way=1.0),
        "outcomes": outcomes.assign(
            value=outcomes["value"].clip(0, 1), public="tout_public", outcome="durable", horizon_months=6
        ),
        "rankings": rankings(draw, towns),
        "effects": effects(draw),
        "seat_costs": seat_costs(draw),
        "course_scores": course_scores(draw),
        "policies": policies(draw),
        "lots": bought,
        "rejected_lots": left,
        "lot_details": plan_frames.lot_details(pd.concat([bought, left], ignore_index=True)),
        "purchase_changes": plan_frames.purchase_changes(bought),
        "plan_equity": plan_frames.plan_equity(towns[0]),
        "assumptions": plan_frames.assumptions(),
        "lessons": lessons(draw),
        "decisions": decisions(draw),
        "recommendations": pd.DataFrame(
            {
                "person": ["p" * 32] * 2,
                "rank": [1, 2],
                "session": ["s1", "s2"],
                "starts": pd.to_datetime(["2026-09-01"] * 2),
                "pathway": ["s1 > s3", "s2"],
            }
        ),
        "unmet": pd.DataFrame(
            {
                "territory": [*towns[:3], towns[0]],
                "sector": ["", "230", "344", "344"],
                "level": ["", "3", "4", ""],
                "people": [120, 45, 31, 12],
                "nearest_miss": ["distance", "no_session", "level", "seats"],
            }
        ),
        "digest": pd.DataFrame(
            {
                "line": [1, 2, 3],
                "severity": ["warning", "warning", "info"],
                "topic": ["sources", "silence", "plan"],
                "message": [
                    say("digest.sources.missing", "fr", source="bmo"),
                    say("digest.silence.effects", "fr"),
                    "<script>alert('x')</script> & co",
                ],
                "figure": [0.0, 0.0, 12.0],
            }
        ),
    }


@pytest.fixture
def tables():
    return dict(published())


# Words -----------------------------------------------------------------------------------------------------------------


def placeholders(text):
    return sorted((name, spec) for _, name, spec, _ in string.Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("code", list(messages()))
def test_every_message_says_the_same_in_both_languages(code):
    french, english = (messages()[code][language] for language in LANGUAGES)
    assert french.strip()
    assert english.strip()
    assert placeholders(french) == placeholders(english)


def test_every_french_double_punctuation_has_its_no_break_space():
    broken = [code for code, texts in messages().items() if re.search(r"[^\s\u00a0\u202f{}\w][:;?!]\s| [;:?!]", texts["fr"])]
    assert broken == []


def test_what_the_vocabulary_names_has_words():
    codes = [f"action_type_{kind}" for kind in ACTION_TYPES] + [f"public_{public}" for public in PUBLICS]
    assert [code for code in [*codes, *BARRIERS, *LIFTED, SEATS, NOTHING] if code not in messages()] == []


def test_unknown_codes_and_missing_values_are_bugs():
    with pytest.raises(KeyError):
        say("no_such_code", "fr")
    with pytest.raises(KeyError):
        say("interval", "fr", low=1.0)


def test_numpy_numbers_are_written_like_any_other():
    assert say("interval", "en", low=np.float64(1.25), high=np.int64(1234)) == "between 1.2 and 1,234.0"


@given(st.lists(st.tuples(st.sampled_from(["cost_low", "need_unmet", "level", "date", "seats"]), st.floats(-1, 1))))
def test_three_reasons_at_most_the_weightiest_first(reasons):
    words = {code: say(code, "en") for code, _ in reasons}
    told = tell(json.dumps(reasons), "en")
    weights = sorted((abs(weight) for _, weight in reasons), reverse=True)[:3]
    assert told.split(", ") == [
        words[code] for code, weight in sorted(reasons, key=lambda reason: -abs(reason[1]))[: len(weights)]
    ] or (not reasons and told == "")


# Figures ---------------------------------------------------------------------------------------------------------------


def cents(text: str, language: str) -> int:
    """Read an amount back as a person would."""
    thousands, decimal = {"fr": ("\u202f", ","), "en": (",", ".")}[language]
    plain = text.replace("€", "").replace("\u00a0", "").replace(thousands, "").strip()
    whole, _, rest = plain.lstrip("−").partition(decimal)
    return (-1 if plain.startswith("−") else 1) * (int(whole) * 100 + int(rest or 0))


@given(st.integers(-(10**14), 10**14), st.sampled_from(LANGUAGES))
def test_money_written_is_money_read(amount, language):
    assert cents(euros(amount, language), language) == amount


@given(st.text())
def test_no_text_becomes_a_formula(text):
    safe = safe_cell(text)
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert safe.removeprefix("'") == text.removeprefix("'")


@given(st.floats(-1e9, 1e9), st.sampled_from(LANGUAGES), st.integers(0, 3))
def test_a_number_never_becomes_minus_zero(value, language, decimals):
    assert not re.fullmatch(r"−0[.,]?0*", count(value, language, decimals))


def test_a_missing_figure_is_a_dash():
    assert {count(float("nan"), "fr"), percent(float("nan"), "en")} == {"–"}


# Workbook and CSV ------------------------------------------------------------------------------------------------------


def test_exports_are_all_there_and_the_same_bytes_whatever_the_row_order(tables, tmp_path):
    shuffled = {name: frame.sample(frac=1, random_state=5) for name, frame in tables.items()}
    first = write_exports(tmp_path / "a", EXERCISE, tables, "fr")
    second = write_exports(tmp_path / "b", EXERCISE, shuffled, "fr")
    names = ["plan_2027.xlsx", "plan_2027.csv", "rankings.csv", "recommendations.parquet", "forecasts.parquet"]
    assert [path.name for path in first] == names
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_the_plan_adds_up_in_the_workbook(tables, tmp_path):
    path = write_exports(tmp_path, EXERCISE, tables, "fr")[0]
    book = openpyxl.load_workbook(path, data_only=True)
    assert book.sheetnames[0] == "À lire d'abord"
    rows = list(book["Lots"].iter_rows(min_row=3, values_only=True))
    headers, total = rows[0], dict(zip(rows[0], rows[-1], strict=True))
    assert "Domaine de formation" in headers
    assert total["Coût (€)"] == pytest.approx(tables["lots"]["cost_cents"].sum() / 100)
    assert total["Places"] == tables["lots"]["places"].sum()
    assert len(rows) == len(tables["lots"]) + 2
    formula = openpyxl.load_workbook(path)["Lots"].cell(row=3 + len(rows) - 1, column=headers.index("Places") + 1)
    assert formula.value.startswith("=SUBTOTAL(109,")


def test_sheets_open_frozen_and_filtered(tables, tmp_path):
    book = openpyxl.load_workbook(write_exports(tmp_path, EXERCISE, tables, "fr")[0])
    for sheet in book.worksheets:
        assert sheet.freeze_panes, sheet.title
        assert sheet.auto_filter.ref, sheet.title
        assert sheet.page_setup.orientation == "landscape"
        assert sheet.sheet_properties.pageSetUpPr.fitToPage


def test_hostile_texts_stay_texts_in_every_file(tables, tmp_path):
    tables["lots"] = tables["lots"].assign(decided_by="=HYPERLINK(1)")
    workbook, plan, *_ = write_exports(tmp_path, EXERCISE, tables, "fr")
    cells = [cell for row in openpyxl.load_workbook(workbook)["Lots"].iter_rows() for cell in row]
    assert {cell.data_type for cell in cells if cell.value == "=HYPERLINK(1)"} == {"s"}
    assert plan.read_bytes().startswith(b"\xef\xbb\xbf")
    read = pd.read_csv(plan, sep=";", decimal=",", encoding="utf-8-sig")
    assert set(read["Décidé par"]) == {"'=HYPERLINK(1)"}
    assert read["Coût (€)"].sum() == pytest.approx(tables["lots"]["cost_cents"].sum() / 100)


def test_no_two_columns_have_one_header_and_none_is_empty(tables, tmp_path):
    workbook, plan, *_ = write_exports(tmp_path, EXERCISE, tables, "fr")
    for sheet in openpyxl.load_workbook(workbook, data_only=True).worksheets:
        headers, *rows = sheet.iter_rows(min_row=3, values_only=True)
        assert len(set(headers)) == len(headers), sheet.title
        columns = dict(zip(headers, zip(*rows, strict=True), strict=True))
        assert [header for header, cells in columns.items() if set(cells) <= {None, ""}] == [], sheet.title
    assert "Stabilité" in pd.read_csv(plan, sep=";", decimal=",", encoding="utf-8-sig")


def shown_lots(tables):
    whole = {name: conform(name, tables[name]) if name in tables else empty(name) for name in TABLES}
    return lots_sheet("lots", complete_lots("lots", whole), EXERCISE, "fr").rows


def test_codes_of_a_lot_are_told_in_words(tables):
    rows = shown_lots(tables)
    assert set(rows["decided_by"]) == {"moteur"}
    assert set(rows["volet"]) == {"Socle"}


def test_a_gap_just_below_zero_is_shown_as_zero(tables, tmp_path):
    tables["sector_needs"] = tables["sector_needs"].assign(value=-0.0001, low=-3.0)
    sheet = openpyxl.load_workbook(write_exports(tmp_path, EXERCISE, tables, "en")[0])["Needs by sector"]
    headers, *rows = sheet.iter_rows(min_row=3, values_only=True)
    assert {row[headers.index("Remaining need")] for row in rows} == {0}
    assert max(row[headers.index("Remaining need, low")] for row in rows) <= -3


def test_the_best_lots_come_first(tables):
    rows = shown_lots(tables)
    assert rows["cost_per_job_eur"].is_monotonic_increasing


def test_years_keep_the_sum_of_their_months(tables, tmp_path):
    book = openpyxl.load_workbook(write_exports(tmp_path, EXERCISE, tables, "en")[0], data_only=True)
    rows = pd.DataFrame(book["Needs by occupation"].iter_rows(min_row=4, values_only=True))
    rows.columns = next(book["Needs by occupation"].iter_rows(min_row=3, max_row=3, values_only=True))
    bassins = tables["forecasts"].query("territory != 'R44'")
    assert rows["Recruitment need"].sum() == pytest.approx(bassins["need"].sum())
    assert rows["Months forecast"].sum() == len(bassins)


def test_the_need_that_training_can_answer_is_its_share_of_the_need_of_each_month(tables):
    needs = tables["sector_needs"].assign(training_solvable=0.25)
    rows = sector_needs_sheet(conform("sector_needs", needs), "en").rows
    assert rows["training_solvable"].to_numpy() == pytest.approx(0.25 * rows["need"].to_numpy())


def test_the_ranking_tells_every_caveat_in_words_and_the_rank_among_the_emerging(tables):
    rows = rankings_sheet(conform("rankings", tables["rankings"]), "en").rows
    assert rows["caveats"].unique().tolist() == [
        "sources disagree on the need, few observations, effect in doubt, occupations often exercised in an own business"
    ]
    assert (rows["emerging_rank"] == rows["rank"]).all()


def test_parquet_holds_every_month(tables, tmp_path):
    write_exports(tmp_path, EXERCISE, tables, "fr")
    read = pd.read_parquet(tmp_path / "forecasts.parquet")
    pd.testing.assert_frame_equal(read, conform("forecasts", tables["forecasts"]))


def test_an_empty_run_still_opens(tmp_path):
    nothing = {name: empty(name) for name in TABLES}
    book = openpyxl.load_workbook(write_exports(tmp_path, EXERCISE, nothing, "fr")[0])
    assert book["Lots"]["A4"].value == say("nothing", "fr")
    text = html.document_fromstring(page_of(nothing, tmp_path)).text_content()
    assert {code for code in ("no_lots", "no_needs", "no_digest") if say(code, "fr") in text} == {
        "no_lots",
        "no_needs",
        "no_digest",
    }


# Page ------------------------------------------------------------------------------------------------------------------


def page_of(tables, tmp_path, language="fr"):
    return write_report(tmp_path / "run" / "index.html", RUN, tables, language).read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_stands_alone_and_is_well_formed(tables, tmp_path, language):
    page = page_of(tables, tmp_path, language)
    assert len(page.encode()) < 1_000_000
    etree.fromstring(page.replace("<!DOCTYPE html>", "").encode(), etree.XMLParser(recover=True))
    document = html.document_fromstring(page)
    links = document.xpath("//@href | //@src | //@srcset | //@action")
    assert all(link.startswith("#") for link in links)
    assert not document.xpath("//script[@src] | //link | //iframe | //img | //object")
    assert "url(" not in page
    assert "@import" not in page


def test_the_page_can_be_read_by_everybody(tables, tmp_path):
    document = html.document_fromstring(page_of(tables, tmp_path))
    assert document.get("lang") == "fr"
    assert len(document.xpath("//h1")) == 1
    levels = [int(heading.tag[1]) for heading in document.xpath("//h1 | //h2 | //h3")]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert not document.xpath("//th[not(@scope)]")
    assert not document.xpath("//svg[not(@aria-hidden) and not(@aria-label)]")
    identifiers = document.xpath("//@id")
    assert len(identifiers) == len(set(identifiers))
    assert set(document.xpath("//@aria-labelledby")) <= set(identifiers)


def test_texts_of_the_data_never_become_markup(tables, tmp_path):
    page = page_of(tables, tmp_path)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_figures_of_the_page_are_those_of_the_tables(tables, tmp_path):
    text = html.document_fromstring(page_of(tables, tmp_path)).text_content()
    bought = tables["lots"]
    assert euros(round(bought["cost_cents"].sum() / 100) * 100, "fr") in text
    assert count(bought["places"].sum(), "fr") in text
    assert count(bought["value"].sum(), "fr") in text
    served = tables["forecasts"].query("territory != 'R44' and '2027-07' <= period <= '2028-06'")
    assert count(served["need"].sum(), "fr") in text


@pytest.mark.parametrize(("grade", "cautious"), [("D", True), ("B", False)])
def test_the_page_warns_when_most_of_the_first_lots_are_indicative(tables, tmp_path, grade, cautious):
    tables["lots"] = tables["lots"].assign(grade=grade)
    assert ("Prudence" in page_of(tables, tmp_path)) is cautious


def test_warnings_about_the_data_stand_at_the_top(tables, tmp_path):
    text = html.document_fromstring(page_of(tables, tmp_path)).text_content()
    missing, silent, _ = tables["digest"]["message"]
    assert 0 < text.index(missing) < text.index(say("buy_first", "fr"))
    assert text.index(silent) > text.index(say("quality_heading", "fr"))


def test_money_adds_up_by_group_and_by_territory(tables):
    bought = conform("lots", tables["lots"])
    whole = totals_of(bought)
    for group in ("sector_group", "territory_title", "formacode_title"):
        spending = gather_rest(spending_by(bought, group, "fr"), "others")
        assert spending["cost_cents"].sum() == whole.cost_cents
        assert spending["places"].sum() == whole.places
        assert spending["share"].sum() == pytest.approx(1.0)
    needs = needs_by_territory(conform("forecasts", tables["forecasts"]), bought, "fr")
    assert needs["cost_cents"].sum() == whole.cost_cents
    assert needs["need"].sum() == pytest.approx(sum(sum(months) for months in needs["months"]))

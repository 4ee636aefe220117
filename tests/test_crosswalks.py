"""Laws of crosswalks: nothing is lost, both directions agree, and a correction does what it says and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from homes import AS_OF, copy_home, gathered
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner

from features import facts
from features.corrections import LINK
from features.crosswalks import (
    VIA,
    Crosswalks,
    build_crosswalks,
    carry,
    chain,
    default_links,
    links_between,
    reverse,
    sector_links,
)
from features.lazy import empty_dataset, lazy
from features.nomenclatures import KINDS, codes_of, kinds_of, list_codes, nearest_codes
from features.tables import CONTRACT, OVERRIDES, Tables
from features.unmapped import carry_measures, list_unmapped
from features.vocabulary import InputError
from needs.cli import app
from needs.home import Home
from needs.run.digest import CODES_TOLD
from needs.run.inputs import Inputs, gather
from needs.run.pipeline import compute
from needs.show.explain import tell_explain
from needs.show.messages import messages

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
real = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")
DAY = pd.Timestamp(AS_OF)
DIRECT = [*default_links().groupby(["from_kind", "to_kind"]).groups, ("ROME", "SECTEUR")]
SPLIT = facts.family_families().query("weight < 1")["family_2009"].unique().tolist()


def correction(key: str, value: object = "0.3", **cells: object) -> dict[str, object]:
    row = {"object": "crosswalk", "key": key, "field": "poids", "value": str(value), "author": "Ann", "motive": "vu en CREFOP"}
    return {**row, "known_from": DAY - pd.Timedelta(days=9), "expires": pd.NaT, **cells}


def overrides(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.concat([OVERRIDES.empty(), pd.DataFrame(list(rows))]) if rows else OVERRIDES.empty()


def crosswalks(*rows: dict[str, object]) -> Crosswalks:
    return build_crosswalks(overrides(*rows), DAY)


@pytest.fixture(scope="module")
def default() -> Crosswalks:
    return crosswalks()


def weights(known: Crosswalks, code: str, origin: str = "FAP2009", target: str = "FAP2021") -> pd.Series[float]:
    links = links_between(known, origin, target)
    return links[links["code"] == code].set_index("target")["weight"]


# Laws of links ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [*DIRECT, *[pair[::-1] for pair in DIRECT], *VIA], ids=">".join)
def test_weights_add_up_to_one_in_both_directions(default, pair):
    links = links_between(default, *pair)
    sums = links.groupby("code")["weight"].sum()
    if pair in VIA:
        assert (sums <= 1 + 1e-9).all()
    else:
        assert sums.to_numpy() == pytest.approx(1.0, abs=1e-9)
    assert (links["weight"] > 0).all()
    assert not links.duplicated(["code", "target"]).any()


@pytest.mark.parametrize("pair", DIRECT, ids=">".join)
def test_the_way_back_is_made_from_the_same_links(default, pair):
    there = links_between(default, *pair)
    back = reverse(links_between(default, *pair[::-1]))
    pairs = ["code", "target"]
    both = there.merge(back, on=pairs, how="outer", validate="one_to_one", suffixes=("", "_back"))
    brought = both["weight"] * both["volume"]
    assert (both["weight_back"] * both["volume_back"]).to_numpy() == pytest.approx(brought.to_numpy(), rel=1e-9)


volume = st.floats(0, 1e7, allow_nan=False)
codes = st.sampled_from([*SPLIT, *facts.family_families()["family_2009"].head(20), "Z9Z99"])


@given(
    volumes=st.dictionaries(codes, volume, min_size=1, max_size=30),
    corrected=st.lists(st.tuples(st.sampled_from(SPLIT), st.floats(0, 1)), max_size=5, unique_by=lambda pair: pair[0]),
)
@settings(max_examples=12, deadline=None)
def test_mass_is_preserved_whatever_the_volumes_and_the_corrections(volumes, corrected):
    first = facts.family_families().drop_duplicates("family_2009").set_index("family_2009")["family_2021"]
    known = crosswalks(*(correction(f"FAP2009:{code}>FAP2021:{first[code]}", value) for code, value in corrected))
    rows = pd.DataFrame({"code": list(volumes), "volume": list(volumes.values())})
    links = links_between(known, "FAP2009", "FAP2021")
    carried = carry(rows, links)
    total = carried.mapped["volume"].sum() + carried.unmapped["volume"].sum()
    assert total == pytest.approx(rows["volume"].sum(), rel=1e-9)
    assert set(carried.unmapped["code"]) == set(volumes) & {"Z9Z99"}
    back = carry(carried.mapped.rename(columns={"target": "code"}), links_between(known, "FAP2021", "FAP2009"))
    assert back.mapped["volume"].sum() == pytest.approx(carried.mapped["volume"].sum(), rel=1e-9)
    assert links.groupby("code")["weight"].sum().to_numpy() == pytest.approx(1.0, abs=1e-9)


def test_keys_stay_and_codes_that_nothing_links_are_listed_with_their_volume(default):
    rows = pd.DataFrame({"territory": ["BE1", "BE2", "BE2"], "code": ["A0Z40", "A0Z40", "Z9Z99"], "volume": [5.0, 7.0, 2.0]})
    carried = carry(rows, links_between(default, "FAP2009", "FAP2021"))
    assert carried.mapped.to_dict("records") == [
        {"territory": "BE1", "target": "A0X40", "volume": 5.0},
        {"territory": "BE2", "target": "A0X40", "volume": 7.0},
    ]
    assert carried.unmapped.to_dict("records") == [{"territory": "BE2", "code": "Z9Z99", "volume": 2.0}]
    assert carried.covered == pytest.approx(12 / 14)


def test_nothing_carried_is_wholly_covered(default):
    nothing = pd.DataFrame({"code": pd.Series(dtype="str"), "volume": pd.Series(dtype="float64")})
    assert carry(nothing, links_between(default, "FAP2009", "FAP2021")).covered == 1.0


def _links(matrix: np.ndarray, codes: str, targets: str) -> pd.DataFrame:
    rows = [
        (f"{codes}{i}", f"{targets}{j}", weight, 1.0, "test")
        for i, line in enumerate(matrix)
        for j, weight in enumerate(line)
        if weight > 0
    ]
    kinds = {"code": "str", "target": "str", "weight": "float64", "volume": "float64", "source": "str"}
    return pd.DataFrame(rows, columns=list(kinds)).astype(kinds)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_chain_is_the_product_of_its_matrices(seed):
    draw = np.random.default_rng(seed)
    first, second = (draw.random(shape) * (draw.random(shape) > 0.5) for shape in ((4, 3), (3, 5)))
    both = chain(_links(first, "a", "b"), _links(second, "b", "c"))
    table = both.pivot_table(index="code", columns="target", values="weight", aggfunc="sum")
    table = table.reindex(index=[f"a{i}" for i in range(4)], columns=[f"c{j}" for j in range(5)]).fillna(0.0)
    assert table.to_numpy() == pytest.approx(first @ second)


def test_a_leaf_counts_in_the_sectors_of_its_parent(default):
    leaf = facts.leaves().query("leaf != occupation and occupation == 'A1201'")["leaf"].iloc[0]
    assert weights(default, leaf, "ROME4", "SECTEUR").to_dict() == weights(default, "A1201", "ROME", "SECTEUR").to_dict()


def test_without_a_correction_sectors_are_those_of_the_facts(default):
    assert_frame_equal(sector_links(default), facts.occupation_sectors(), check_exact=False, rtol=1e-9)


def test_a_formacode_missing_from_the_list_keeps_its_field():
    known = build_crosswalks(OVERRIDES.empty(), DAY, ["34599", "23026", "no code"])
    assert weights(known, "34599", "FORMACODE", "SECTEUR").to_dict() == {"345": 1.0}
    assert weights(known, "23026", "FORMACODE", "SECTEUR").to_dict() == {"230": 1.0}
    assert len(links_between(known, "FORMACODE", "SECTEUR")) == len(facts.formacodes()) + 1


# Families of 2009 and 2021 ----------------------------------------------------------------------------------------------


def test_a_family_that_keeps_its_title_is_itself_where_the_rome_agrees():
    links = facts.family_families()
    agreed = links[links["same_title"] & (links["rome"] > 0.5)]
    assert len(agreed) > 80
    assert (agreed["weight"] == 1).all()


def test_families_stay_in_their_letter_and_every_one_is_linked():
    links = facts.family_families()
    assert (links["family_2009"].str[0] == links["family_2021"].str[0]).all()
    every = facts.families().query("nomenclature == 'FAP2009' and family.str.len() == 5")["family"]
    assert set(links["family_2009"]) == set(every)


def test_each_weight_is_the_mean_of_its_witnesses_but_for_what_is_left_out():
    links = facts.family_families()
    heard = links.assign(mean=(links["words"] + links["rome"]) / 2)
    known = heard[(heard.groupby("family_2009")["rome"].transform("sum") > 0.999) & (heard["weight"] < 1)]
    whole = known[known.groupby("family_2009")["mean"].transform("sum") > 0.999]
    assert len(whole) > 20
    assert whole["weight"].to_numpy() == pytest.approx(whole["mean"].to_numpy(), abs=2e-3)


@real
@pytest.mark.parametrize(("year", "origin", "target"), [(2023, "FAP2009", "FAP2021"), (2024, "FAP2021", "FAP2009")])
def test_every_family_of_a_survey_is_linked_or_listed_and_no_project_is_lost(default, surveyed, year, origin, target):
    survey = surveyed(year).kept
    volumes = survey.groupby("family", as_index=False)[["projects"]].sum()
    volumes.columns = ["code", "volume"]
    assert volumes["volume"].sum() == {2023: 3_013_134, 2024: 2_751_069}[year]
    carried = carry(volumes, links_between(default, origin, target))
    assert carried.mapped["volume"].sum() + carried.unmapped["volume"].sum() == pytest.approx(volumes["volume"].sum(), rel=1e-9)
    linked = links_between(default, origin, target)["code"]
    assert {*carried.unmapped["code"]} == {*volumes["code"]} - {*linked}
    assert carried.covered > (0.999999 if year == 2023 else 0.97)


# Corrections ------------------------------------------------------------------------------------------------------------


def test_a_correction_fixes_its_link_and_the_others_keep_their_proportions(default):
    before, after = weights(default, "B0Z21"), weights(crosswalks(correction("B0Z21>B1X30", "0,4")), "B0Z21")
    assert after["B1X30"] == 0.4
    others = before.index.drop("B1X30")
    ratios = after[others] / before[others]
    assert ratios.to_numpy() == pytest.approx(0.6 / (1 - before["B1X30"]))
    links = links_between(crosswalks(correction("B0Z21>B1X30", "0,4")), "FAP2009", "FAP2021")
    same = links_between(default, "FAP2009", "FAP2021").query("code != 'B0Z21'").reset_index(drop=True)
    assert_frame_equal(links.query("code != 'B0Z21'").reset_index(drop=True), same)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=5))
@settings(max_examples=2, deadline=None)
def test_more_weight_never_moves_less(values):
    rows = pd.DataFrame({"code": ["B0Z21"], "volume": [1000.0]})
    moved = []
    for value in sorted(values):
        links = links_between(crosswalks(correction("B0Z21>B1X30", value)), "FAP2009", "FAP2021")
        mapped = carry(rows, links).mapped.set_index("target")["volume"]
        moved.append((mapped.get("B1X30", 0.0), mapped.drop("B1X30", errors="ignore").sum()))
    corrected, others = np.array(moved).T
    assert (np.diff(corrected) >= -1e-9).all()
    assert (np.diff(others) <= 1e-9).all()


def test_both_directions_of_a_corrected_pair_agree():
    known = crosswalks(correction("B0Z21>B1X30", "0.9"))
    there, back = links_between(known, "FAP2009", "FAP2021"), links_between(known, "FAP2021", "FAP2009")
    ours = there.query("code == 'B0Z21' and target == 'B1X30'").iloc[0]
    turned = back.query("code == 'B1X30' and target == 'B0Z21'").iloc[0]
    assert ours["weight"] * ours["volume"] == pytest.approx(turned["weight"] * turned["volume"])
    assert turned["source"] == "correction"


def test_the_order_of_corrections_changes_nothing():
    rows = [
        correction("B0Z21>B1X30", "0.2"),
        correction("B0Z21>B1X31", "0.3"),
        correction("A1201>220", "0.5"),
        correction("B0Z21>B1X30", "0.1", known_from=DAY),
    ]
    one, other = crosswalks(*rows), crosswalks(*rows[::-1])
    assert_frame_equal(one.links, other.links)
    assert_frame_equal(sector_links(one), sector_links(other))
    assert weights(one, "B0Z21")[["B1X30", "B1X31"]].tolist() == [0.1, 0.3]


@pytest.mark.parametrize(
    "cells",
    [
        {"expires": DAY - pd.Timedelta(days=1)},
        {"known_from": DAY + pd.Timedelta(days=1)},
        {"object": "lot"},
    ],
    ids=["expired", "not yet known", "another object"],
)
def test_what_is_not_in_force_changes_nothing(default, cells):
    assert_frame_equal(crosswalks(correction("B0Z21>B1X30", 0.9, **cells)).links, default.links)


def test_a_correction_holds_on_its_last_day_and_an_older_one_comes_back_after_it():
    rows = [correction("B0Z21>B1X30", 0.2, known_from=DAY - pd.Timedelta(days=30)), correction("B0Z21>B1X30", 0.9, expires=DAY)]
    assert weights(crosswalks(*rows), "B0Z21")["B1X30"] == 0.9
    later = build_crosswalks(overrides(*rows), DAY + pd.Timedelta(days=1))
    assert weights(later, "B0Z21")["B1X30"] == 0.2


def test_zero_removes_a_link_and_one_adds_another():
    assert "B1X30" not in weights(crosswalks(correction("B0Z21>B1X30", 0)), "B0Z21")
    assert weights(crosswalks(correction("B0Z21>B2X31", 1)), "B0Z21").to_dict() == {"B2X31": 1.0}
    removed = crosswalks(correction("A0Z40>A0X40", 0))
    carried = carry(pd.DataFrame({"code": ["A0Z40"], "volume": [9.0]}), links_between(removed, "FAP2009", "FAP2021"))
    assert carried.unmapped.to_dict("records") == [{"code": "A0Z40", "volume": 9.0}]


def test_an_occupation_that_nothing_trained_for_gets_the_levels_of_its_new_sector():
    unlinked = facts.unlinked_occupations()[0]
    added = sector_links(crosswalks(correction(f"{unlinked}>230", 1))).query("occupation == @unlinked")
    assert added["weight"].sum() == pytest.approx(1.0)
    counted = facts.sector_occupations().query("sector == '230'").groupby("level")["certifications"].sum()
    assert added.set_index("level")["weight"].to_numpy() == pytest.approx((counted / counted.sum()).to_numpy())


def test_a_certification_that_leads_elsewhere_trains_another_sector(default):
    lone = facts.certifications().query("formacode.str.startswith('230') and occupations == 'H2913'")["certifinfo"].iloc[0]
    moved = crosswalks(correction(f"CERTIFINFO:{lone}>ROME:A1201", 1))
    assert weights(default, "A1201", "ROME", "SECTEUR").get("230", 0.0) == 0
    assert weights(moved, "A1201", "ROME", "SECTEUR")["230"] > 0
    counted = [links_between(known, "ROME", "SECTEUR").set_index("code")["volume"]["H2913"] for known in (moved, default)]
    assert np.max(counted[0]) == pytest.approx(np.max(counted[1]) - 1)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("B0Z21>B1X30", "beaucoup")], "valeur 'beaucoup' is not a weight"),
        ([("B0Z21>B1X30", "1.2")], "valeur '1.2' is not a weight"),
        ([("B0Z21>B1X30", "nan")], "valeur 'nan' is not a weight"),
        ([("B0Z21>B1X99", "0.5")], "no code of .*FAP2021.* is 'B1X99'. The nearest are B1X"),
        ([("B0Z21", "0.5")], "a link is written from>to"),
        ([("FAP2021:B1X30>FAP2009:B0Z21", "0.5")], "in this direction"),
        ([("23026>230", "0.5")], "in this direction|no code"),
        ([("H0Z9>H1X9", "0.5")], "no code of"),
        ([("B0Z21>B1X30", "0.7"), ("B0Z21>B1X31", "0.4")], "add up to 1.1, more than 1"),
        ([("A0Z40>A0X40", "0.6")], "0.4 is left and no other link takes it"),
        ([("B0Z21>B1X30", "0.7"), ("FAP2009:B0Z21>FAP2021:B1X30", "0.4")], "same date and another weight"),
        ([("I1602>G0A40", "0.5")], "several nomenclatures fit. Write ROME:I1602>FAP2009:G0A40 or ROME:I1602>FAP2021:G0A40"),
    ],
)
def test_what_is_no_correction_is_refused_with_its_row(rows, told):
    with pytest.raises(InputError, match=told) as refused:
        crosswalks(*(correction(key, value) for key, value in rows))
    assert all(f"'{key}' (Ann, 2026-03-22)" in str(refused.value) for key, _ in rows[-1:])


def test_every_fault_is_told_at_once():
    with pytest.raises(InputError) as refused:
        crosswalks(correction("B0Z21>B1X30", "x"), correction("Z9Z99>B1X30"), correction("B0Z21>B1X31", field="part"))
    assert len(refused.value.faults) == 3


@given(st.text(max_size=40), st.text(max_size=12))
@settings(max_examples=30, deadline=None)
def test_any_key_and_value_is_taken_or_refused_in_words(key, value):
    try:
        known = crosswalks(correction(key, value))
    except InputError as error:
        assert "overrides: " in str(error)  # noqa: PT017
    else:
        assert len(known.corrections) == 1


# In a run ---------------------------------------------------------------------------------------------------------------


def with_overrides(inputs: Inputs, *rows: dict[str, object]) -> Inputs:
    tables = replace(inputs.tables, overrides=overrides(*rows))
    return gather(tables, inputs.as_of, inputs.params, inputs.door)


def unmapped(tables: Tables, known: Crosswalks) -> pd.DataFrame:
    return list_unmapped(carry_measures(tables, facts.communes(), known))


@pytest.mark.long
def test_a_correction_changes_what_is_published_and_the_name_of_the_run(inputs, published):
    told = published["forecasts"].query("territory.str.startswith('BE')").groupby("occupation")["need"].sum()
    occupation = told[told.index.isin(facts.occupation_sectors()["occupation"])].idxmax()
    corrected = with_overrides(inputs, correction(f"ROME:{occupation}>SECTEUR:114", 1))
    other = compute(corrected).tables
    assert corrected.run_id != inputs.run_id
    before, after = (tables["sector_needs"].groupby("sector")["need"].sum() for tables in (published, other))
    assert after["114"] > before.get("114", 0.0)
    assert after.sum() == pytest.approx(before.sum(), rel=1e-9)
    assert other["digest"]["message"].str.contains("corrections humaines").any()


@pytest.mark.long
def test_what_nothing_links_is_told_with_its_volume(inputs, default):
    offers = inputs.tables.offers.to_table().to_pandas()
    lost, rest = facts.unlinked_occupations()[0], offers["occupation"].where(offers.index >= 200)
    tables = replace(inputs.tables, offers=lazy(offers.assign(occupation=rest.fillna(lost).astype("str"))))
    told = compute(gather(tables, inputs.as_of, inputs.params, inputs.door)).tables["digest"]
    listed = unmapped(tables, default).query("measure == 'positions'")
    assert lost in listed["code"].tolist()
    line = told[told["message"].str.contains("aucun secteur de formation ne prépare")].iloc[0]
    assert line["figure"] == pytest.approx(listed["volume"].sum())
    assert all(code in line["message"] for code in listed["code"].head(CODES_TOLD))


def test_a_home_without_rows_has_nothing_unmapped(inputs, default):
    empty = {name: contract.empty() for name, contract in CONTRACT.items() if name != "offers"}
    assert unmapped(replace(inputs.tables, offers=empty_dataset(CONTRACT["offers"]), **empty), default).empty


def test_every_measure_is_carried_and_keeps_its_mass(inputs, default):
    carried = carry_measures(inputs.tables, facts.communes(), default)
    assert {f"{told}unmapped_{name}" for name in carried for told in ("digest.sources.", "explain.")} <= messages().keys()
    bought = inputs.tables.purchases.sort_values(["lot", "known_from"]).drop_duplicates("lot", keep="last")
    assert carried["places"].total == pytest.approx(float(bought["places"].sum()), rel=1e-9)
    assert carried["positions"].total > 0


def test_unmapped_volumes_are_part_of_their_total(inputs, default):
    listed = unmapped(inputs.tables, default)
    assert not listed.duplicated(["measure", "code"]).any()
    assert (listed.groupby("measure")["volume"].sum() <= listed.groupby("measure")["total"].first() + 1e-9).all()


# needs explain ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def decided(ran: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = copy_home(ran, tmp_path_factory.mktemp("decided"), made=True)
    lines = [
        "objet;cle;champ;valeur;auteur;motif;date;expire_le",
        "crosswalk;B0Z21>B1X30;poids;0,4;A. Klein;accord de branche;2026-02-01;2027-01-01",
        "crosswalk;B0Z21>B2X36;poids;0;A. Klein;erreur de mots;2026-02-01;",
    ]
    (home.root / "overrides").mkdir()
    (home.root / "overrides" / "crosswalks.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    gathered(home, ["overrides"])
    return home


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_code_is_explained_in_both_languages(kind, tmp_path, params):
    code = sorted(codes_of(kind))[len(codes_of(kind)) // 2]
    title = list_codes().query("kind == @kind and code == @code")["title"].iloc[0]
    for language in ("fr", "en"):
        said = params.model_copy(update={"show": params.show.model_copy(update={"language": language})})
        told = tell_explain(Home(tmp_path), said, f"{kind}:{code.lower()}")
        assert code in told
        assert title.lower()[:20] in told.lower()
        assert " %" in told.replace("\u00a0", " ") or "%" in told


def test_a_code_of_two_nomenclatures_shows_both(tmp_path, params):
    told = tell_explain(Home(tmp_path), params, "g0a40")
    assert told.startswith("FAP 2009 · G0A40")
    assert "\nFAP 2021 · G0A40" in told
    assert "FAP 2021 · G0A40" not in tell_explain(Home(tmp_path), params, "FAP2009:G0A40")


def test_the_witnesses_of_an_estimated_link_are_shown(tmp_path, params):
    told = tell_explain(Home(tmp_path), params, "A0Z40").replace("\u00a0", " ")
    row = facts.family_families().query("family_2009 == 'A0Z40'").iloc[0]
    assert f"les titres disent {row['words']:.0%}".replace("%", " %") in told
    assert f"le ROME {row['rome']:.0%}".replace("%", " %") in told


def test_a_correction_is_shown_with_its_author_its_day_and_its_end(decided, params):
    told = tell_explain(decided, params, "B0Z21").replace("\u00a0", " ")
    assert "40 % B1X30" in told
    assert "corrigé par A. Klein le 01/02/2026, jusqu'au 01/01/2027 : accord de branche" in told
    assert "retiré : B2X36" in told
    assert "corrigé par A. Klein" in tell_explain(decided, params, "B1X30")


def test_without_a_code_what_nothing_links_is_listed(decided, params, tmp_path):
    told = tell_explain(decided, params, None)
    listed = unmapped(gathered(decided, ["overrides"]).tables, crosswalks())
    assert all(code in told for code in listed.groupby("measure").head(3)["code"])
    assert tell_explain(Home(tmp_path), params, None).startswith("La base est vide")


@pytest.mark.parametrize("code", ["A0Z4O", "ZZZ", "FAP2009:A0X40", "PCS:A0Z40", "", ">", "😀"])
def test_an_unknown_code_is_refused_with_the_nearest(code, tmp_path):
    done = CliRunner().invoke(app, ["--home", str(tmp_path), "explain", code])
    assert isinstance(done.exception, InputError)
    assert "The nearest are" in str(done.exception)


@given(st.text(max_size=12))
@settings(max_examples=20, deadline=None)
def test_no_text_breaks_the_search_for_a_code(text):
    assert len(nearest_codes(text)) <= 3
    assert all(kind in KINDS for kind in kinds_of(text))


def test_a_link_is_named_by_both_sides(default):
    assert not default.links.duplicated(LINK).any()

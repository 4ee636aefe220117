"""Tension, offers and jobseekers, young leavers: laws, known answers, bad inputs, and the real files."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features import facts
from features.contracts import Checked
from features.market_tables import CAUSES, HORIZONS, INSERTION, MARKET, TENSION
from features.sources import SOURCES
from features.sources.publication import PublicationParams
from features.vocabulary import InputError

read_insertion = SOURCES["insertion"].read
read_market = SOURCES["market"].read
read_projections = SOURCES["projections"].read
read_tension = SOURCES["tension"].read
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
real = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")
some = settings(max_examples=5, deadline=None)

TENSION_ROWS = [
    "fap,Emploi moyen,Tension ,Catégorie Tension,Intensité d'embauches,Lien formation-emploi,Manque de main-d'œuvre disponible,"
    "Non-durabilité de l'emploi,Conditions de travail contraignantes,Inadéquation géographique,Année,niveau_geo,niveau_fap,"
    "reg,dep",
    "A0Z40,63100,-0.0061,3.0,5.0,3.0,2.0,5.0,4.0,1.0,2019,nat,fap 225,,",
    "A0Z40,1400,0.55,4.0,1.0,2.0,3.0,4.0,5.0,1.0,2019,reg ,fap 225,1.0,",
    "A0Z40,1500,0.45,4.0,1.0,2.0,3.0,4.0,5.0,1.0,2019,reg,fap 225,44.0,",
    "A0Z40,200,,,,,,,,,2019,dep,fap 225,,2A",
    "B0Z,0,,,,,,,,,2019,dep,fap 87,,67",
]
MARKET_ROWS = [
    "annee;ROME;cbassin;oee;defm_abc;ind_tension_d;ind_int_emb_d;ind_main_oeuvre_d;ind_dur_empl_d;ind_cond_travail_d;"
    "ind_mismatch_geo_d;ind_specif_form_empl_d",
    "2021;A1101;0203;16,61538462;28,25;5;1;2;3;4;5;1",
    "2021;A1101;4415;37,5;23,75;5;5;3;2;4;4;5",
    "2021;N4403;4415;21,1;29,25;5;4;1;3;4;5;",
]
INSERTION_ROWS = [
    "id;millesime;code_region_ij;code_region;voie;cfd;mefstat11;nb_annee_term;nb_en_emploi_12_mois;nb_en_emploi_18_mois;"
    "nb_en_emploi_24_mois;nb_en_emploi_6_mois;nb_poursuite_etudes;nb_sortant;taux_emploi_12_mois;taux_emploi_18_mois;"
    "taux_emploi_24_mois;taux_emploi_6_mois;taux_poursuite_etudes",
    "x;2019_2020;06;44;scolaire;;32221022002;52;12;12;15;9;31;21;57;57;71;43;60",
    "x;2020_2021;06;44;scolaire;;32221022002;41;8;9;9;7;30;11;;;;;73",
    "x;2021_2022;06;44;apprentissage;36X20002;;3;;;;;;;;;;;",
    "x;2021_2022;07;01;scolaire;;23110022361;29;;;;;29;;;;;;100",
]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def in_lines(rows: Sequence[str]) -> str:
    return "\n".join(rows) + "\n"


Reader = Callable[..., Checked]
GRIDS: dict[str, tuple[Reader, list[str], str]] = {
    "tension": (read_tension, TENSION_ROWS, ","),
    "market": (read_market, MARKET_ROWS, ";"),
    "insertion": (read_insertion, INSERTION_ROWS, ";"),
}
STARTS = [b"", b"[", b'[{"code_fap":', *(in_lines(rows).encode() for _, rows, _ in GRIDS.values())]
grids = pytest.mark.parametrize("name", GRIDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("raw")


# Laws of every reader -----------------------------------------------------------------------------------------------


@grids
@some
@given(order=st.data())
def test_neither_the_order_nor_the_files_of_rows_and_columns_matter(folder, name, order):
    read, rows, mark = GRIDS[name]
    first = read([write(folder / "a.csv", in_lines(rows))])
    cells = pd.DataFrame([row.split(mark) for row in rows[1:]], columns=rows[0].split(mark))
    columns = order.draw(st.permutations(list(cells)))
    lines = order.draw(st.permutations(range(len(cells))))
    place = order.draw(st.integers(0, len(lines)))
    parts = [cells.iloc[list(part)][columns] for part in (lines[:place], lines[place:])]
    texts = [part.to_csv(sep=mark, index=False, lineterminator="\n") for part in parts]
    paths = [write(folder / f"{number}.csv", text) for number, text in enumerate(texts)]
    again = read(order.draw(st.permutations(paths)))
    assert_frame_equal(again.kept, first.kept)
    assert (again.read, len(again.rejected), len(first.rejected)) == (len(cells), 0, 0)


@grids
@some
@given(data=st.data())
def test_every_row_is_kept_rejected_or_a_duplicate(folder, name, data):
    read, rows, mark = GRIDS[name]
    cells = [row.split(mark) for row in rows]
    for _ in range(data.draw(st.integers(1, 3))):
        row, column = data.draw(st.integers(1, len(cells) - 1)), data.draw(st.integers(0, len(cells[0]) - 1))
        kinds = st.sampled_from(["", "*", "nd", "0", "-1", "1e400", "999999999999", "R44", "2021"]) | st.text(max_size=8)
        text = data.draw(kinds.filter(lambda cell: not set(cell) & set('\r\n\0",;\t\x85')))
        cells[row][column] = text
    path = write(folder / "one.csv", in_lines([mark.join(row) for row in cells]).encode("utf-8", "replace"))
    try:
        checked = read([path])
    except InputError as error:  # a whole column may have become something else
        refused = str(error)
        assert "never holds" in refused
        return
    assert checked.read == len(rows) - 1


@pytest.mark.parametrize("read", [read_tension, read_market, read_insertion, read_projections])
@some
@given(start=st.sampled_from(STARTS), end=st.binary())
def test_bytes_of_any_kind_give_a_table_or_words(folder, read, start, end):
    try:
        checked = read([write(folder / "any.csv", start + end)])
    except InputError as error:
        told = error.faults
        assert told
        return
    assert checked.read >= len(checked.kept)


@grids
def test_a_file_that_lacks_a_column_is_told_so_and_no_file_gives_no_row(tmp_path, name):
    read, rows, mark = GRIDS[name]
    cut = [mark.join(row.split(mark)[4:]) for row in rows]
    with pytest.raises(InputError, match=r"columns are missing|is not the table"):
        read([write(tmp_path / "a.csv", in_lines(cut))])
    assert read([]).read == 0


@grids
def test_a_day_in_the_name_of_a_file_says_when_it_was_known(tmp_path, name):
    read, rows, _ = GRIDS[name]
    kept = read([write(tmp_path / "x_2024-02-29.csv", in_lines(rows))]).kept
    assert set(kept["known_from"]) == {pd.Timestamp("2024-02-29")}


@grids
@pytest.mark.parametrize("word", ["*", "nd", "n.d.", "NA", "-", ""])
def test_a_figure_that_is_not_given_is_missing_and_never_zero(tmp_path, name, word):
    read, rows, mark = GRIDS[name]
    column = {"tension": "jobs", "market": "offers", "insertion": "employed_6m"}[name]
    place = {"tension": 1, "market": 3, "insertion": 11}[name]
    cells = rows[1].split(mark)
    cells[place] = word
    checked = read([write(tmp_path / "a.csv", in_lines([rows[0], mark.join(cells)]))])
    assert checked.kept[column].isna().tolist() == [True]


# Tension ------------------------------------------------------------------------------------------------------------


def test_every_field_of_a_tension_is_read(tmp_path):
    kept = read_tension([write(tmp_path / "a.csv", in_lines(TENSION_ROWS))]).kept
    assert kept[["family", "territory"]].apply(tuple, axis=1).tolist() == [
        ("A0Z40", "D2A"),
        ("A0Z40", "FR"),
        ("A0Z40", "R01"),
        ("A0Z40", "R44"),
        ("B0Z", "D67"),
    ]
    france = kept[kept["territory"] == "FR"].iloc[0]
    assert france[["year", "nomenclature", "jobs", "tension", "tension_level"]].tolist() == [2019, "FAP2009", 63100, -0.0061, 3]
    assert france[list(CAUSES)].tolist() == [5, 3, 2, 5, 4, 1]
    assert france["known_from"] == pd.Timestamp("2021-04-30")
    assert kept[kept["territory"] == "D67"][["tension", "tension_level", *CAUSES]].isna().all(axis=None)
    assert kept["jobs"].tolist() == [200, 63100, 1400, 1500, 0]


def test_an_edition_to_come_loads_with_its_families_columns_and_seventh_cause(tmp_path):
    head = (
        "ANNEE;Niveau_Geo;DEP;REG;Code FAP;Non-attractivité salariale;Inadéquation géographique;Catégorie de tension;"
        "Lien formation-emploi;Intensité d'embauche;Manque de main d'oeuvre disponible;Conditions de travail;"
        "Non-durabilité de l’emploi;Tension"
    )
    text = in_lines([head, "2024;DEP;67;44;A0X41;5;1;3;2;1;4;5;2;0,25", "2024;REG;;44,0;A0X40a;4;1;3;2;1;4;5;2;-0,5"])
    for content in (text.encode(), text.encode("cp1252"), text.encode("utf-16")):
        kept = read_tension([write(tmp_path / "next.csv", content)]).kept
        assert kept["nomenclature"].tolist() == ["FAP2021", "FAP2021"]
        assert kept["territory"].tolist() == ["R44", "D67"]
        assert kept["tension"].tolist() == [-0.5, 0.25]
        assert kept["low_pay"].tolist() == [4, 5]
        assert kept["jobs"].isna().all()


def test_an_unknown_scale_and_a_level_out_of_bounds_are_wrong_rows(tmp_path):
    rows = [
        *TENSION_ROWS,
        "A0Z40,10,1,3,1,1,1,1,1,1,2019,bassin,fap 225,,4415",
        "A0Z40,10,1,6,1,1,1,1,1,1,2019,dep,fap 225,,67",
    ]
    rejected = read_tension([write(tmp_path / "a.csv", in_lines(rows))]).rejected
    assert rejected["line"].tolist() == [7, 8]
    assert rejected["reason"].tolist() == [
        "territory is not a territory like FR, R44 or D67",
        "tension_level is not a whole number like 12 (≥ 1, ≤ 5)",
    ]


@real
def test_the_real_tensions():
    checked = read_tension([SHARED / "dares" / "dares_tensions_2019_fap_dep_reg_nat.csv"])
    kept = checked.kept.assign(scale=checked.kept["territory"].str[0], size=checked.kept["family"].str.len())
    assert (len(kept), checked.read) == (31_034, 31_034)
    assert set(kept["nomenclature"]) == {"FAP2009"}
    assert kept.groupby(["scale", "size"]).size().to_dict() == {
        ("D", 3): 7_700,
        ("D", 5): 18_600,
        ("F", 3): 77,
        ("F", 5): 186,
        ("R", 3): 1_309,
        ("R", 5): 3_162,
    }
    assert (kept.query("scale == 'D'")["territory"].nunique(), kept.query("scale == 'R'")["territory"].nunique()) == (100, 17)
    sums = kept.groupby(["scale", "size"])["jobs"].sum()
    assert (sums["F", 5], sums["F", 3], sums["R", 5]) == (20_017_100, 20_017_600, 19_642_800)
    assert kept.query("territory == 'R44' and size == 5")["jobs"].sum() == 1_556_500
    assert kept["tension_level"].isna().sum() == 13_891
    assert set(kept["territory"]) - {"FR"} <= {*facts.departments()["department"], *facts.departments()["region"]}


# Offers and jobseekers ----------------------------------------------------------------------------------------------


def test_every_field_of_a_market_is_read(tmp_path):
    checked = read_market([write(tmp_path / "a.csv", in_lines(MARKET_ROWS))])
    assert checked.kept["territory"].tolist() == ["BE0203", "BE4415", "BE4415"]
    first = checked.kept.iloc[0]
    assert first[["year", "occupation", "offers", "jobseekers"]].tolist() == [2021, "A1101", 16.61538462, 28.25]
    assert first[["tension_level", *CAUSES]].tolist() == [5, 1, 1, 2, 3, 4, 5]
    assert checked.kept["training_link"].isna().tolist() == [False, False, True]
    assert first["known_from"] == pd.Timestamp("2023-04-30")


def test_case_prefix_separator_and_lost_zeros_change_nothing(tmp_path):
    first = read_market([write(tmp_path / "a.csv", in_lines(MARKET_ROWS))]).kept
    head = MARKET_ROWS[0].upper().replace("OEE", "nb_OEE").replace("DEFM_ABC", "Moy_Defm_ABC").replace("IND_", "M_")
    cells = [[cell.lstrip("0") or "0" for cell in row.replace(",", ".").split(";")] for row in MARKET_ROWS[1:]]
    cells = [["" if cell == "0" else cell for cell in row] for row in cells]
    text = in_lines([head.replace(";", "\t"), *("\t".join(row) for row in cells)])
    assert_frame_equal(read_market([write(tmp_path / "b.csv", text)]).kept, first)


def test_two_editions_of_a_year_stand_beside_each_other(tmp_path):
    text = in_lines(MARKET_ROWS)
    revised = text.replace("37,5", "38,5")
    paths = [write(tmp_path / f"m_{day}.csv", content) for day, content in (("20220901", text), ("20230901", revised))]
    checked = read_market(paths)
    assert (len(checked.kept), len(checked.rejected)) == (6, 0)
    assert MARKET.known_at(checked.kept, pd.Timestamp("2022-12-31"))["offers"].sum() == pytest.approx(16.61538462 + 37.5 + 21.1)


@real
def test_the_real_market():
    checked = read_market([SHARED / "dares" / "tensions_rome_bassin_2021_mobiville.csv"])
    kept = checked.kept
    assert (len(kept), checked.read, kept["occupation"].nunique(), kept["territory"].nunique()) == (27_135, 27_135, 397, 403)
    assert kept["offers"].sum() == pytest.approx(7_098_164.44, abs=0.01)
    assert kept["jobseekers"].sum() == pytest.approx(4_198_225.25)
    assert kept[list(CAUSES)].isna().sum().sum() == 10
    here = kept[kept["territory"].isin(facts.communes()["territory"])]
    assert len(here) == kept["territory"].str.startswith("BE44").sum() == 2_300


# Young leavers ------------------------------------------------------------------------------------------------------


def leavers(folder: Path, *rows: str) -> Checked:
    return read_insertion([write(folder / "i.csv", in_lines([INSERTION_ROWS[0], *(rows or INSERTION_ROWS[1:])]))])


def test_every_field_of_the_leavers_is_read(tmp_path):
    row = leavers(tmp_path, INSERTION_ROWS[1]).kept.iloc[0].to_dict()
    assert row == {
        "first_year": 2019,
        "last_year": 2020,
        "region": "R44",
        "track": "scolaire",
        "nomenclature": "MEFSTAT11",
        "diploma": "32221022002",
        "students": 52,
        "studying_on": 31,
        "leavers": 21,
        "leavers_secret": False,
        **{"employed_6m": 9, "employed_12m": 12, "employed_18m": 12, "employed_24m": 15},
        **{"rate_studying_on": 60, "rate_6m": 43, "rate_12m": 57, "rate_18m": 57, "rate_24m": 71},
        "rate_studying_on_secret": False,
        "rates_secret": False,
        "known_from": pd.Timestamp("2022-02-28"),
        "known_12m": pd.Timestamp("2022-08-31"),
        "known_18m": pd.Timestamp("2023-02-28"),
        "known_24m": pd.Timestamp("2023-08-31"),
    }


def test_a_rate_of_few_and_a_count_of_next_to_nobody_are_secrets(tmp_path):
    kept = leavers(tmp_path).kept.set_index("diploma")
    flags = kept[["leavers_secret", "rates_secret", "rate_studying_on_secret"]].apply(tuple, axis=1)
    assert flags[kept["last_year"] == 2021].tolist() == [(False, True, False)]
    assert flags["36X20002"] == (True, True, True)
    assert flags["23110022361"] == (False, False, False)  # all of them study on: nobody left, and nothing is hidden
    assert kept.loc["36X20002", ["leavers", "employed_6m", "rate_6m"]].isna().all()
    starred = INSERTION_ROWS[1].replace(";21;57;57;71;43;60", ";21;*;*;*;*;60")
    assert leavers(tmp_path, starred).kept["rates_secret"].tolist() == [True]


@pytest.mark.parametrize(
    ("day", "known"), [("2022-02-27", None), ("2022-02-28", [6]), ("2022-12-31", [6, 12]), ("2023-08-31", [*HORIZONS])]
)
def test_a_past_day_knows_the_horizons_that_were_out(tmp_path, day, known):
    kept = leavers(tmp_path, INSERTION_ROWS[1]).kept
    then = INSERTION.known_at(kept, pd.Timestamp(day))
    if known is None:
        assert then.empty
    else:
        assert [months for months in HORIZONS if then[f"rate_{months}m"].notna().all()] == known
        assert [months for months in HORIZONS if then[f"employed_{months}m"].notna().all()] == known
        assert then["leavers"].tolist() == [21]


def test_the_lag_is_a_parameter_and_a_single_year_is_read_beside_a_pair(tmp_path):
    single = INSERTION_ROWS[1].replace("2019_2020", "2020").replace("31;21", "30;22")
    single = single.replace(";57;57;71;43;60", ";55;55;68;41;58")
    path = write(tmp_path / "i.csv", in_lines([*INSERTION_ROWS[:2], single]))
    kept = read_insertion([path], PublicationParams(insertion_months=8)).kept
    assert kept[["first_year", "last_year"]].to_numpy().tolist() == [[2019, 2020], [2020, 2020]]
    assert set(kept["known_from"]) == {pd.Timestamp("2021-09-30")}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (";52;", ";53;", "do not add up to the students"),
        (";9;31;", ";22;31;", "more are employed at 6 months than left"),
        (";43;60", ";49;60", "the rate at 6 months is not that of its counts"),
        (";43;60", ";143;60", "rate_6m is not a number like 12.5 (≥ 0, ≤ 100)"),
        ("2019_2020", "2020_2019", "the second school year comes before the first"),
        ("2019_2020", "hier", "first_year is missing"),
        ("32221022002", "3222102200X", "the diploma is not a MEFSTAT11"),
        ("scolaire", "autre", "track is not one of scolaire, apprentissage"),
        (";06;44;", ";06;Grand Est;", "region is not a région like R44"),
    ],
)
def test_a_row_that_breaks_a_law_is_set_aside(tmp_path, old, new, reason):
    checked = leavers(tmp_path, INSERTION_ROWS[1].replace(old, new), *INSERTION_ROWS[2:])
    assert (len(checked.kept), checked.rejected["line"].tolist()) == (3, [2])
    assert reason in checked.rejected["reason"].iloc[0]


@real
def test_the_real_leavers():
    checked = read_insertion([SHARED / "insertion" / "inserjeunes_region_formation_2019_2022.csv"])
    kept = checked.kept
    assert (len(kept), checked.read, kept["region"].nunique()) == (29_410, 29_410, 17)
    sums = kept.groupby("last_year")[["students", "studying_on", "leavers", "employed_6m", "employed_24m"]].sum()
    assert sums.to_numpy().tolist() == [
        [968_978, 419_261, 547_728, 263_224, 345_474],
        [1_021_069, 463_746, 554_726, 274_806, 348_808],
        [1_117_341, 508_728, 606_015, 338_464, 0],
    ]
    assert kept.query("region == 'R44'").groupby("last_year")["leavers"].sum().tolist() == [48_738, 48_016, 49_200]
    # Every rate that is absent is a secret, or of a horizon or of leavers that are not there.
    shown = kept["rate_6m"].notna()
    assert (shown.sum(), kept["rates_secret"].sum(), kept["leavers_secret"].sum()) == (14_306, 14_981, 3_265)
    assert kept.loc[~shown & ~kept["rates_secret"], "studying_on"].eq(kept["students"]).all()
    assert kept.loc[shown, "leavers"].min() == 20


@pytest.mark.parametrize("contract", [TENSION, MARKET, INSERTION])
def test_a_contract_names_columns_it_has(contract):
    named = {*contract.key, contract.volume, contract.period, contract.known_from, *contract.sums, *contract.later}
    assert named | {cell for cells in contract.later.values() for cell in cells} <= set(contract.names)

"""What ``needs check`` tells of a file: figures a person can compare, every fault with its line, and a verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.sources import SOURCES
from needs.cli import app
from needs.home import Home
from needs.params import load_params
from needs.show.checked import Told, tell_check

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
real = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")
BMO = "annee;Code métier BMO;BE24;REG;Dept;met;xmet;smet\n"
SIGNALS = ";".join(SOURCES["signals"].contract.headers) + "\n"
SIGNAL = "2025-03-01;BE;4415;ROME;{};1;12;comité;bois {};2026-03-01\n"


def told(folder: Path, source: str, *contents: str) -> Told:
    paths = [folder / f"{number}.csv" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content, encoding="utf-8")
    return tell_check(Home(folder), source, paths, load_params(folder / "params.yaml"))


def line(text: str, head: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"  {head} ")).removeprefix(f"  {head}").strip()


def test_a_national_file_is_told_whole_and_by_its_part_of_the_region(tmp_path):
    rows = ["2024;A0X40;4415;44;08;120;*;5", "2024;A0X40;3202;32;02;30;5;*", "2024;Z9Z99;101;01;971;1000;*;*"]
    told_of, faults = told(tmp_path, "bmo", BMO + "\n".join(rows))
    assert faults == ()
    assert line(told_of, "rows") == "3 rows read, 3 sound, 0 wrong, 0 repeated"
    assert line(told_of, "known from") == "2024-04-15"
    assert line(told_of, "territories") == "3 bassins, 3 départements, 3 régions"
    assert line(told_of, "sums") == "projects 1,150, difficult 5, seasonal 5"
    assert line(told_of, "the Region") == "1 row: 1 bassin, 1 département, 1 région"
    assert "projects 120, difficult –, seasonal 5" in told_of
    assert "1 row of what touches it, kept too" in told_of
    assert "1 row from elsewhere, left out" in told_of
    assert line(told_of, "secrets").startswith("projects 0, difficult 2, seasonal 2")
    assert line(told_of, "unknown") == "family Z9Z99: 1 row, volume 1,000"
    assert line(told_of, "verdict") == "the engine may use it"


def test_each_file_has_its_part_and_a_bad_one_hides_no_other(tmp_path):
    good, bad = SIGNALS + SIGNAL.format("H2206", 1), "<html>503</html>"
    told_of, faults = told(tmp_path, "signals", good, bad, good)
    assert told_of.count("the engine may use it") == 2
    assert [str(tmp_path / "1.csv") in fault for fault in faults] == [True]


def test_faults_come_with_their_lines_and_too_many_of_them_are_refused(tmp_path):
    rows = [SIGNAL.format("H2206", number) for number in range(3)] + ["2025-02-30;BE;4415;ROME;H2206;1;;;;\n"] * 12
    told_of, faults = told(tmp_path, "signals", SIGNALS + "".join(rows))
    assert line(told_of, "faults") == "line 5: date is not a date like 2025-03-31"
    assert "and 2 more wrong rows" in told_of
    assert "12 × date is not a date" in told_of
    assert line(told_of, "verdict").startswith("refused: more than 2.0%")
    assert [str(tmp_path / "0.csv") in fault for fault in faults] == [True]


def test_the_command_ends_with_two_when_a_file_may_not_be_used(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(SIGNALS + SIGNAL.format("H2206", 1), encoding="utf-8")
    call = ["--home", str(tmp_path), "check", "signals", str(path)]
    assert CliRunner().invoke(app, call).exit_code == 0
    path.write_text(SIGNALS + "2025;BE\n", encoding="utf-8")
    assert CliRunner().invoke(app, call).exception is not None
    assert not (tmp_path / "var").exists(), "nothing is loaded, and nothing is written"


def test_a_grouping_of_communes_is_told_and_columns_that_hold_nothing_are_named(tmp_path):
    headers = ";".join(SOURCES["territories"].contract.headers)
    told_of, _ = told(tmp_path, "territories", f"{headers}\n67482;Strasbourg;67;4441;4411;;MR01;48.5;7.7;280000\n")
    assert line(told_of, "sums") == "population 280,000"
    assert line(told_of, "empty") == "columns that hold nothing: epci"


@real
@pytest.mark.parametrize(
    ("source", "file", "words"),
    [
        ("bmo", "bmo/Base_open_data_BMO_2023.xlsx", ["405 bassins", "projects 3,013,134", "43 bassins", "projects 200,180"]),
        ("bmo", "bmo/Base_open_data_BMO_2024.xlsx", ["406 bassins", "projects 2,751,069", "43 bassins", "projects 189,816"]),
        ("offers", "offers/offres_v2_search_response_150.json", ["150 rows read", "positions 198"]),
        ("market", "dares/tensions_rome_bassin_2021_mobiville.csv", ["27,135 rows read", "403 bassins", "offers 7,098,164"]),
    ],
)
def test_the_sums_of_real_files_are_the_publisher_s(tmp_path, source, file, words):
    told_of, faults = tell_check(Home(tmp_path), source, [SHARED / file], load_params(tmp_path / "params.yaml"))
    assert faults == ()
    assert [word for word in words if word not in told_of] == []

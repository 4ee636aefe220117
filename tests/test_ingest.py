"""The door of the lake: each source whole or not at all, whatever dies; people under pseudonyms; no code dropped."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
from homes import copy_home, gathered
from pandas.testing import assert_frame_equal

import processes
from features.contracts import fingerprint
from features.sources import SOURCES
from features.tables import CONTRACT
from features.vocabulary import InputError
from needs.home import Home
from needs.params import IngestParams, load_params
from needs.privacy import pseudonym
from needs.run.ingest import ingest
from needs.run.lock import alone
from needs.run.pipeline import compute
from needs.show.checked import tell_check
from needs.show.messages import say
from needs.store.lake import KnownTables, newest_day, read_manifest, read_table, read_tables

CONTRACT_OF = {source.name: source.contract for source in SOURCES.values()}
SIGNALS = ";".join(SOURCES["signals"].contract.headers) + "\n"


def state(home: Home, *, but: str = "") -> dict[str, tuple[int, bytes]]:
    """Say what lies in the lake, a table left out: when each file was written, and its bytes."""
    files = [path for path in home.lake.rglob("*") if path.is_file() and path.relative_to(home.lake).parts[0] != but]
    return {str(path.relative_to(home.lake)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def signals(home: Home, *rows: str) -> Path:
    path = home.raw / "signals" / "signals.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SIGNALS + "\n".join(rows), encoding="utf-8")
    return path


@pytest.fixture
def home(ran: Home, tmp_path: Path) -> Home:
    return copy_home(ran, tmp_path, made=True)


def test_only_the_sources_named_are_read_again(home: Home) -> None:
    signals(home, "2025-03-01;BE;4415;ROME;H2206;1;12;comité;bois;2026-03-01")
    next(home.raw.glob("purchases/*.csv")).write_text("broken", encoding="utf-8")
    before = state(home, but="signals")
    arrivals = ingest(home, IngestParams(), ["signals"])
    assert [(arrival.source, arrival.kept) for arrival in arrivals] == [("signals", 1)]
    assert state(home, but="signals") == before
    assert read_table(home.lake, CONTRACT["signals"])["code"].tolist() == ["H2206"]
    with pytest.raises(InputError, match="'signal' is not a source"):
        ingest(home, IngestParams(), ["signal"])


def test_a_refused_source_stays_as_it_was_and_the_others_are_loaded(home: Home) -> None:
    signals(home, "2025-03-01;BE;4415;ROME;H2206;1;12;comité;bois;2026-03-01")
    broken = next(home.raw.glob("purchases/*.csv"))
    broken.write_text("<html>503</html>", encoding="utf-8")
    kept = read_table(home.lake, CONTRACT["purchases"])
    with pytest.raises(InputError) as refusal:
        ingest(home, IngestParams())
    assert [str(broken) in fault for fault in refusal.value.faults] == [True]
    assert_frame_equal(read_table(home.lake, CONTRACT["purchases"]), kept)
    assert read_table(home.lake, CONTRACT["signals"])["code"].tolist() == ["H2206"]


def test_the_manifest_says_what_the_lake_holds(home: Home) -> None:
    for name, contract in CONTRACT.items():
        manifest, rows = read_manifest(home.lake, contract), read_table(home.lake, contract)
        # A region that is drawn has no registers and no moves, though others of their folders are there.
        assert (manifest is None) == (
            name in ("registrations", "mobilities") or not any(home.raw.glob(f"{SOURCES[name].folder}/*"))
        )
        if manifest:
            assert (manifest.source, manifest.rows) == (name, len(rows))
            assert manifest.sha256 == fingerprint(iter([(name, rows)]))
            assert not contract.known_from or rows.empty or manifest.known_from == f"{rows[contract.known_from].max():%Y-%m-%d}"


@pytest.mark.long
@pytest.mark.parametrize("after", [0.0, 0.05, 0.15, 0.3, 0.6])
def test_killed_at_any_moment_it_leaves_the_table_of_before_or_the_new_one(home: Home, tmp_path: Path, after: float) -> None:
    """A process is killed for real, while it replaces the table again and again."""
    old = read_table(home.lake, CONTRACT["offers"])
    offers = next(home.raw.glob("offers/*"))
    begun = tmp_path / "begun"
    writer = processes.start(processes.replace_offers, home.lake, begun)
    while not begun.exists():
        assert writer.is_alive()
        time.sleep(0.001)
    time.sleep(after)
    writer.kill()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    left = read_table(home.lake, CONTRACT["offers"])
    manifest = read_manifest(home.lake, CONTRACT["offers"])
    assert manifest
    assert len(left) == manifest.rows
    assert len(left) in {len(old), len(old.iloc[::2])}
    assert offers.exists()
    ingest(home, IngestParams(), ["offers"])
    assert_frame_equal(read_table(home.lake, CONTRACT["offers"]), old)


@pytest.mark.long
def test_no_identifier_of_a_person_passes_the_door(home: Home) -> None:
    raw = pd.concat([pd.read_csv(path, sep=";", dtype="str") for path in home.raw.glob("jobseekers/*.csv")])
    people = set(raw["id_personne"])
    key = os.environ["NEEDS_PSEUDONYM_KEY"]
    stored = read_table(home.lake, CONTRACT["jobseekers"])["person"]
    assert set(stored) <= {pseudonym(key, person) for person in people}
    written = b"".join(path.read_bytes() for path in (home.root / "var").rglob("*") if path.is_file())
    assert not [person for person in people if person.encode() in written]


@pytest.mark.long
def test_unknown_codes_are_listed_with_their_volume_and_cost_no_row(home: Home) -> None:
    row = "2025-03-01;BE;4415;{};{};1;12;comité;{};2026-03-01"
    rows = [row.format("ROME", "Z9999", "a"), row.format("ROME", "Z9999", "b"), row.format("FORMACODE", "99999", "c")]
    signals(home, *rows, row.format("ROME", "A1102", "d"), row.format("SECTEUR", "commerce", "e"))
    (arrival,) = ingest(home, IngestParams(), ["signals"])
    listed = pd.read_csv(home.unknown / "signals.csv", sep=";")
    assert listed.values.tolist() == [["code", "Z9999", 2, 24.0], ["code", "99999", 1, 12.0]]
    assert (arrival.kept, arrival.rejected) == (5, 0)
    codes = read_table(home.lake, CONTRACT["signals"])["code"]
    assert sorted(codes) == ["99999", "A1101", "Z9999", "Z9999", "commerce"], "a leaf of ROME 4 counts in its parent"
    told = compute(gathered(home, ["signals"])).tables["digest"]["message"]
    assert any("2 codes de la source" in message and "avis des territoires" in message for message in told)
    signals(home, row.format("ROME", "A1101", "a"))
    ingest(home, IngestParams(), ["signals"])
    assert not (home.unknown / "signals.csv").exists()


def test_a_file_name_never_becomes_a_formula(home: Home) -> None:
    signals(home).rename(home.raw / "signals" / "=cmd.csv").write_text(SIGNALS + "2025;BE\n", encoding="utf-8")
    ingest(home, IngestParams(reject_budget=1.0), ["signals"])
    listed = pd.read_csv(home.rejected / "signals.csv", sep=";")
    assert listed["file"].tolist() == ["'=cmd.csv"]


def test_a_pipe_among_the_files_neither_blocks_nor_empties_the_table(home: Home) -> None:
    signals(home, "2025-03-01;BE;4415;ROME;H2206;1;12;comité;bois;2026-03-01")
    ingest(home, IngestParams(), ["signals"])
    os.mkfifo(home.raw / "signals" / "more.csv")
    with pytest.raises(InputError, match="is a pipe"):
        ingest(home, IngestParams(), ["signals"])
    assert len(read_table(home.lake, CONTRACT["signals"])) == 1


TERRITORIES = ";".join(SOURCES["territories"].contract.headers) + "\n"


@pytest.mark.parametrize("rows", ["67482;Strasbourg;67;4441;4411;;MR01;48°35;7.7;280000\n", ""])
def test_a_refused_grouping_of_communes_stops_everything_before_any_row_lies_outside(home: Home, rows: str) -> None:
    before = state(home)
    (home.raw / "territories").mkdir(exist_ok=True)
    (home.raw / "territories" / "t.csv").write_text(TERRITORIES + rows, encoding="utf-8")
    with pytest.raises(InputError):
        ingest(home, IngestParams())
    assert state(home) == before


def test_files_without_a_row_never_empty_a_table_but_removing_them_does(home: Home) -> None:
    path = signals(home, "2025-03-01;BE;4415;ROME;H2206;1;12;comité;bois;2026-03-01")
    ingest(home, IngestParams(), ["signals"])
    signals(home)
    with pytest.raises(InputError, match="its files hold no row, and the lake holds 1"):
        ingest(home, IngestParams(), ["signals"])
    assert len(read_table(home.lake, CONTRACT["signals"])) == 1
    for other in path.parent.iterdir():
        other.unlink()
    ingest(home, IngestParams(), ["signals"])
    assert read_table(home.lake, CONTRACT["signals"]).empty


def test_a_table_that_loses_most_of_its_rows_and_a_folder_nobody_reads_are_told(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    path = sorted(home.raw.glob("trainings/*.csv"))[-1]
    kept = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for other in home.raw.glob("trainings/*.csv"):
        other.unlink()
    path.write_text("".join(kept[:20]), encoding="utf-8")
    (home.raw / "signal").mkdir()
    with caplog.at_level(logging.WARNING):
        ingest(home, IngestParams(), ["trainings"])
    assert "is a file cut short or missing?" in caplog.text
    assert f"{home.raw / 'signal'}: is read by nothing" in caplog.text


def test_a_link_that_leaves_one_folder_stops_that_source_only(home: Home) -> None:
    signals(home, "2025-03-01;BE;4415;ROME;H2206;1;12;comité;bois;2026-03-01")
    (home.raw / "bmo" / "loop.xlsx").symlink_to("loop.xlsx")
    before = read_manifest(home.lake, CONTRACT["bmo"])
    with pytest.raises(InputError, match="is a link that leaves"):
        ingest(home, IngestParams())
    assert read_table(home.lake, CONTRACT["signals"])["code"].tolist() == ["H2206"]
    assert read_manifest(home.lake, CONTRACT["bmo"]) == before


def test_a_lake_that_cannot_be_written_is_said_in_words_and_stays(home: Home) -> None:
    signals(home, "2025-03-01;BE;4415;ROME;H2206;1;12;comité;bois;2026-03-01")
    before = state(home)
    shutil.rmtree(home.unknown, ignore_errors=True)
    shutil.rmtree(home.rejected, ignore_errors=True)
    home.rejected.write_text("a file where a folder should be", encoding="utf-8")
    signals(home, "2025;BE")
    with pytest.raises(InputError, match=r"signals\.csv: cannot be read or written .*move it away"), alone(home):
        ingest(home, IngestParams(reject_budget=1.0), ["signals"])
    assert state(home) == before


def test_a_file_that_nobody_knows_leaves_the_tables_of_its_folder_as_they_were(home: Home) -> None:
    path = home.raw / "reference" / "passage.csv"
    path.write_text("Fap;Rome;intitule_rome\nA0Z40;A1416;Polyculture\n", encoding="utf-8")
    ingest(home, IngestParams(), ["reference"])
    before = read_table(home.lake, CONTRACT_OF["occupation_families"])
    assert len(before) == 1
    path.write_text("a;b;c\n1;2;3\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"passage\.csv"):
        ingest(home, IngestParams(), ["reference"])
    assert_frame_equal(read_table(home.lake, CONTRACT_OF["occupation_families"]), before)


@pytest.mark.parametrize("day", ["2024-06-30", "2026-03-31"])
def test_tables_of_a_day_are_counted_as_they_are_read_and_none_is_kept_that_is_not_asked_for_by_name(
    home: Home, day: str
) -> None:
    known = KnownTables(home.lake, pd.Timestamp(day))
    held = [contract for contract in CONTRACT.values() if contract.name != "offers"]
    counts = {contract.name: known.count(contract.name) for contract in held}
    assert counts == {contract.name: len(known.frame(contract)) for contract in held}
    assert known.prints() == read_tables(home.lake).known_at(pd.Timestamp(day)).prints()
    assert not set(counts) & set(vars(known)) - {"overrides"}
    assert known.trainings is known.trainings


def test_what_a_national_file_is_taken_to_be_known_from_does_not_move_the_day_of_a_run(home: Home) -> None:
    before = newest_day(home.lake)
    shutil.rmtree(home.raw / "market")
    path = home.raw / "market" / "2025.csv"
    path.parent.mkdir()
    path.write_text("annee;ROME;cbassin;oee;defm_abc\n2030;A1101;4415;16,6;28,25\n", encoding="utf-8")
    (arrival,) = ingest(home, IngestParams(), ["market"])
    assert arrival.kept == 1
    assert newest_day(home.lake) == before
    assert read_tables(home.lake).newest < pd.Timestamp("2030-01-01")


def test_a_part_of_the_lake_that_is_lost_is_told_and_comes_back_with_the_next_load(home: Home) -> None:
    whole = read_table(home.lake, CONTRACT["offers"])
    next((home.lake / "offers").glob("edition=*/*/part.parquet")).unlink()
    with pytest.raises(InputError, match="needs ingest offers"):
        read_table(home.lake, CONTRACT["offers"])
    ingest(home, IngestParams(), ["offers"])
    assert_frame_equal(read_table(home.lake, CONTRACT["offers"]), whole)


def test_a_correction_that_no_run_could_apply_is_refused_at_the_door(home: Home) -> None:
    header = ";".join(SOURCES["overrides"].contract.headers)
    path = home.raw / "overrides" / "mine.csv"
    for value in ("Z9999>Q0000;poids;7", "H2206>999;poids;0.5"):
        path.write_text(f"{header}\ncrosswalk;{value};A. Martin;avis;2027-01-15;\n", encoding="utf-8")
        with pytest.raises(InputError, match=r"A\. Martin, 2027-01-15"):
            ingest(home, IngestParams(), ["overrides"])
        told = tell_check(home, "overrides", [path], load_params(home.params))
        assert any("A. Martin" in fault for fault in told.faults)


def test_wrong_rows_of_all_france_are_judged_against_all_france(home: Home) -> None:
    rows = [
        f"2024;A0X40;{bassin};01;971;{count};*;*"
        for bassin, count in zip(range(101, 301), ["120"] * 197 + ["x"] * 3, strict=True)
    ]
    path = home.raw / "bmo" / "bmo.csv"
    for other in path.parent.iterdir():
        other.unlink()
    path.write_text("\n".join(["annee;Code métier BMO;BE24;REG;Dept;met;xmet;smet", *rows]), encoding="utf-8")
    (arrival,) = ingest(home, IngestParams(), ["bmo"])
    assert (arrival.kept, arrival.rejected, arrival.outside) == (0, 3, 197)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_source_has_a_name_that_a_planner_reads(language: str) -> None:
    assert all(say(f"source_{name}", language) for name in SOURCES)

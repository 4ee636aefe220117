"""Commands as a user runs them: what they print, their exit codes, and that help is instant."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from homes import copy_home
from publish_frames import LATER, RUN

import processes
from features import facts
from features.vocabulary import InputError
from needs.doctor import examine, healthy, machine
from needs.home import Home
from needs.params import Params, describe_params, load_params
from needs.privacy import key_file, load_key, pseudonym
from needs.run.nightly import run_nightly
from needs.show.figures import count
from needs.show.terminal import tell_match, tell_plan, tell_report, tell_rollback, tell_runs
from needs.store.publish import list_runs, open_database, publish


def run(home: Path, *words: str, code: int = 0, **env: str) -> str:
    done = processes.run(processes.command, "--home", str(home), *words, env=env)
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    return done.out + done.err


@pytest.mark.parametrize(("words", "code", "told"), [(("doctor",), 2, "missing  offers"), (("params",), 0, "matching.uptake")])
def test_a_command_starts_from_nothing(tmp_path: Path, words: tuple[str, ...], code: int, told: str) -> None:
    """The other commands here are forked from a process that has imported the engine already."""
    command = [sys.executable, "-c", "from needs.cli import main; main()", "--home", str(tmp_path), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, told in done.stdout, done.stderr) == (code, True, "")


@pytest.fixture(scope="module")
def home(ran: Home) -> Path:
    return ran.root


def test_the_plan_is_shown_with_its_total_and_for_one_territory(home: Path, published: dict[str, pd.DataFrame]) -> None:
    lots = published["lots"]
    whole = run(home, "plan")
    assert count(lots["places"].sum(), "fr") in whole
    bassin = lots["territory"].iloc[0]
    told = run(home, "plan", "--territory", bassin)
    assert len(told.splitlines()) == (lots["territory"] == bassin).sum() + 3
    title = facts.territories().set_index("territory")["title"][bassin]
    assert tell_plan(Home(home), load_params(home / "params.yaml"), title.upper()) == told.strip()


@pytest.mark.parametrize("territory", ["4441", "BE9999", "", "Atlantis"])
def test_a_territory_that_is_not_there_is_refused_with_those_that_are(home: Path, territory: str) -> None:
    with pytest.raises(InputError, match=r"BE4441 \(Strasbourg\)"):
        tell_plan(Home(home), load_params(home / "params.yaml"), territory)


def _listed(home: Path) -> pd.DataFrame:
    """Read who was looking for work on the last day, with their pseudonyms. One row per person."""
    paths = sorted((home / "data/raw/jobseekers").glob("*.csv"))
    everybody = pd.concat([pd.read_csv(path, sep=";", dtype="str") for path in paths])
    last = everybody[everybody["date_observation"] == everybody["date_observation"].max()]
    key = load_key()
    return last.assign(person=[pseudonym(key, name) for name in last["id_personne"]])


@pytest.mark.long
def test_a_person_is_found_by_identifier_and_never_by_another(home: Path, published: dict[str, pd.DataFrame]) -> None:
    first = published["recommendations"].iloc[0]
    people = _listed(home).set_index("person")
    name = people.loc[first["person"], "id_personne"]
    told = run(home, "match", "--person", name)
    assert first["session"] in told
    assert name not in told
    stranger = run(home, "match", "--person", "nobody", code=2)
    assert f"{len(people):,} jobseekers" in stranger
    assert "nobody" not in stranger


def test_who_is_proposed_nothing_is_told_why(home: Path, published: dict[str, pd.DataFrame]) -> None:
    people = _listed(home)
    objecting = people[people["opposition"] == "1"]["id_personne"]
    assert "s'oppose" in run(home, "match", "--person", objecting.iloc[0])
    without = people[(people["opposition"] != "1") & ~people["person"].isin(published["recommendations"]["person"])]
    assert "Aucune formation" in run(home, "match", "--person", without["id_personne"].iloc[0])


def test_a_read_command_makes_neither_a_key_nor_a_database(home: Path, tmp_path: Path) -> None:
    bare = Home(tmp_path)
    for command in (partial(tell_plan, territory=None), partial(tell_match, person="P1"), tell_report):
        with pytest.raises(InputError, match="Nothing has been published yet"):
            command(bare, Params())
    assert "Nothing has been published yet" in run(tmp_path, "rollback", code=2)
    assert "Nothing has been published yet" in tell_runs(bare, Params())
    examine(bare, ())
    assert list(tmp_path.iterdir()) == []
    key = tmp_path / "pseudonym.key"
    run(home, "match", "--person", "P1", code=2, NEEDS_PSEUDONYM_KEY="", NEEDS_PSEUDONYM_KEY_FILE=str(key))
    assert not key.exists()


@pytest.mark.long
def test_the_report_speaks_the_language_asked_for(home: Path) -> None:
    page = Path(run(home, "--set", "show.language=en", "report").splitlines()[0])
    assert 'lang="en"' in page.read_text(encoding="utf-8")
    run(home, "report")
    assert 'lang="fr"' in page.read_text(encoding="utf-8")


def test_runs_are_listed_and_there_is_nothing_to_go_back_to(home: Path) -> None:
    told = run(home, "runs")
    assert told.startswith("* 20260331-")
    assert told.splitlines()[-1] == "* = current"
    assert "no run before" in run(home, "rollback", code=2)
    assert "nothing-like-it" in run(home, "rollback", "nothing-like-it", code=2)


def test_check_says_what_is_in_a_file_and_what_is_wrong_with_it(home: Path, tmp_path: Path) -> None:
    sound = next((home / "data/raw/purchases").glob("*.csv"))
    assert "the engine may use it" in run(home, "check", "purchases", str(sound))
    text = sound.read_text(encoding="utf-8")
    bare = tmp_path / "bare.csv"
    bare.write_text(text.replace("nb_places", "x").replace("exercice", "y"), encoding="utf-8")
    told = run(home, "check", "purchases", str(bare), code=2)
    assert "nb_places" in told
    assert "exercice" in told
    assert "offers" in run(home, "check", "nothing", str(sound), code=2)
    assert "absent.csv" in run(home, "check", "purchases", str(tmp_path / "absent.csv"), code=2)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("purchase.exercice=2027", "purchase.exercice"),
        ("purchase.exercise=soon", "purchase.exercise"),
        ("matching.uptake=3", "matching.uptake"),
        ("purchase.rules=[{name: a, kind: floor}]", "say either an amount or a share"),
        ("exercise=2027", "purchase.exercise=2027"),
        ("show.language=de", "'fr' or 'en'"),
    ],
)
def test_a_wrong_parameter_is_told_in_words(home: Path, setting: str, told: str) -> None:
    assert told in run(home, "--set", setting, "params", code=2)


def test_every_parameter_says_what_it_means_and_is_printed(home: Path) -> None:
    rows = describe_params(Params())
    assert (rows["meaning"].str.len() > 10).all()
    numbers = rows[rows["default"].str.fullmatch(r"[\d.]+")]
    assert numbers["unit"].str.len().gt(0).all()
    assert numbers["bounds"].str.len().gt(0).all()
    printed = run(home, "--set", "matching.uptake=0.4", "params")
    assert all(f"{name} = " in printed for name in rows["name"])
    assert "matching.uptake = 0.4" in printed


def test_params_that_are_not_yaml_are_refused_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("purchase:\n\texercise: 2027\n", encoding="utf-8")
    assert "params.yaml" in run(tmp_path, "params", code=2)
    (tmp_path / "params.yaml").write_text("- 1\n", encoding="utf-8")
    assert "sections" in run(tmp_path, "params", code=2)
    (tmp_path / "params.yaml").write_text("", encoding="utf-8")
    assert load_params(tmp_path / "params.yaml") == Params()


def test_doctor_says_what_is_missing_and_how_to_get_it(home: Path, tmp_path: Path) -> None:
    told = run(tmp_path, "doctor", code=2)
    assert told.count("needs demo") == 1
    for source in ("offers", "bmo", "purchases"):
        assert f"missing  {source}" in told
    assert "absent   outcomes" in told
    assert "missing" not in run(home, "doctor")


def test_doctor_lets_a_survey_stand_for_offers(tmp_path: Path) -> None:
    for source in ("bmo", "purchases"):
        (tmp_path / "data" / "raw" / source).mkdir(parents=True)
        (tmp_path / "data" / "raw" / source / f"{source}.csv").touch()
    told = run(tmp_path, "doctor")
    assert "absent   offers" in told
    assert "missing" not in told


def test_doctor_finds_a_package_that_is_not_installed() -> None:
    findings = list(machine(["pandas", "no-such-package"]))
    assert not healthy(findings)
    assert [text.split(":")[0] for state, text in findings if state == "missing"] == ["package no-such-package"]


@pytest.mark.long
def test_going_back_writes_the_page_and_the_exports_of_that_run(ran: Home, tmp_path: Path) -> None:
    there = copy_home(ran, tmp_path / "there", made=True)
    (first,) = list_runs(open_database(f"sqlite:///{there.var / 'needs.db'}"))["run_id"]
    second = run_nightly(there, load_params(there.params, ["matching.uptake=0.4"]), "2026-03-31").run_id
    assert first != second
    told = tell_rollback(there, load_params(there.params), None)
    page = there.reports / first / "index.html"
    assert f"{first} is the current run" in told
    assert str(page) in told
    assert "plan_2027.xlsx" in told
    assert first in page.read_text(encoding="utf-8")


@pytest.mark.long
def test_runs_and_rollback_speak_of_the_database_of_the_parameters(
    ran: Home, tmp_path: Path, url: str, published: dict[str, pd.DataFrame]
) -> None:
    there, to = copy_home(ran, tmp_path / "there", made=True).root, ("--set", f"execution.database={url}")
    engine = open_database(url)
    assert "Nothing has been published yet" in run(there, *to, "rollback", code=2)
    for made in (RUN, LATER):
        publish(engine, made, published, published_by="night")
    told = run(there, *to, "runs").splitlines()
    assert [line[:12] for line in told] == [f"* {LATER.run_id}", f"  {RUN.run_id}", "* = current"]
    assert "by night" in told[0]
    assert f"{RUN.run_id} is the current run" in run(there, *to, "rollback")
    assert "by rollback" in run(there, *to, "runs").splitlines()[1]
    assert RUN.run_id in (there / "var/reports" / RUN.run_id / "index.html").read_text(encoding="utf-8")
    engine.dispose()


def test_the_script_of_rights_is_printed_for_a_server_only(tmp_path: Path) -> None:
    assert "right to read the file" in run(tmp_path, "grant", "readers", code=2)
    to = ("--set", "execution.database=postgresql://needs:secret@host/needs")
    told = run(tmp_path, *to, "grant", "readers")
    assert "current_lots" in told
    assert "GRANT SELECT ON runs" in told
    assert "current_recommendations" in run(tmp_path, *to, "grant", "readers", "--with-persons").splitlines()[-2]
    assert "current_recommendations" not in told.splitlines()[-2]
    assert "secret" not in told


def test_demo_refuses_to_write_over_what_is_there(drawn: Home, tmp_path: Path) -> None:
    home = copy_home(drawn, tmp_path)
    assert "data/raw" in run(home.root, "demo", "--scale", "tiny", code=2)
    assert "tiny" in run(tmp_path / "other", "demo", "--scale", "huge", code=2)
    assert "2026-03-31" in run(tmp_path / "other", "demo", "--as-of", "31/03/2026", code=2)


def test_the_first_run_draws_a_key_that_only_its_owner_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEEDS_PSEUDONYM_KEY", raising=False)
    monkeypatch.setenv("NEEDS_PSEUDONYM_KEY_FILE", str(tmp_path / "keys" / "a.key"))
    key = load_key(create=True)
    assert (len(key), load_key()) == (64, key)
    assert key_file().stat().st_mode & 0o777 == 0o600
    assert pseudonym(key, "P1") != pseudonym(key + "x", "P1")


def test_a_home_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "a_file").write_text("", encoding="utf-8")
    for command in (("nightly",), ("demo", "--scale", "tiny")):
        assert "cannot be written" in run(tmp_path / "a_file", *command, code=2)

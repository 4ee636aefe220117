"""Commands as a user runs them: what they print, their exit codes, and that help is instant."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from homes import copy_home

from needs.home import Home
from needs.params import Params, describe_params, load_params
from needs.privacy import key_file, load_key, pseudonym


def run(home: Path, *words: str, code: int = 0, **env: str) -> str:
    command = [sys.executable, "-c", "from needs.cli import main; main()", "--home", str(home), *words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def home(ran: Home) -> Path:
    return ran.root


def test_the_plan_is_shown_with_its_total_and_for_one_territory(home: Path, published: dict[str, pd.DataFrame]) -> None:
    lots = published["lots"]
    whole = run(home, "plan")
    assert f"{lots['places'].sum()}" in whole.replace("\u202f", "")
    bassin = lots["territory"].iloc[0]
    assert len(run(home, "plan", "--territory", bassin).splitlines()) == (lots["territory"] == bassin).sum() + 2
    assert "BE4415" in run(home, "plan", "--territory", "4441", code=2)


def test_a_person_is_found_by_identifier_and_never_by_another(home: Path, published: dict[str, pd.DataFrame]) -> None:
    paths = sorted((home / "data/raw/jobseekers").glob("*.csv"))
    names = pd.concat([pd.read_csv(path, sep=";", dtype="str")["id_personne"] for path in paths]).unique()
    first = published["recommendations"].iloc[0]
    name = next(name for name in names if pseudonym(load_key(), name) == first["person"])
    told = run(home, "match", name)
    assert first["session"] in told
    assert name not in told
    assert "Aucune formation" in run(home, "match", "nobody")


def test_the_report_speaks_the_language_asked_for(home: Path) -> None:
    page = Path(run(home, "--set", "show.language=en", "report").splitlines()[0])
    assert 'lang="en"' in page.read_text(encoding="utf-8")
    run(home, "report")
    assert 'lang="fr"' in page.read_text(encoding="utf-8")


def test_runs_are_listed_and_there_is_nothing_to_go_back_to(home: Path) -> None:
    assert run(home, "runs").startswith("* 20260331-")
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
        ("purchase.rules=[floor]", "no rule can be stated yet"),
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
    assert "needs demo" in run(tmp_path, "doctor", code=2)
    assert "missing  outcomes" not in run(home, "doctor")


def test_demo_refuses_to_write_over_what_is_there(drawn: Home, tmp_path: Path) -> None:
    home = copy_home(drawn, tmp_path)
    assert "data/raw" in run(home.root, "demo", "--scale", "tiny", code=2)
    assert "tiny" in run(tmp_path / "other", "demo", "--scale", "huge", code=2)
    assert "2026-03-31" in run(tmp_path / "other", "demo", "--as-of", "31/03/2026", code=2)


def test_the_first_run_draws_a_key_that_only_its_owner_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEEDS_PSEUDONYM_KEY", raising=False)
    monkeypatch.setenv("NEEDS_PSEUDONYM_KEY_FILE", str(tmp_path / "keys" / "a.key"))
    key = load_key()
    assert (len(key), load_key()) == (64, key)
    assert key_file().stat().st_mode & 0o777 == 0o600
    assert pseudonym(key, "P1") != pseudonym(key + "x", "P1")

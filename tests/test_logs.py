"""What a night writes of itself: one line a record, nothing of a person, and never a reason to fail."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from homes import copy_home
from hypothesis import given
from hypothesis import strategies as st

import processes
from features.vocabulary import InputError
from needs.home import Home
from needs.params import load_params
from needs.privacy import load_key, pseudonym
from needs.run.ingest import ingest
from needs.run.lock import alone
from needs.run.logs import FIELDS, last_log, read_log, recording
from needs.run.progress import step
from needs.show.log import tell_log
from needs.store.lake import ages_of
from needs.store.publish import list_runs, open_database

NAME = "Zoé L'Hôte"
log = logging.getLogger("needs.run.tried")


def clock_from(day: str) -> Callable[[], datetime]:
    """Tick a second at every look."""
    ticks = iter(range(10**6))
    return lambda: datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(seconds=next(ticks))


def only_log(home: Home) -> Path:
    (path,) = home.logs.iterdir()
    return path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_step_says_when_it_starts_how_long_it_takes_its_rows_and_its_memory(home: Home) -> None:
    with recording(home, 7, clock_from("2026-03-31"), options={"as_of": "2026-03-30"}), step("ranking") as rows:
        log.info("run %s", "R1", extra={"run_id": "R1", "as_of": "2026-03-30", "ages": {"offers": 2}})
        rows |= {"options in": 3, "rows": 9}
    path = only_log(home)
    assert path.name == f"20260331T000000Z-{os.getpid()}.jsonl"
    told = read_log(path)
    assert list(told["event"]) == ["opened", "started", "said", "ended", "closed"]
    assert told["opened"][0]["as_of"] == "2026-03-30"
    assert list(told["at"]) == [f"2026-03-31T00:00:0{second}.000+00:00" for second in range(1, 6)]
    assert list(told["step"][1:4]) == ["ranking"] * 3
    assert told["run_id"].notna().tolist() == [False, False, True, True, True]
    assert (told["rows"][3], told["ages"][2]) == ({"options in": 3, "rows": 9}, {"offers": 2})
    assert 0 <= told["seconds"][3] <= told["seconds"][4]
    assert told["peak_mb"][3] > 1
    assert told["exit_code"][4] == 0


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("wrong"), 2, "refused"),
        (ValueError("wrong"), 1, "a bug"),
        (KeyboardInterrupt(), 130, "stopped"),
        (SystemExit(143), 143, "stopped"),
        (SystemExit(4), 4, "done in part"),
    ],
)
def test_the_last_line_says_how_the_night_ended(home: Home, error: BaseException, code: int, said: str) -> None:
    with pytest.raises(type(error)), recording(home, 7), step("plan"):
        raise error
    told = read_log(only_log(home))
    assert list(told["event"]) == ["opened", "started", "failed", "closed"]
    last = told.iloc[-1]
    assert (last["exit_code"], last["message"], last["error"]["type"]) == (code, said, type(error).__name__)


def test_a_code_that_no_error_carries_is_told_too(home: Home) -> None:
    with recording(home, 7) as journal:
        journal.exit_code = 4
    assert read_log(only_log(home))["exit_code"].iloc[-1] == 4


def test_an_error_says_where_in_our_code_and_which_file_and_not_what_it_quotes(drawn: Home, tmp_path: Path) -> None:
    home = copy_home(drawn, tmp_path)
    path = next((home.raw / "jobseekers").glob("*_2026-*.csv"))
    path.write_text(f"{NAME};12/03/1981\nP1;x\n", encoding="utf-8")
    with pytest.raises(InputError, match="id_personne"), recording(home, 7):
        ingest(home, load_params(home.params).ingest, ["jobseekers"])
    error = read_log(only_log(home))["error"].iloc[-1]
    assert error["files"] == [f"data/raw/jobseekers/{path.name}"]
    assert any(place.startswith("needs/run/ingest.py:") for place in error["where"])
    assert no_word_of(home, ["Zoé", "Hôte", "1981", str(tmp_path)])


def no_word_of(home: Home, words: list[str]) -> bool:
    text = "\n".join(path.read_text(encoding="utf-8") for path in home.logs.iterdir())
    assert text
    return not [word for word in words if word in text]


def identifiers(home: Home) -> list[str]:
    """Give every identifier of a person in the raw files."""
    paths = [path for source in ("jobseekers", "trainings", "employment") for path in (home.raw / source).glob("*.csv")]
    columns = [pd.read_csv(path, sep=";", dtype="str", usecols=["id_personne"])["id_personne"] for path in paths]
    return pd.concat(columns).unique().tolist()


def test_a_night_tells_of_nobody(ran: Home) -> None:
    people, key = identifiers(ran), load_key()
    assert len(people) > 1000
    assert no_word_of(ran, [*people, *(pseudonym(key, person) for person in people), str(ran.root)])
    told = read_log(only_log(ran))
    steps = told[told["event"] == "ended"]
    assert {"read jobseekers", "lake", "features", "matches", "publish"} <= set(steps["step"])
    assert (steps["seconds"].ge(0) & steps["peak_mb"].gt(1) & steps["rows"].map(bool)).all()
    assert told["ages"].dropna().iloc[0] == ages_of(ran.lake, pd.Timestamp("2026-03-31"))


@pytest.mark.parametrize("wrong", [1, 400], ids=["set aside", "refused"])
def test_a_wrong_row_of_a_person_is_counted_and_not_quoted(drawn: Home, tmp_path: Path, wrong: int) -> None:
    home = copy_home(drawn, tmp_path)
    path = next((home.raw / "jobseekers").glob("*_2026-*.csv"))
    _, first, *_ = path.read_text(encoding="utf-8").splitlines()
    cells = first.split(";")
    rows = [";".join([f"{NAME} {number}", cells[1], "Rue des Lilas", "autre", *cells[4:]]) for number in range(wrong)]
    path.write_text("\n".join([path.read_text(encoding="utf-8").rstrip(), *rows]) + "\n", encoding="utf-8")
    refused = pytest.raises(InputError, match="are wrong") if wrong > 1 else None
    with recording(home, 7):
        if refused:
            with refused:
                ingest(home, load_params(home.params).ingest, ["jobseekers"])
        else:
            ingest(home, load_params(home.params).ingest, ["jobseekers"])
    assert no_word_of(home, ["Zoé", "Hôte", "Lilas", *identifiers(home)])


def test_who_decided_is_not_in_the_log_of_a_decision_that_is_refused(home: Home) -> None:
    lines = [
        "objet;cle;champ;valeur;auteur;motif;date;expire_le",
        f"crosswalk;no link at all;poids;0,4;{NAME};accord;2026-02-01;",
    ]
    (home.root / "overrides").mkdir()
    (home.root / "overrides" / "crosswalks.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="Zoé"), recording(home, 7):
        ingest(home, load_params(home.params).ingest, ["overrides"])
    assert no_word_of(home, ["Zoé", "Hôte", "accord"])


@given(
    cell=st.text(st.characters(codec="utf-8"), min_size=1).map(lambda text: f"«{text}»secret{text}"),
    mark=st.sampled_from("'\""),
)
def test_what_stands_in_quotes_is_left_out_whatever_it_holds(
    tmp_path_factory: pytest.TempPathFactory, cell: str, mark: str
) -> None:
    home = Home(tmp_path_factory.mktemp("quoted"))
    with recording(home, 7):
        log.warning("%s: sheet %s is hidden and not read.", home.raw / "a.xlsx", f"{mark}{cell}{mark}")
    (said,) = read_log(only_log(home)).query("event == 'said'")["message"]
    assert said == "data/raw/a.xlsx: sheet '…' is hidden and not read."


def test_of_what_others_say_only_the_kind_is_kept(home: Home) -> None:
    with recording(home, 7):
        logging.getLogger("sqlalchemy").warning("row of %s", NAME)
        warnings.warn(f"cell {NAME}", RuntimeWarning, stacklevel=1)
    said = read_log(only_log(home)).query("event == 'said'")
    assert list(said["logger"]) == ["sqlalchemy", "py.warnings"]
    assert said["message"].iloc[1] == "RuntimeWarning"
    assert no_word_of(home, ["Zoé"])


def test_lines_of_many_threads_are_whole(home: Home) -> None:
    def say() -> None:
        for number in range(200):
            log.info("line %d of %s", number, "x" * 2000)

    with recording(home, 7):
        threads = [threading.Thread(target=say) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(read_log(only_log(home))) == 2 + 8 * 200


def test_a_last_line_cut_short_is_left_out_and_a_damaged_one_is_told(home: Home) -> None:
    with recording(home, 7):
        pass
    path = only_log(home)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert list(read_log(path)["event"]) == ["opened"]
    assert "killed" in tell_log(home, "en")
    path.write_bytes(b"")
    assert list(read_log(path)) == list(FIELDS)
    path.write_bytes(b'{"at": \n' + whole)
    with pytest.raises(InputError, match="line 1 is damaged"):
        read_log(path)


def full_disk(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/full")


def no_folder(path: Path) -> None:
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("not a folder", encoding="utf-8")


@pytest.mark.parametrize("spoil", [full_disk, no_folder])
def test_a_log_that_cannot_be_written_is_told_once_and_stops_nothing(
    home: Home, capfd: pytest.CaptureFixture[str], spoil: Callable[[Path], None]
) -> None:
    spoil(home.logs / f"20260331T000000Z-{os.getpid()}.jsonl")
    done = 0
    with recording(home, 7, clock_from("2026-03-31")):
        for _ in range(3):
            with step("plan") as rows:
                rows["rows"] = done = done + 1
    assert done == 3
    assert capfd.readouterr().err.count("the log cannot be written") == 1


def test_the_newest_logs_are_kept_and_nothing_else_is_removed(home: Home) -> None:
    for day in range(1, 31):
        with recording(home, 7, clock_from(f"2026-03-{day:02}")):
            pass
    (home.logs / "notes.txt").write_text("mine", encoding="utf-8")
    with recording(home, 7, clock_from("2026-03-31")):
        pass
    kept = sorted(path.name[:8] for path in home.logs.iterdir())
    assert kept == [*(f"202603{day}" for day in range(25, 32)), "notes.tx"]
    assert (last_log(home) or Path()).name.startswith("20260331")


def test_after_the_night_nothing_listens_any_more(home: Home) -> None:
    root, ours = logging.getLogger(), logging.getLogger("needs")
    before = (list(root.handlers), ours.level, warnings.showwarning)
    with recording(home, 7):
        pass
    assert (list(root.handlers), ours.level, warnings.showwarning) == before


# The command line -------------------------------------------------------------------------------------------------------


def test_the_last_night_is_shown_in_both_languages(ran: Home) -> None:
    french, english = tell_log(ran, "fr"), tell_log(ran, "en")
    assert len(french.splitlines()) == len(english.splitlines()) > 20
    assert "code de sortie 0" in french
    assert "exit code 0" in english
    assert "people in" in next(line for line in english.splitlines() if line.startswith("matches"))
    assert "is logged" in tell_log(Home(ran.root / "elsewhere"), "en")


@pytest.fixture
def again(ran: Home, tmp_path: Path) -> Iterator[Home]:
    home = copy_home(ran, tmp_path / "again", made=True)
    for made in (home.logs, home.lake, home.stages):  # there is something to read, to make and to publish
        shutil.rmtree(made)
    home.params.write_text(f"{home.params.read_text(encoding='utf-8')}\nranking: {{emerging_share: 0.2}}\n", encoding="utf-8")
    yield home
    with alone(home):  # whatever happened, the home is free
        pass
    assert len(list_runs(open_database(f"sqlite:///{home.var / 'needs.db'}")).query("current")) == 1


@pytest.mark.long
def test_quiet_keeps_the_terminal_silent_and_the_log_whole(again: Home) -> None:
    done = processes.run(processes.command, "--home", str(again.root), "--quiet", "nightly")
    assert (done.code, done.err) == (0, "")
    assert {"read offers", "lake", "publish"} <= set(read_log(only_log(again)).query("event == 'ended'")["step"])
    shown = processes.run(processes.command, "--home", str(again.root), "log")
    assert "publish" in shown.out


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_night_in_one_line(again: Home, tmp_path: Path, number: signal.Signals, code: int) -> None:
    process = processes.begin(tmp_path, processes.command, "--home", str(again.root), "--quiet", "nightly")
    while not (list(again.logs.glob("*")) and '"read offers"' in only_log(again).read_text(encoding="utf-8")):
        assert process.is_alive(), (tmp_path / "err").read_text(encoding="utf-8")
        time.sleep(0.02)
    os.kill(process.pid or 0, number)
    done = processes.ended(process, tmp_path)
    assert (done.code, done.out) == (code, "")
    assert done.err == f"Stopped ({code}). What was published before is as it was.\n"
    last = read_log(only_log(again)).iloc[-1]
    assert (last["exit_code"], last["message"]) == (code, "stopped")


def test_a_killed_night_loses_no_line_that_was_written(again: Home, tmp_path: Path) -> None:
    process = processes.begin(tmp_path, processes.command, "--home", str(again.root), "nightly")
    while not (list(again.logs.glob("*")) and '"read offers"' in only_log(again).read_text(encoding="utf-8")):
        assert process.is_alive()
        time.sleep(0.02)
    process.kill()
    assert processes.ended(process, tmp_path).code == -signal.SIGKILL
    assert json.loads(only_log(again).read_text(encoding="utf-8").splitlines()[0])["event"] == "opened"
    assert "read offers" in set(read_log(only_log(again))["step"])

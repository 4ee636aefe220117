"""The night as systemd, cron and a container start it: what each says, and the command run in the environment each gives."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from homes import copy_home
from operating_files import CONTAINER, CRON, FOLDER, SERVICE, TIMER, cron, directives, instructions

from needs.home import Home
from needs.privacy import load_key
from needs.run.logs import last_log, read_log

pytestmark = pytest.mark.long

ROOT = FOLDER.parents[1]
PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
INSTALLED, HOME, KEY = "/opt/skills-needs", "/srv/region", "/etc/skills-needs/pseudonym.key"
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed (see .ci/run)")


def analyze(*words: str | Path) -> tuple[int, str]:
    command = ["systemd-analyze", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the one of the installation: bin/needs is this code, whatever the environment and the folder."""
    script = tmp_path_factory.mktemp("opt") / "bin" / "needs"
    script.parent.mkdir()
    started = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from needs.cli import main; main()"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{started}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return script.parents[1]


@pytest.fixture(scope="module")
def home(ran: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return copy_home(ran, tmp_path_factory.mktemp("srv") / "region", made=True)


# systemd ----------------------------------------------------------------------------------------------------------------


@needs_systemd
@pytest.mark.parametrize(
    ("spoilt", "told"), [(("Nice=", "Nise="), "Unknown key"), (("=oneshot", "=onshot"), "onshot"), (("", ""), "")]
)
def test_systemd_understands_every_directive_of_the_units(
    installed: Path, tmp_path: Path, spoilt: tuple[str, str], told: str
) -> None:
    for unit in (SERVICE, TIMER):
        text = unit.read_text(encoding="utf-8").replace(INSTALLED, str(installed)).replace(*spoilt, 1)
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    code, shown = analyze("verify", "--man=no", tmp_path / SERVICE.name, tmp_path / TIMER.name)
    assert (told in shown) if told else ((code, shown) == (0, ""))


@needs_systemd
def test_the_timer_begins_one_night_a_day_also_when_clocks_change() -> None:
    when = dict(directives(TIMER))["OnCalendar"]
    _, shown = analyze("calendar", "--base-time=2026-01-01", "--iterations=1096", when)
    starts = [datetime.fromisoformat(found + "+00:00") for found in re.findall(r": \w{3} ([\d-]+ [\d:]+) UTC", shown)]
    local = [start.astimezone(ZoneInfo("Europe/Paris")) for start in starts]
    assert len({start.date() for start in local}) == len(local) == 1096
    assert {f"{start:%H:%M}" for start in local} == {"03:30"}
    minute, hour, *rest = cron().when.split()
    assert (f"{int(hour):02}:{int(minute):02}", rest) == ("03:30", ["*"] * 3)


@needs_systemd
def test_the_unit_is_as_closed_as_it_can_be() -> None:
    _, shown = analyze("security", "--offline=true", "--no-pager", SERVICE)
    exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", shown)
    assert exposure
    assert float(exposure.group(1)) <= 2.5


def test_the_unit_can_write_all_that_the_night_writes() -> None:
    unit = dict(directives(SERVICE))
    env = dict(value.split("=", 1) for name, value in directives(SERVICE) if name == "Environment")
    assert unit["ReadWritePaths"] == unit["WorkingDirectory"] == HOME
    assert f"--home {HOME} nightly" in unit["ExecStart"]
    assert env["NUMBA_CACHE_DIR"] == f"%C/{unit['CacheDirectory']}"
    assert unit["LoadCredential"] == f"{Path(env['NEEDS_PSEUDONYM_KEY_FILE']).name}:{KEY}"
    assert "MemoryDenyWriteExecute" not in unit
    assert int(unit["SuccessExitStatus"]) == 128 + signal.SIGTERM


# The commands -----------------------------------------------------------------------------------------------------------


def command_of(started_by: str, installed: Path, home: Home, tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    """Give the words that systemd or cron starts and the only environment they get, with the paths of a test."""
    if started_by == "systemd":
        words = dict(directives(SERVICE))["ExecStart"].split()
        env = dict(value.split("=", 1) for name, value in directives(SERVICE) if name == "Environment")
        env |= {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8", "USER": "skills-needs"}
    else:
        words, env = ["/bin/sh", "-c", cron().command], cron().env | {"HOME": str(tmp_path), "LOGNAME": cron().user}
    paths = {INSTALLED: str(installed), HOME: str(home.root), KEY: f"{tmp_path}/pseudonym.key"}
    paths |= {"%d": str(tmp_path), "%C": str(tmp_path), "/var/cache": str(tmp_path)}

    def placed(text: str) -> str:
        for path, here in paths.items():
            text = text.replace(path, here)
        return text

    return [placed(word) for word in words], {name: placed(value) for name, value in env.items()}


@pytest.mark.parametrize("started_by", ["systemd", "cron"])
@pytest.mark.parametrize(("wrong", "code"), [("", 0), ("purchase: {exercice: 2027}\n", 2)])
def test_the_night_runs_as_it_is_started(
    installed: Path, home: Home, tmp_path: Path, started_by: str, wrong: str, code: int
) -> None:
    (tmp_path / "pseudonym.key").write_text(load_key(), encoding="utf-8")
    words, env = command_of(started_by, installed, home, tmp_path)
    sound = home.params.read_text(encoding="utf-8")
    home.params.write_text(wrong or sound, encoding="utf-8")
    try:
        done = subprocess.run(
            words, env=env, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300
        )
    finally:
        home.params.write_text(sound, encoding="utf-8")
    assert done.returncode == code, done.stderr
    if code:
        assert ("exercice" in done.stderr, done.stdout) == (True, "")
        return
    assert "run 20260331-" in done.stdout
    assert (done.stderr == "") is (started_by == "cron")
    last = last_log(home)
    assert last
    assert read_log(last)["exit_code"].iloc[-1] == 0


def test_cron_reads_every_line_of_its_file() -> None:
    read = cron()
    assert read.env["SHELL"] == "/bin/sh"
    assert read.env["PATH"].split(":")[0] == f"{INSTALLED}/bin"
    assert read.env["NEEDS_PSEUDONYM_KEY_FILE"] == KEY
    assert "%" not in read.command, "cron would end the line there"
    assert CRON.read_text(encoding="utf-8").endswith("\n"), "cron does not read a line without an end"


# The container ----------------------------------------------------------------------------------------------------------


def test_the_container_runs_the_night_as_nobody_in_its_volume() -> None:
    recipe = instructions()
    told = dict(recipe)
    names = [name for name, _ in recipe]
    entry, volume = json.loads(told["ENTRYPOINT"]), told["VOLUME"]
    assert (entry, json.loads(told["CMD"])) == (["needs", "--home", volume], ["nightly"])
    assert names.index("USER") > max(at for at, name in enumerate(names) if name == "RUN"), "root installs, and only root"
    assert re.search(rf"useradd .*\b{told['USER']}\b.* chown {told['USER']} {volume}", next(v for n, v in recipe if n == "RUN"))
    env = dict(value.split("=", 1) for name, value in recipe if name == "ENV")
    assert env["NUMBA_CACHE_DIR"].startswith(f"{volume}/var/")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest, base = (re.search(r"3\.(\d+)", text) for text in (project["requires-python"], told["FROM"]))
    assert lowest
    assert base
    assert int(base.group(1)) >= int(lowest.group(1))


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_container_copies_what_is_there_and_installs_what_it_copied(lock: str) -> None:
    recipe = instructions(LOCK=lock)
    *sources, target = dict(recipe)["COPY"].split()
    wheel = sources.pop()
    assert wheel == "dist/skills_needs-*.whl"
    assert [name for name in sources if not (ROOT / name).exists()] == []
    installs = [value for name, value in recipe if name == "RUN" and value.startswith("pip ")]
    assert all(any(f"{target}{Path(name).name}" in line for line in installs) for name in (*sources, wheel))
    assert ["--require-hashes" in line or "--no-deps" in line for line in installs] == [True, True]


def test_the_page_names_every_file_and_the_files_name_the_page() -> None:
    named = set(re.findall(r"docs/operating/([\w.-]+\w)", PAGE))
    assert named == {path.name for path in FOLDER.iterdir()}
    assert all("docs/operating.md" in path.read_text(encoding="utf-8") for path in (SERVICE, CONTAINER))
    assert {INSTALLED, HOME, KEY} <= set(re.findall(r"/(?:opt|srv|etc)/[\w./-]*\w", PAGE))

"""Build the wheel and run it far from the repository: the whole chain, in a clean environment. Not collected by pytest.

``python tests/wheel_smoke.py`` exits with an error at the first thing that does not hold.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from operating_files import instructions

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("features", "models", "needs")
CALLS = (["--help"], ["demo", "--scale", "tiny"], ["doctor"], ["nightly"])


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="needs-wheel-") as folder:
        wheel = built_wheel(Path(folder, "dist"))
        scripts = clean_environment(Path(folder, "env"), wheel)
        home = Path(folder, "home")
        home.mkdir()
        check_origin(scripts, home)
        for call in CALLS:
            step("needs", *call)
            run(scripts / "needs", *call, cwd=home, HOME=folder)
        check_results(home)
    step("the wheel installs and runs without the repository")


def built_wheel(folder: Path) -> Path:
    """Build the source archive, and the wheel from that archive: what the archive forgets, the wheel lacks."""
    step("build")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def clean_environment(folder: Path, wheel: Path) -> Path:
    """Install the locked packages and the wheel by the very lines of the container's recipe; say where the scripts lie."""
    step("install", wheel.name)
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    scripts = folder / "bin"
    *sources, target = dict(instructions())["COPY"].split()
    copied = folder / "copied"
    copied.mkdir()
    for source in sources:
        shutil.copy(wheel if source.startswith("dist/") else ROOT / source, copied)
    for name, line in instructions():
        if name == "RUN" and line.startswith("pip "):
            path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
            run("/bin/sh", "-c", line.replace(target, f"{copied}/"), cwd=folder, PATH=path)
    run(scripts / "python", "-m", "pip", "check", cwd=folder)
    return scripts


def check_origin(scripts: Path, home: Path) -> None:
    """The three packages come from the installed wheel and from nowhere else."""
    asked = f"import {', '.join(PACKAGES)}; print(*(m.__file__ for m in ({', '.join(PACKAGES)},)), sep='\\n')"
    for origin in run(scripts / "python", "-c", asked, cwd=home).splitlines():
        assert "site-packages" in Path(origin).parts, f"{origin} is not the installed one"


def check_results(home: Path) -> None:
    """The run left its database, its page and its plan, and nothing outside ``data`` and ``var`` but the parameters."""
    made = [path.relative_to(home).as_posix() for path in sorted(home.rglob("*"))]
    assert "var/needs.db" in made, f"no database: {made}"
    for pattern in ("var/reports/*/index.html", "var/exports/plan_*.xlsx", "var/exports/plan_*.csv"):
        assert [path for path in home.glob(pattern) if path.stat().st_size], f"nothing like {pattern}: {made}"
    assert {path.name for path in home.iterdir()} <= {"data", "var", "params.yaml", "overrides"}, made


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """Run a command without the developer's paths and keys; give what it printed, or show it and stop."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "NEEDS_", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=kept | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(map(str, command))} ended with {done.returncode}")
    return done.stdout


def step(*words: str) -> None:
    """Say what comes next, at once."""
    print("wheel smoke:", *words, flush=True)


if __name__ == "__main__":
    main()

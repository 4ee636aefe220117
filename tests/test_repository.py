"""Laws of the repository itself: what is declared, what is packed, how large a thing may be, what never appears."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from typer.main import get_command

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("features", "models", "needs")
MODULES = sorted(path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.py"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("requirements.lock", "requirements-dev.lock")
FILE_LINES, FUNCTION_LINES = 400, 45
BY_NAME = {  # pandas finds these by the name of an engine or of a format, without an import of ours
    "python-calamine": "calamine",
    "pyarrow": "parquet",
    "xlsxwriter": "xlsxwriter",
}
HEAVY = {
    "matplotlib",
    "mlflow",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "lxml",
    "joblib",
    "jinja2",
    "xlsxwriter",
}
MACHINE_PATH = re.compile(r"""(?<![\w.:/*<>{}~-])/(?:work|home|root|Users|mnt)/\w""")
MACHINE_FILES = ("Makefile", ".ci/run", "pyproject.toml", *LOCKS)  # they ask whatever index the machine is set up with
CLOCKS = {"now", "utcnow", "today", "time_ns", "perf_counter", "monotonic"}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), module)


def imported(module: str) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def functions(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def public_functions(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions of the module and methods of its public classes; those inside a function are nobody else's."""
    bodies = [tree(module).body]
    bodies += [node.body for node in tree(module).body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    for body in bodies:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                yield node


def own_files() -> list[Path]:
    """Every file of the repository: what git ignores is left out, and no git is needed to know."""
    ignored = [".git", *(line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split() if line)]
    found = []
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if path.is_file() and not any(fnmatch(part, pattern) for part in parts for pattern in ignored):
            found.append(path)
    return sorted(found)


def declared(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", text, maxsplit=1)[0].lower() for text in requirements}


RUNTIME = declared(PYPROJECT["project"]["dependencies"])
EXTRAS = declared([text for extra in PYPROJECT["project"].get("optional-dependencies", {}).values() for text in extra])


def test_what_is_imported_is_declared() -> None:
    distributions = packages_distributions()
    missing = {}
    for module in MODULES:
        for name in {full.split(".")[0] for full in imported(module)} - set(sys.stdlib_module_names) - set(ROOMS):
            owners = {owner.lower() for owner in distributions.get(name, [name])}
            if not owners & (RUNTIME | EXTRAS):
                missing[module] = name
    assert not missing, "add them to the dependencies in pyproject.toml, then: make lock"


def test_what_is_declared_is_used() -> None:
    distributions = packages_distributions()
    tops = {full.split(".")[0] for module in MODULES for full in imported(module)}
    used = {owner.lower() for name in tops for owner in distributions.get(name, [])}
    code = "\n".join((ROOT / module).read_text(encoding="utf-8") for module in MODULES)
    used |= {name for name, word in BY_NAME.items() if word in code}
    assert RUNTIME - used == set(), "nothing uses them: take them out of pyproject.toml, then: make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_holds_every_declared_package_with_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==(\S+)([^\n]*\n(?:    --hash=sha256:[0-9a-f]{64}[^\n]*\n?)+)", text, flags=re.MULTILINE)
    locked = {name for name, _, _ in pins}
    wanted = RUNTIME if lock == "requirements.lock" else RUNTIME | EXTRAS | declared(PYPROJECT["dependency-groups"]["dev"])
    assert wanted - locked == set(), "run: make lock"
    assert len(pins) == len(re.findall(r"^\S", text, flags=re.MULTILINE)), "a line of the lock has no hash"


def test_both_locks_hold_the_same_versions() -> None:
    runtime, dev = (set(re.findall(r"^\S+==\S+", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)) for lock in LOCKS)
    assert runtime - dev == set(), "run: make lock"


@pytest.mark.parametrize("name", MACHINE_FILES)
def test_the_build_names_no_address(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "://" in line or "index-url" in line.replace("--no-emit-index-url", "")] == []


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = []
    for path in own_files():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="ignore").splitlines(), start=1):
            if MACHINE_PATH.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []


@pytest.mark.parametrize(("text", "found"), [("see /ho" + "me/ann/x", True), ('"/wo' + 'rk/x"', True), ("a/work/b", False)])
def test_a_folder_of_one_machine_is_seen(text: str, found: bool) -> None:
    assert bool(MACHINE_PATH.search(text)) is found


def test_the_wheel_packs_every_package_and_every_file_beside_them() -> None:
    on_disk = {Path(module).parent.as_posix().replace("/", ".") for module in MODULES}
    packed = PYPROJECT["tool"]["setuptools"]["packages"]
    assert sorted(on_disk) == sorted(packed), "the packages in pyproject.toml are not those on disk"
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]
    left_out = []
    for path in (path for path in own_files() if path.suffix != ".py"):
        package = path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        if package.split(".")[0] in ROOMS and not any(fnmatch(path.name, shape) for shape in patterns.get(package, [])):
            left_out.append(path.relative_to(ROOT).as_posix())
    assert left_out == [], "the wheel would lack them: name them in package-data"


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_stay_small(module: str) -> None:
    long = {node.name: node.end_lineno - node.lineno + 1 for node in functions(module) if node.end_lineno}
    assert {name: lines for name, lines in long.items() if lines > FUNCTION_LINES} == {}
    assert len((ROOT / module).read_text(encoding="utf-8").splitlines()) <= FILE_LINES


@pytest.mark.parametrize("module", MODULES)
def test_public_functions_say_what_they_do_and_frames_what_a_row_is(module: str) -> None:
    silent, rowless = [], []
    for node in public_functions(module):
        words = ast.get_docstring(node)
        if not words:
            silent.append(node.name)
        elif (
            node.returns
            and ast.unparse(node.returns) in {"pd.DataFrame", "DataFrame"}
            and not re.search(r"(?i)\brows?\b", words)
        ):
            rowless.append(node.name)
    assert silent == [], "no docstring"
    assert rowless == [], 'the docstring does not say what a row is: "One row per …"'


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith("needs/")])
def test_what_we_know_and_what_we_infer_read_no_clock(module: str) -> None:
    calls = [node.func for node in ast.walk(tree(module)) if isinstance(node, ast.Call)]
    read = {ast.unparse(func) for func in calls if isinstance(func, ast.Attribute) and func.attr in CLOCKS}
    assert read | ({"time"} & set(imported(module))) == set()


def test_help_imports_nothing_heavy() -> None:
    shown = "import sys; from needs.cli import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, encoding="utf-8", check=True)
    loaded = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "typer" in loaded
    assert loaded & HEAVY == set(), "import them inside the functions that use them"


def test_the_readme_names_files_that_are_there() -> None:
    words = re.findall(
        r"(?<![\w/-])(?:features|models|needs|docs|tests|benchmarks)/[\w/.-]*[\w/]", (ROOT / "README.md").read_text("utf-8")
    )
    assert len(words) > 10
    assert [word for word in words if not (ROOT / word).exists()] == []


def test_the_readme_tells_every_command() -> None:
    from needs.cli import app

    commands = set(getattr(get_command(app), "commands", {}))
    told = set(re.findall(r"^\| `needs ([\w-]+)", (ROOT / "README.md").read_text("utf-8"), flags=re.MULTILINE))
    assert commands == told


def test_packed_test_data_holds_no_time() -> None:
    """A time in a parameter gives each worker other tests to collect, now and then."""
    timed = [
        f"{path.name}:{number}"
        for path in sorted((ROOT / "tests").glob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r"gzip\.compress\(\w", line) and "mtime=0" not in line
    ]
    assert not timed

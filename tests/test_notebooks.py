"""Every notebook is carried out, cell by cell, on the tiny region; and none keeps what it showed."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest
from homes import copy_home
from nbclient import NotebookClient

from needs.home import Home

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 120
FEWEST_PICTURES = 3
REAL = "06_real_data"


@pytest.fixture(scope="module")
def home(ran: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that all notebooks share: they only look at it."""
    return copy_home(ran, tmp_path_factory.mktemp("notebooks"), made=True)


def test_all_six_are_there() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06"]


def carried_out(path: Path) -> list[nbformat.NotebookNode]:
    """Carry a notebook out, and give what its cells showed."""
    book = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    NotebookClient(book, timeout=SECONDS, kernel_name="python3", resources=place).execute()
    return [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]


def pictures(told: list[nbformat.NotebookNode]) -> int:
    return sum("image/png" in output.get("data", {}) for output in told)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_to_its_end(path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEEDS_HOME", str(home.root))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    before = sorted(home.root.rglob("*"))
    told = carried_out(path)
    assert pictures(told) >= FEWEST_PICTURES or (path.stem == REAL and "Skipped: " in "".join(map(str, told)))
    assert [output.text for output in told if output.get("name") == "stderr"] == [], "a warning that nobody can act on"
    assert sorted(home.root.rglob("*")) == before


def test_real_files_that_are_not_there_are_skipped_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEEDS_PUBLIC_DATA", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    told = carried_out(ROOT / "notebooks" / f"{REAL}.ipynb")
    assert pictures(told) == 0
    skipped = [line for output in told for line in output.text.splitlines() if line.startswith("Skipped: ")]
    for file in ("Base_open_data_BMO_2023.xlsx", "offres_v2_search_response_150.json", "kldb3_2012_2021.parquet"):
        assert any(file in line for line in skipped)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_as_it_was_written(path: Path) -> None:
    """What it shows tells of people, and of a run that is gone: it is made again, never kept."""
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert book.cells[0].source.startswith(f"# {path.stem[:2]} · ")
    assert all(set(cell.metadata) == set() for cell in book.cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_calls_nothing_private_and_no_mlflow(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    for cell in (cell for cell in book.cells if cell.cell_type == "code"):
        for node in ast.walk(ast.parse(cell.source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [node.attr] if isinstance(node, ast.Attribute) else []
            assert not [name for name in names if name.startswith("_") or name.split(".")[0] == "mlflow"]

"""A survey workbook read, checked and typed, beside openpyxl: loaded as it does by default, by pandas, and cell by cell.

The bound is held to its quickest mode, read-only, which gives bare cells and checks nothing; the others are told too.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

import openpyxl
import pandas as pd
import xlsxwriter

from features.sources import SOURCES
from figures import Figure

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "bmo" / "Base_open_data_BMO_2024.xlsx"
MOST = 0.25
_ROWS = 53_443


def measure() -> list[Figure]:
    """Read the real workbook of 2024, or one of its size."""
    with tempfile.TemporaryDirectory() as folder:
        path, what = (
            (REAL, "BMO 2024") if REAL.exists() else (_drawn(Path(folder) / "b.xlsx"), "a drawn survey, no real one here")
        )
        ours = min(_seconds_of_ours(path) for _ in range(3))
        default, cells = _seconds_of_openpyxl(path, read_only=False), _seconds_of_openpyxl(path, read_only=True)
        start = perf_counter()
        assert len(pd.read_excel(path, sheet_name=-1, engine="openpyxl", dtype="str")) == _ROWS
        by_pandas = perf_counter() - start
    return [
        Figure(f"read and check {what}", ours, "s"),
        Figure("  ÷ openpyxl.load_workbook", ours / default, "×"),
        Figure("  ÷ pandas.read_excel with openpyxl", ours / by_pandas, "×"),
        Figure("  ÷ openpyxl, read-only, bare cells", ours / cells, "×", MOST),
    ]


def _seconds_of_ours(path: Path) -> float:
    start = perf_counter()
    assert len(SOURCES["bmo"].read([path]).kept) == _ROWS
    return perf_counter() - start


def _seconds_of_openpyxl(path: Path, *, read_only: bool) -> float:
    start = perf_counter()
    book = openpyxl.load_workbook(path, read_only=read_only, data_only=True)
    assert sum(1 for _ in book.worksheets[-1].iter_rows(values_only=True)) == _ROWS + 1
    return perf_counter() - start


def _drawn(path: Path) -> Path:
    """Write a workbook with as many rows and columns as the real one."""
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet("BMO")
    headers = ["annee", "Code métier BMO", "Nom métier BMO", "Famille_met", "Lbl_fam_met", "REG", "NOM_REG", "Dept", "NomDept"]
    sheet.write_row(0, 0, [*headers, "BE24", "NOMBE24", "met", "xmet", "smet"])
    for row in range(_ROWS):
        place = ["44", "Grand Est", "08", "Ardennes", f"{row % 10000:04}", "RETHEL"]
        sheet.write_row(
            row + 1, 0, [2024, f"A{row // 10000}Z40", "Agriculteurs", "Z", "Autres métiers", *place, "120", "*", "5"]
        )
    book.close()
    return path

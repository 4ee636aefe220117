"""What was known of a table on a day: rows and cells that became known later might as well not exist."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from features.contracts import Contract
from features.training_tables import PURCHASES, SESSIONS, TRAININGS


def known_rows(contract: Contract, frame: Callable[[Contract], pd.DataFrame], as_of: pd.Timestamp) -> pd.DataFrame:
    """Give the rows of one table that were known on a day; ``frame`` gives all of a table. Some of the rows."""
    rows = frame(contract)
    if contract.code_list:
        return latest_edition(rows, as_of)
    if contract is SESSIONS:
        return _sessions_known_at(rows, PURCHASES.known_at(frame(PURCHASES), as_of), as_of)
    known = contract.known_at(rows, as_of) if contract.known_from else rows
    return _awaiting_entry(known, as_of) if contract is TRAININGS else known


def latest_edition(listed: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Keep the newest edition of a list of codes known at ``as_of``: of several versions in it, the last. Same row."""
    known = listed[listed["known_from"] <= as_of]
    newest: pd.DataFrame = known[known["known_from"] == known["known_from"].max()]
    if "version" in newest:
        newest = newest[newest["version"] == newest["version"].max()]
    return newest.reset_index(drop=True)


def _awaiting_entry(trainings: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Give back to who has not entered yet the status of a prescription. Same rows."""
    ahead = (trainings["status"] == "entre") & (trainings["entered"] > as_of)
    return trainings.assign(status=trainings["status"].mask(ahead, "prescrit")) if ahead.any() else trainings


def _sessions_known_at(sessions: pd.DataFrame, purchases: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Keep the sessions whose lot was notified by ``as_of``, or which had started. Same row: one session."""
    known = sessions["lot"].isin(purchases["lot"]) | (sessions["starts"] <= as_of)
    return SESSIONS.blank_later(sessions[known].reset_index(drop=True), as_of)

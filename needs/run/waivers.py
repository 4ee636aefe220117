"""Who lets a run through a gate: the rows of ``overrides`` whose object is ``gate``.

The key is a gate's name, alone for all its groups, or with one group after a slash (``rows/forecasts``). A waiver holds from
its date until it expires, that day included; it must expire, since the next run is compared with the one that it let through.
"""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd

from features.errors import InputError
from features.tables import OVERRIDES
from needs.run.comparisons import GATES, ROW

SIGNED = ["author", "motive", "expires"]
TOLD = [*ROW, *SIGNED]
ALL_GROUPS = "*"
WAIVED, UNNEEDED, EXPIRED, STRAY = "waived", "unneeded", "expired", "names_nothing"
_KEY = ["gate", "group"]


def read_waivers(overrides: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Read who lets what through, known at ``as_of``. One row per gate, group (``*``: all): author, motive, expires, in_force.

    Of one gate and group the last one counts. Raises one :class:`InputError` that names every row that never expires.
    """
    ours = overrides[(overrides["object"] == "gate") & (overrides["known_from"] <= as_of)]
    endless = ours[ours["expires"].isna()].sort_values("key")
    if len(endless):
        raise InputError(
            *(
                f"overrides: gate '{row['key']}' ({row['author']}, {row['known_from']:%Y-%m-%d}) has no expire_le. A gate is "
                f"let through for a time: write its last day, like {as_of + pd.Timedelta(days=7):%Y-%m-%d}."
                for row in endless.to_dict("records")
            )
        )
    key = ours["key"].astype("str").str.strip()
    group = key.str.replace(r"^[^/]*/?", "", regex=True).replace("", ALL_GROUPS)
    read = ours.assign(gate=key.str.split("/").str[0], group=group, in_force=ours["expires"] >= as_of)
    last = read.sort_values(["known_from", "expires", "author", "motive"], kind="stable").drop_duplicates(_KEY, keep="last")
    return last[[*_KEY, *SIGNED, "in_force"]].sort_values(_KEY, ignore_index=True)


def sign(rows: pd.DataFrame, waivers: pd.DataFrame) -> pd.DataFrame:
    """Say of each gate who lets it through. Same rows, with author, motive, expires; then one per waiver that meets none.

    The ``note`` of a row with a waiver: ``waived``, ``unneeded`` where it held without one, or ``expired``. A waiver of all
    groups signs those that do not hold.
    """
    broken = _broken(rows)
    own = rows[_KEY].merge(waivers, on=_KEY, how="left", validate="one_to_one")
    of_all = waivers[waivers["group"] == ALL_GROUPS].drop(columns="group")
    whole = rows[["gate"]].merge(of_all, on="gate", how="left", validate="many_to_one")[[*SIGNED, "in_force"]]
    in_force, for_all = (side["in_force"].eq(True).to_numpy() for side in (own, whole))
    wide = broken.to_numpy() & ~in_force & (for_all | own["author"].isna().to_numpy())
    used = whole.where(pd.Series(wide), own[[*SIGNED, "in_force"]]).set_axis(rows.index)
    runs = used["in_force"].eq(True)
    notes = [used["author"].isna() | rows["held"].isna(), runs & broken, runs]
    told = np.select(notes, [rows["note"], WAIVED, UNNEEDED], EXPIRED)
    return pd.concat([rows.assign(**used[SIGNED], note=told), _unmet(rows, waivers)], ignore_index=True)[TOLD]


def _broken(rows: pd.DataFrame) -> pd.Series[bool]:
    return rows["held"].eq(False).fillna(value=False).astype(bool)


def _unmet(rows: pd.DataFrame, waivers: pd.DataFrame) -> pd.DataFrame:
    """List the waivers that no row shows: of no gate or group that there is, or of all groups. One row per waiver."""
    met = waivers[_KEY].merge(rows[_KEY], on=_KEY, how="left", indicator=True, validate="one_to_one")["_merge"] == "both"
    left = waivers[~met.to_numpy()]
    stray = ~left["gate"].isin(GATES) | ((left["group"] != ALL_GROUPS) & left["gate"].isin(rows["gate"]))
    needed = (left["group"] == ALL_GROUPS) & left["gate"].isin(rows.loc[_broken(rows), "gate"])
    runs = left["in_force"].astype(bool)
    note = np.select([stray, runs & needed, runs], [STRAY, WAIVED, UNNEEDED], EXPIRED)
    return left.drop(columns="in_force").assign(note=note)


def refused(signed: pd.DataFrame) -> pd.DataFrame:
    """Keep the gates that stop the run: those that do not hold and that nobody lets through. Same rows."""
    return signed[_broken(signed) & (signed["note"] != WAIVED)]


def waiver_line(key: str, as_of: pd.Timestamp, days: int) -> str:
    """Write the line that would let a gate through, as a file of the folder ``overrides`` has it.

    >>> waiver_line("rows/forecasts", pd.Timestamp("2026-03-31"), 7)
    'gate;rows/forecasts;;;NAME;REASON;2026-03-31;2026-04-07'
    """
    until = as_of + pd.Timedelta(days=days)
    line = io.StringIO()
    csv.writer(line, delimiter=";", lineterminator="").writerow(
        ["gate", key, "", "", "NAME", "REASON", f"{as_of:%Y-%m-%d}", f"{until:%Y-%m-%d}"]
    )
    return line.getvalue()


def waiver_header() -> str:
    """Write the head of a file of the folder ``overrides``."""
    return ";".join(column.header or column.name for column in OVERRIDES.columns)

"""Who is available for what employers ask: people who can do the job now, and those whom training will bring.

Flows, not stocks: people *per month*, to be set against the recruitments of the same month.
"""

from __future__ import annotations

import pandas as pd

from features.params import Section, param
from features.vocabulary import month_of


class SupplyParams(Section):
    """How people and seats become a flow."""

    flow_months: int = param(12, "people unemployed for less than this make the flow", unit="months", ge=1, le=24)
    rounding: int = param(
        5, "counts of people are multiples of this, so that none tells of one person", unit="people", ge=1, le=20
    )


def latest_people(jobseekers: pd.DataFrame) -> pd.DataFrame:
    """Keep who is to be served tonight: the rows of the latest observation date. One row per person."""
    latest: pd.Series[bool] = jobseekers["known_from"] == jobseekers["known_from"].max()
    return jobseekers[latest].reset_index(drop=True)


def available_people(jobseekers: pd.DataFrame, params: SupplyParams) -> pd.DataFrame:
    """Count who can already do the job they look for. One row per territory, department, occupation: people a month.

    A person counts in the wanted occupation when the last job was in it, and only while newly unemployed: the flow of a
    month is the recent stock ÷ its window. Whoever wants another occupation is somebody to train, not a supply of it.
    Counts are rounded along each territory's occupations, so that its total stays within one rounding step.
    """
    people = latest_people(jobseekers)
    able = people[(people["wanted"] == people["last_occupation"]) & (people["unemployed_months"] < params.flow_months)]
    cells = able.groupby(["territory", "department", "wanted"], as_index=False).size()
    running = cells.groupby(["territory", "department"])["size"].cumsum()
    steps = (running / params.rounding).round() * params.rounding
    counts = steps - steps.groupby([cells["territory"], cells["department"]]).shift(fill_value=0.0)
    flow = cells.rename(columns={"wanted": "occupation"}).drop(columns="size").assign(supply=counts / params.flow_months)
    return flow[counts > 0].reset_index(drop=True)


def eligible_people(jobseekers: pd.DataFrame) -> pd.DataFrame:
    """Count the people below level 4, whom general training is for. One row per territory."""
    people = latest_people(jobseekers)
    below = people[(people["level"] < 4).fillna(False).astype(bool)]
    return below.groupby("territory", as_index=False).size().rename(columns={"size": "people"})


def seat_chain(trainings: pd.DataFrame, sessions: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Follow a seat: entries per place, finishers per entry. One row: fill, completion.

    Measured over the sessions that have started and the people who have left; both shares stay within 0 and 1.
    """
    started = sessions[(sessions["starts"] <= as_of) & (sessions["places"] > 0) & sessions["entries"].notna()]
    places, entries = float(started["places"].sum()), float(started["entries"].sum())
    left = trainings[trainings["exit_reason"].notna()]
    finished = float((left["exit_reason"] == "fin").sum())
    return pd.DataFrame(
        {
            "fill": [min(1.0, entries / places) if places else 1.0],
            "completion": [finished / len(left) if len(left) else 1.0],
        }
    )


def count_under_way(
    trainings: pd.DataFrame, sessions: pd.DataFrame, purchases: pd.DataFrame, chain: pd.DataFrame, as_of: pd.Timestamp
) -> pd.DataFrame:
    """Count the finishers of training bought or running. One row per territory, department, sector, level, period.

    People in training count with the completion rate; the seats of sessions still to start with the fill rate as well,
    so that finishers never exceed the seats that were bought. They count in the month their training ends.
    """
    fill, completion = float(chain["fill"].iloc[0]), float(chain["completion"].iloc[0])
    running = trainings[
        (trainings["status"] == "entre")
        & trainings["exited"].isna()
        & (trainings["entered"] <= as_of)
        & (trainings["planned_end"] > as_of)
    ]
    inside = _finishers(running, running["planned_end"], pd.Series(completion, index=running.index))
    lots = purchases.drop_duplicates("lot", keep="last")[["lot", "formacode", "exit_level"]]
    planned = sessions[(sessions["starts"] > as_of) & sessions["ends"].notna()].merge(
        lots, on="lot", how="inner", validate="many_to_one"
    )
    to_come = _finishers(planned, planned["ends"], planned["places"].fillna(0).astype("float64") * fill * completion)
    keys = ["territory", "department", "sector", "level", "period"]
    return pd.concat([inside, to_come]).groupby(keys, as_index=False)[["under_way"]].sum()


def _finishers(rows: pd.DataFrame, ends: pd.Series[pd.Timestamp], people: pd.Series[float]) -> pd.DataFrame:
    """Date and place finishers. One row per row that has a territory."""
    frame = pd.DataFrame(
        {
            "territory": rows["territory"],
            "department": rows["department"],
            "sector": rows["formacode"].str[:3],
            "level": level_text(rows["exit_level"]),
            "period": month_of(ends),
            "under_way": people,
        }
    )
    return frame[frame["territory"].notna()]


def level_text(levels: pd.Series[int]) -> pd.Series[str]:
    """Write levels as the text that keys carry, empty where there is none.

    >>> level_text(pd.Series([3, None], dtype="Int64")).tolist()
    ['3', '']
    """
    return levels.astype("str").where(levels.notna(), "").astype("str")

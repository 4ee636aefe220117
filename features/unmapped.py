"""What no crosswalk reaches, with the volume it stands for: it is listed, never dropped."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from features.crosswalks import Carried, Crosswalks, carry, links_between
from features.demand import current
from features.lazy import ask
from features.tables import Tables


def carry_measures(known: Tables, communes: pd.DataFrame, crosswalks: Crosswalks) -> dict[str, Carried]:
    """Carry what the tables count as far as a run needs it, each measure with its nomenclature in the key ``kind``.

    Positions of offers look for a sector that trains, projects of the last survey in the Region for an occupation, and
    those of the last one in FAP 2009 for their families of 2021; seats of the catalogue and places bought for an occupation.
    """
    here = known.bmo[known.bmo["territory"].isin(communes["territory"])]
    last = _last_survey(here)
    family = str(last["nomenclature"].iloc[0]) if len(last) else "FAP2021"
    asked = {
        "positions": ("ROME", "SECTEUR", _positions(known)),
        "projects": (family, "ROME", _projects(last)),
        "former_projects": ("FAP2009", "FAP2021", _projects(_last_survey(here[here["nomenclature"] == "FAP2009"]))),
        "seats": ("FORMACODE", "ROME", _seats(known.catalogue)),
        "places": ("FORMACODE", "ROME", _places(known.purchases)),
    }
    links = {(kind, target): links_between(crosswalks, kind, target) for kind, target, _ in asked.values()}
    return {
        measure: carry(volumes.assign(kind=kind), links[kind, target]) for measure, (kind, target, volumes) in asked.items()
    }


def list_unmapped(carried: Mapping[str, Carried]) -> pd.DataFrame:
    """List the codes that lead nowhere, the largest first. One row per measure and code: kind, volume, total of the measure.

    A part is listed when only a part of a code is lost.
    """
    parts = [
        moved.unmapped.query("volume > 0")
        .sort_values(["volume", "code"], ascending=[False, True])
        .assign(measure=measure, total=moved.total)
        for measure, moved in carried.items()
    ]
    return pd.concat(parts, ignore_index=True)[["measure", "kind", "code", "volume", "total"]]


def _counted(codes: pd.Series[str], volumes: pd.Series[float]) -> pd.DataFrame:
    """Add up what each code stands for. One row per code."""
    rows = pd.DataFrame({"code": codes, "volume": volumes.astype("float64").fillna(0.0)})
    return rows.groupby("code", as_index=False)[["volume"]].sum()


def _positions(known: Tables) -> pd.DataFrame:
    """Count the positions of the last version of each offer, but those across the border. One row per occupation."""
    sql = f"""
        SELECT occupation AS code, sum(positions)::DOUBLE AS volume FROM {current(known.offers)}
        WHERE border IS NULL GROUP BY code ORDER BY code
    """
    return ask(sql, {"offers": known.offers}, as_of=known.until)


def _last_survey(bmo: pd.DataFrame) -> pd.DataFrame:
    """Keep the last survey. Same row: one family, one place."""
    last: pd.DataFrame = bmo[bmo["year"] == bmo["year"].max()]
    return last


def _projects(survey: pd.DataFrame) -> pd.DataFrame:
    """Count the projects of a survey; a secret has no volume. One row per family."""
    return _counted(survey["family"], survey["projects"])


def _seats(catalogue: pd.DataFrame) -> pd.DataFrame:
    """Count the seats of the last version of each session. One row per Formacode."""
    last = catalogue.sort_values(["session", "known_from"]).drop_duplicates("session", keep="last")
    return _counted(last["formacode"], last["seats"])


def _places(purchases: pd.DataFrame) -> pd.DataFrame:
    """Count the places of the last version of each lot. One row per Formacode."""
    last = purchases.sort_values(["lot", "known_from"]).drop_duplicates("lot", keep="last")
    return _counted(last["formacode"], last["places"])

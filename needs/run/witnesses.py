"""What each source says of one territory and sector, beside the need: surveys, studies, hires, tensions, signals, skills."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from features.build import Features
from features.disagreement import sector_disagreement
from features.market_tables import CAUSES
from features.skills import missing_skills
from features.tension import sector_solvable
from features.vocabulary import REGION
from needs.run.cell import ATOM, PART, Cell, Figure, in_order

_CELL = [*ATOM, "occupation"]
_MOVING = ("emerging", "declining")


def trace_witnesses(cell: Cell, features: Features, year: pd.DataFrame) -> Iterator[Figure]:
    """Trace what each source says of the recruitments, what they agree on, why they are hard, and how sure all this is."""
    cells = features.cells
    needs = year.groupby(_CELL, as_index=False)[["need"]].sum()
    yield _projects(cell, cells)
    yield _openings(cell, cells)
    yield _sum(cell, "hires", cells, rows=("hires",))
    yield _agreed(cell, cells)
    yield from _disagreement(cell, features.seen.agreed)
    yield from _tension(cell, features.seen.tension, needs)
    yield from _solvable(cell, features.seen.solvable, needs)
    yield from _signals(cell, features.seen.signals)
    yield from _grades(cell, cells.merge(needs, on=_CELL, how="left", validate="one_to_one"))


def _sum(cell: Cell, name: str, frame: pd.DataFrame, *, measure: str = "", rows: tuple[str, ...] = ()) -> Figure:
    """Trace a number that adds up over occupations."""
    parts = cell.weigh(frame, measure or name)
    return Figure(name, float(parts["value"].sum()), parts=parts, rows=rows)


def _bounded(cell: Cell, name: str, frame: pd.DataFrame, *, rows: tuple[str, ...], said: dict[str, object]) -> Figure:
    """Trace a sum whose bounds add up like it, as if all erred together: never too narrow."""
    parts, low, high = (cell.weigh(frame, f"{name}{bound}") for bound in ("", "_low", "_high"))
    value, below, above = (float(own["value"].sum()) if len(parts) else np.nan for own in (parts, low, high))
    return Figure(name, value, low=below, high=above, parts=parts, rows=rows, said=said)


def _projects(cell: Cell, cells: pd.DataFrame) -> Figure:
    """Trace the projects of the last survey: of the families of the sector's occupations."""
    projects, difficult, seasonal = (
        float(cell.weigh(cells, name)["value"].sum()) for name in ("projects", "difficult", "seasonal_projects")
    )
    years = cell.within(cells)["survey_year"].dropna()
    said: dict[str, object] = {"difficulty": difficult / projects if projects else np.nan, "seasonal": seasonal}
    said["year"] = str(int(years.max())) if len(years) else ""
    return _bounded(cell, "projects", cells, rows=("families",), said=said)


def _openings(cell: Cell, cells: pd.DataFrame) -> Figure:
    """Trace the openings that studies expect in a year."""
    own = cell.within(cells).merge(cell.links, on="occupation", how="inner", validate="many_to_one")
    told = own[own["openings"].notna()]
    said: dict[str, object] = {"age": float(told["openings_age"].median())}
    said |= {f"{name}s": ", ".join(sorted(set(told[name].dropna()) - {""})) for name in ("scenario", "reliability")}
    return _bounded(cell, "openings", cells, rows=("studies",), said=said)


def _agreed(cell: Cell, cells: pd.DataFrame) -> Figure:
    """Trace the lasting recruitments that the sources agree on."""
    bounds = {"agreed": cells["value"], "agreed_low": cells["low"], "agreed_high": cells["high"]}
    return _bounded(cell, "agreed", cells.assign(**bounds), rows=(), said={})


def _disagreement(cell: Cell, agreed: pd.DataFrame) -> Iterator[Figure]:
    """Trace how far the sources are apart: the mean over the recruitments that two sources at least tell of."""
    told = sector_disagreement(_as_one(cell, agreed), _links(cell))
    known = agreed.assign(known_value=agreed["value"].where(agreed["known"], 0.0))
    parts = cell.average(known, "disagreement", "known_value")
    for row in told[told["disagreement"].notna()].to_dict("records"):
        said: dict[str, object] = {name: float(row[name]) for name in ("sources", "compared")}
        said["most_apart"] = row["most_apart"] if isinstance(row["most_apart"], str) else ""
        yield Figure("disagreement", float(row["disagreement"]), parts=parts.assign(noun="share"), said=said)


def _tension(cell: Cell, tension: pd.DataFrame, needs: pd.DataFrame) -> Iterator[Figure]:
    """Trace the tension, and the six causes that the Dares gives for it: means over the need."""
    both = tension.merge(needs, on=_CELL, how="inner", validate="one_to_one")
    parts = cell.average(both, "tension_level", "need")
    causes = {cause: cell.average(both, cause, "need")["value"].sum(min_count=1) for cause in CAUSES}
    if len(parts):
        own = cell.within(both)
        grains = own.loc[own["occupation"].isin(parts["code"]), "tension_level_grain"].dropna()
        of_causes = own.loc[own["occupation"].isin(parts["code"]), "grain"].dropna()
        told = {"grains": ", ".join(sorted(set(grains))), "cause_grains": ", ".join(sorted(set(of_causes)))}
        said = {**causes, **told}
        yield Figure("tension", float(parts["value"].sum()), parts=parts, said=said, rows=("tension", "market"))


def _solvable(cell: Cell, solvable: pd.DataFrame, needs: pd.DataFrame) -> Iterator[Figure]:
    """Trace the part of the shortage that training can answer: the mean over the need."""
    told = sector_solvable(_as_one(cell, solvable), _as_one(cell, needs), _links(cell))
    parts = cell.average(solvable.merge(needs, on=_CELL, how="inner", validate="one_to_one"), "value", "need")
    for row in told[told["value"].notna()].to_dict("records"):
        yield Figure(
            "solvable",
            value=float(row["value"]),
            low=float(row["low"]),
            high=float(row["high"]),
            said={"covered": float(row["covered"])},
            parts=parts.assign(noun="share"),
            rows=("tension", "market"),
        )


def _signals(cell: Cell, signals: pd.DataFrame) -> Iterator[Figure]:
    """Trace the places that territories ask for, and the way they say that needs go."""
    parts = cell.weigh(signals, "places_asked")
    direction = cell.average(signals, "direction", "weight")["value"]
    if len(direction):
        said = {"direction": float(direction.sum())}
        yield Figure("places_asked", float(parts["value"].sum()), parts=parts, said=said, rows=("signals",))


def _grades(cell: Cell, cells: pd.DataFrame) -> Iterator[Figure]:
    """Share the need over the grades of its occupations: how far what is known of them may be trusted."""
    own = cell.within(cells).merge(cell.links, on="occupation", how="inner", validate="many_to_one")
    need = (own["need"] * own["weight"]).groupby(own["grade"]).sum()
    if need.sum() > 0:
        shares = (need[need > 0] / need.sum()).rename_axis("code").rename("value").reset_index()
        parts = shares.assign(noun="grade", whole=shares["value"], weight=1.0, n=float("nan"))[list(PART)].astype(PART)
        reasons = own.loc[own["need"] > 0, "lowered"].str.split("|").explode()
        counts = reasons[reasons != ""].value_counts().sort_index().sort_values(ascending=False, kind="stable")
        yield Figure("grades", float(parts["value"].sum()), parts=parts, said={"reasons": tuple(counts.index)})


# People -----------------------------------------------------------------------------------------------------------------


def trace_people(cell: Cell, features: Features) -> Iterator[Figure]:
    """Trace who is near enough to come, and who finds no session; tables that tell no département speak of none."""
    if not cell.tells_bassins:
        return
    if cell.territory != REGION and len(cell.within(features.jobseekers)):
        yield _sum(cell, "supply_reach", features.reach)
    own = cell.within(features.unserved)
    told = own[(own["sector"] == cell.sector) & (own["public"] == "tout_public")]
    if len(told):
        sums = told.groupby("level", as_index=False)[["without_session", "people"]].sum()
        parts = sums.rename(columns={"level": "code", "without_session": "whole", "people": "n"}).assign(
            noun="held", weight=1.0
        )
        people = {"people": float(sums["people"].sum())}
        yield Figure(
            "unserved",
            float(sums["without_session"].sum()),
            said=people,
            parts=in_order(parts.assign(value=parts["whole"])[list(PART)]),
            rows=("wanting", "courses"),
        )


# Skills and novelty -----------------------------------------------------------------------------------------------------


def trace_skills(cell: Cell, features: Features) -> Iterator[Figure]:
    """List the skills that are asked and that no certification of the sector names, then what emerges and declines."""
    asked = missing_skills(features.skills)
    own = asked[(asked["sector"] == cell.sector) & (asked["territory"] == cell.territory)]
    for row in own.to_dict("records"):
        said = {"skill": row["skill"], "title": row["title"], "share": float(row["share"])}
        said |= {name: float(row[name]) for name in ("offers", "certifications")}
        yield Figure("skill", float(row["positions"]), n=float(row["offers"]), said=said)
    panels = {cell.territory} if not cell.territory.startswith("BE") else set(cell.atoms["department"])
    novelty = features.novelty
    moving = novelty[(novelty["kind"] == "occupation") & novelty["state"].isin(_MOVING) & novelty["territory"].isin(panels)]
    for row in moving[moving["code"].isin(cell.links["occupation"])].to_dict("records"):
        said = {name: row[name] for name in ("territory", "code", "state", "false_alarms")}
        growth, low, high = (float(np.expm1(row[name])) for name in ("growth", "low", "high"))
        yield Figure("novelty", growth, low=low, high=high, n=float(row["n"]), said=said)


# One territory ----------------------------------------------------------------------------------------------------------


def _as_one(cell: Cell, frame: pd.DataFrame) -> pd.DataFrame:
    """Take the atoms of the territory for parts of one place, that is asked as bassins are. Same rows, of the territory."""
    own = cell.within(frame)
    return own.assign(department=own["territory"] + own["department"], territory=cell.territory)


def _links(cell: Cell) -> pd.DataFrame:
    """Give the links of the sector as builders take them. One row per occupation, sector, level."""
    return cell.links.assign(sector=cell.sector, level=cell.level)

"""Which rows of which files stand behind a number: asked of the lake, that keeps where each row was read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features import facts
from features.build import FeatureParams
from features.crosswalks import Crosswalks, links_between
from features.demand import OPEN_ENDED, last_full_month
from features.intake import FRANCE
from features.leavers import link_diplomas
from features.tables import CONTRACT, Tables
from needs.run.cell import YEAR, Cell
from needs.store.lake import read_origins

LINES_KEPT = 3
_PLACED = ("territory", "department")


@dataclass(frozen=True)
class Ground:
    """Where rows are looked for: the lake, what was known of it, the communes and crosswalks of the Region, the parameters."""

    lake: Path
    known: Tables
    communes: pd.DataFrame
    crosswalks: Crosswalks
    params: FeatureParams

    def find(self, source: str, columns: Sequence[str], kept: pc.Expression) -> pd.DataFrame:
        """Read where rows of one table stand. One row per row that is kept: its columns, file, line and day."""
        contract = CONTRACT[source]
        day = contract.known_from
        found = read_origins(self.lake, contract, list(dict.fromkeys([*columns, *([day] if day else [])])), kept)
        return found.assign(source=source, day=found[day] if day else pd.Series(pd.NaT, index=found.index))


Find = Callable[[Ground, Cell], pd.DataFrame]


def find_rows(ground: Ground, cell: Cell, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Find the rows behind some numbers, by the name that a figure calls them. One row per row of a file."""
    return {name: ROWS[name](ground, cell) for name in dict.fromkeys(names)}


def by_file(rows: pd.DataFrame) -> pd.DataFrame:
    """Count rows by file, the largest first. One row per source and file: rows, lines (the first few), since, until."""
    if rows.empty:
        return pd.DataFrame({name: [] for name in ("source", "file", "rows", "lines", "since", "until")})
    named = rows.assign(file=rows["file"].fillna("")).sort_values(["source", "file", "line"])
    counts = named.groupby(["source", "file"], as_index=False).agg(
        rows=("source", "size"), lines=("line", _first_lines), since=("day", "min"), until=("day", "max")
    )
    return counts.sort_values(["source", "rows", "file"], ascending=[True, False, True], ignore_index=True)


def _first_lines(lines: pd.Series[int]) -> tuple[int, ...]:
    return tuple(int(line) for line in lines.dropna().head(LINES_KEPT))


# Vacancies --------------------------------------------------------------------------------------------------------------


def _offers(ground: Ground, cell: Cell, kind: pc.Expression) -> pd.DataFrame:
    """Find the offers of the last twelve months, last versions known. One row per offer.

    One that names no bassin counts by population: it stands behind the numbers of every bassin of its département, or of all.
    """
    months = pd.period_range(end=last_full_month(cell.as_of), periods=YEAR, freq="M")
    known = _until("known_from", cell) & (pc.field("superseded").is_null() | (pc.field("superseded") > _day(cell.as_of)))
    told = (pc.field("created") >= _day(months[0].start_time)) & (pc.field("created") < _day((months[-1] + 1).start_time))
    columns = ["known_from", "superseded", "created", "occupation", *_PLACED, "border", *_KINDS]
    return ground.find("offers", columns, known & told & _among("occupation", cell.links["occupation"]) & kind)


_KINDS = ("seasonal", "contract", "contract_months", "positions")


def _here(cell: Cell) -> pc.Expression:
    """Say that an offer counts here: it names the cell, or its département alone, or the Region alone."""
    exact = _among("territory", cell.atoms["territory"]) & _among("department", cell.atoms["department"])
    above = pc.field("department").is_null() | _among("department", cell.atoms["department"])
    return pc.field("border").is_null() & (exact | (pc.field("territory").is_null() & above))


def _positions(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the offers of lasting positions. One row per offer."""
    long = pc.field("contract_months") >= ground.params.demand.durable_months
    return _offers(ground, cell, _here(cell) & ~pc.field("seasonal") & (pc.field("contract").isin(list(OPEN_ENDED)) | long))


def _seasonal(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the offers of seasonal positions. One row per offer."""
    return _offers(ground, cell, _here(cell) & pc.field("seasonal"))


def _border(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the offers across the borders. One row per offer."""
    return _offers(ground, cell, pc.field("border").is_valid())


def _projects(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the last survey of the bassins of the territory, all families. One row per row of the survey."""
    last = ground.known.bmo["year"].max()
    columns = ["year", "territory", "known_from"]
    if pd.isna(last):
        return ground.find("bmo", columns, pc.scalar(False))
    return ground.find("bmo", columns, (pc.field("year") == int(last)) & _among("territory", cell.atoms["territory"]))


# Surveys, studies, indicators, signals ----------------------------------------------------------------------------------


def _families(ground: Ground, cell: Cell) -> set[str]:
    """List the families, of both editions, that hold an occupation of the sector."""
    links = pd.concat([links_between(ground.crosswalks, kind, "ROME") for kind in ("FAP2009", "FAP2021")])
    return set(links.loc[links["target"].isin(cell.links["occupation"]), "code"])


def _surveyed(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the last survey of the families of the sector's occupations. One row per row of the survey."""
    return _last_edition(ground, "bmo", _in_cell(cell) & _among("family", _families(ground, cell)), ("family", *_PLACED))


def _last_edition(ground: Ground, source: str, kept: pc.Expression, columns: Sequence[str]) -> pd.DataFrame:
    """Find the rows of the last year known of a yearly table. One row per row of it."""
    last = getattr(ground.known, source)["year"].max()
    newest = pc.scalar(False) if pd.isna(last) else pc.field("year") == int(last)
    day = ground.known.until
    return ground.find(source, ["year", "known_from", *columns], newest & kept & (pc.field("known_from") <= _day(day)))


def _studies(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find what studies in force say of the sector's occupations, or of families that hold one. One row per row of a study."""
    studies = ground.known.projections
    codes = studies["code"].dropna().unique()
    families, own = _families(ground, cell), set(cell.links["occupation"])
    told = [code for code in codes if code in own or _held(code, families)]
    valid = pc.field("valid_until").is_null() | (pc.field("valid_until") >= _day(cell.as_of))
    kept = _among("code", told) & _among("territory", _places(ground, cell)) & valid & _until("known_from", cell)
    return ground.find("projections", ["code", "territory", "valid_until"], kept)


def _held(code: str, families: Iterable[str]) -> set[str]:
    """Give the families that the code of a study holds: letters, three characters, families or finer ones joined by ``|``."""
    parts = code.split("|")
    return {family for family in families if any(family.startswith(part) or part.startswith(family) for part in parts)}


def _tension(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the last indicators of the families of the sector's occupations, at any grain. One row per row of the table."""
    places = _places(ground, cell) | {FRANCE}
    kept = _among("family", _families(ground, cell)) & _among("territory", places)
    return _last_edition(ground, "tension", kept, ("family", "territory"))


def _market(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the last indicators of the sector's occupations in the bassins. One row per row of the table."""
    kept = _among("occupation", cell.links["occupation"]) & _among("territory", cell.atoms["territory"])
    return _last_edition(ground, "market", kept, ("occupation", "territory"))


def _signals(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the signals that reach an occupation of the sector here, and that nobody said are over. One row per signal."""
    links = links_between(ground.crosswalks, "ROME", "SECTEUR")
    sectors = set(links.loc[links["code"].isin(cell.links["occupation"]), "target"])
    groups = set(facts.sectors().query("sector in @named", local_dict={"named": sectors})["group"])
    codes = ground.known.signals["code"]
    fields = set(codes[codes.str[:3].isin(sectors)])
    valid = pc.field("valid_until").is_null() | (pc.field("valid_until") >= _day(cell.as_of))
    kept = _among("code", fields | groups | set(cell.links["occupation"])) & _among("territory", _places(ground, cell))
    return ground.find("signals", ["code", "territory", "valid_until"], kept & valid & _until("known_from", cell))


# People and training ----------------------------------------------------------------------------------------------------


def _available(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the jobseekers who look for the occupation of their last job, newly unemployed. One row per person."""
    last = ground.known.jobseekers["known_from"].max()
    same = (pc.field("wanted") == pc.field("last_occupation")) & _among("wanted", cell.links["occupation"])
    recent = pc.field("unemployed_months") < ground.params.supply.flow_months
    columns = ["known_from", "wanted", "last_occupation", "unemployed_months", *_PLACED]
    return ground.find("jobseekers", columns, (pc.field("known_from") == _day(last)) & same & recent & _in_cell(cell))


def _inside(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the people in training of the sector. One row per person and session."""
    ahead = pc.field("exited").is_null() | (pc.field("exited") > _day(cell.as_of))
    running = _entered(cell) & ahead & (pc.field("planned_end") > _day(cell.as_of))
    return ground.find("trainings", [*_TRAINED, "planned_end"], running & _taught(cell) & _in_cell(cell))


_TRAINED = ("known_from", "person", "status", "entered", "exited", "formacode", "exit_level", *_PLACED)


def _entered(cell: Cell) -> pc.Expression:
    return _until("known_from", cell) & (pc.field("status") == "entre") & _until("entered", cell)


def _lots(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the lots of the sector bought for this year or later, where some of the territory is. One row per lot."""
    bought = _until("known_from", cell) & _taught(cell) & _among("territory", _places(ground, cell))
    columns = ["known_from", "exercise", "lot", "territory", "formacode", "exit_level"]
    return ground.find("purchases", columns, bought & (pc.field("exercise") >= cell.as_of.year))


def _places(ground: Ground, cell: Cell) -> set[str]:
    """List the places, of any kind, in which some of the territory lies."""
    own = ground.communes.merge(cell.atoms, on=list(_PLACED), how="inner", validate="many_to_one")
    region = facts.departments().set_index("department")["region"]
    kinds = [own[name] for name in ("territory", "zone", "department", "maison")] + [own["department"].map(region)]
    return set(pd.concat(kinds).dropna())


def _sessions(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the sessions of the sector that are not over. One row per session."""
    known = ground.known.purchases
    lots = known[known["formacode"].str[:3] == cell.sector]
    lots = lots[lots["exit_level"] == int(cell.level)] if cell.level else lots
    over = pc.coalesce(pc.field("ends"), pc.field("starts"))
    ahead = _among("lot", lots["lot"]) & (over > _day(cell.as_of))
    return ground.find("sessions", ["lot", "ends", "starts", *_PLACED], ahead & _in_cell(cell))


def _diplomas(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the diplomas of the sector in the last school years known of the Region. One row per row of the table."""
    known = ground.known.insertion
    links = link_diplomas(known[["nomenclature", "diploma"]].dropna().drop_duplicates())
    own = cell.trained(links)["diploma"]
    last = known["last_year"].max()
    newest = pc.scalar(False) if pd.isna(last) else pc.field("last_year") == int(last)
    kept = newest & _among("diploma", own) & _among("region", _places(ground, cell)) & _until("known_from", cell)
    return ground.find("insertion", ["last_year", "region", "diploma"], kept)


def _wanting(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the jobseekers of the last day who want an occupation of the sector. One row per person."""
    last = ground.known.jobseekers["known_from"].max()
    kept = (pc.field("known_from") == _day(last)) & _among("wanted", cell.links["occupation"]) & _in_cell(cell)
    return ground.find("jobseekers", ["wanted", *_PLACED], kept)


def _courses(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the sessions of the sector in the last catalogue, wherever they are held. One row per session."""
    last = ground.known.catalogue["known_from"].max()
    return ground.find("catalogue", ["formacode", "exit_level"], (pc.field("known_from") == _day(last)) & _taught(cell))


def _hires(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the spells of work that began, as hires are counted. One row per spell."""
    hires = ground.params.observation.hires
    end = pd.Period(last_full_month(cell.as_of), "M") - hires.lag_months + 1
    began = (pc.field("starts") >= _day((end - hires.months).start_time)) & (pc.field("starts") < _day(end.start_time))
    kept = began & _among("occupation", cell.links["occupation"]) & _in_cell(cell) & _until("known_from", cell)
    return ground.find("employment", ["starts", "occupation", *_PLACED], kept)


def _exits(ground: Ground, cell: Cell) -> pd.DataFrame:
    """Find the people who left a training of the sector. One row per person and session."""
    return ground.find("trainings", _TRAINED, _entered(cell) & _until("exited", cell) & _taught(cell) & _in_cell(cell))


def _of_those_who_left(source: str) -> Find:
    """Find the rows of another table about the people who left. One row per row of that table."""

    def find(ground: Ground, cell: Cell) -> pd.DataFrame:
        people = _exits(ground, cell)["person"]
        return ground.find(source, ["person", "known_from"], _among("person", people) & _until("known_from", cell))

    return find


ROWS: Mapping[str, Find] = {
    "positions": _positions,
    "seasonal": _seasonal,
    "border": _border,
    "projects": _projects,
    "families": _surveyed,
    "studies": _studies,
    "tension": _tension,
    "market": _market,
    "signals": _signals,
    "hires": _hires,
    "available": _available,
    "wanting": _wanting,
    "courses": _courses,
    "diplomas": _diplomas,
    "inside": _inside,
    "sessions": _sessions,
    "lots": _lots,
    "exits": _exits,
    "spells": _of_those_who_left("employment"),
    "answers": _of_those_who_left("outcomes"),
}
"""How the rows behind a number are found, by the name that figures call them."""


# What is asked of rows --------------------------------------------------------------------------------------------------


def _day(day: pd.Timestamp) -> pc.Expression:
    """Give a day to compare with; a missing one is equal to none."""
    return pc.scalar(pa.array(pd.Series([day], dtype="datetime64[us]"))[0])


def _until(column: str, cell: Cell) -> pc.Expression:
    return pc.field(column) <= _day(cell.as_of)


def _among(column: str, codes: Iterable[str]) -> pc.Expression:
    return pc.field(column).isin(pa.array(sorted(set(codes)), pa.large_string()))


def _in_cell(cell: Cell) -> pc.Expression:
    return _among("territory", cell.atoms["territory"]) & _among("department", cell.atoms["department"])


def _taught(cell: Cell) -> pc.Expression:
    """Say that a training is one of the sector and, where one is looked at, of the level."""
    own = pc.starts_with(pc.field("formacode"), cell.sector)
    return own & (pc.field("exit_level") == int(cell.level)) if cell.level else own

"""The worlds: what is true in a simulated region, set by dials. Each is a YAML file beside this one, or a file of yours.

A dial that a world does not name keeps its default, so that a world says only what sets it apart from ``calm``. The seeds to
learn and to judge on were drawn once, before any model was tuned (``seeds.yaml``): nobody picks the draws that suit a model.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from features.errors import InputError
from features.params import Section, param
from features.sources import SOURCES
from needs.settings import read_section

HERE = Path(__file__).parent
Rule = Literal["last_purchase", "bmo_shares", "raw_rates", "random"]
WORLDS = (
    *("calm", "crisis", "creaming", "hidden_confounding", "congestion", "misleading_surveys", "no_heterogeneity"),
    *("sparse", "dirty"),
)
_SEE = "docs/worlds.md for the dials, their units and bounds"


class NeedDials(Section):
    """How the need for recruitments moves."""

    trend: float = param(0.04, "spread of the yearly growth of occupations", unit="share a year", ge=0, le=0.5)
    place_trend: float = param(0.03, "spread of the yearly growth of domains in places", unit="share a year", ge=0, le=0.5)
    reach_km: float = param(40.0, "distance at which places still look alike", unit="km", ge=1, le=500)
    emerging: float = param(0.04, "occupations that emerge, and as many that die", unit="share", ge=0, le=0.3)
    shocks: float = param(0.25, "closures and openings of large employers", unit="per bassin and year", ge=0, le=10)
    crisis_depth: float = param(0.0, "recruitments lost at the worst of a crisis", unit="share", ge=0, le=0.9)
    crisis_months: int = param(12, "how long before as_of the crisis begins", unit="months", ge=1, le=60)
    border: float = param(1.0, "pull of the employers across the border (1: as in Grand Est)", unit="ratio", ge=0, le=5)


class OfferDials(Section):
    """What employers publish of their need."""

    coverage_low: float = param(0.3, "lowest share of recruitments published, by occupation", unit="share", ge=0.02, le=1)
    coverage_high: float = param(0.8, "highest share of recruitments published", unit="share", ge=0.02, le=1)
    updated: float = param(0.15, "offers updated after their publication", unit="share", ge=0, le=1)
    repeated: float = param(0.04, "offers published again under another number", unit="share", ge=0, le=0.5)


class SurveyDials(Section):
    """How the survey of employers errs."""

    error: float = param(0.15, "spread of the error of one cell", unit="log", ge=0, le=2)
    bias: float = param(0.0, "spread of the error that a whole family shares, year after year", unit="log", ge=0, le=2)


class ProjectionDials(Section):
    """How branch observatories see."""

    error: float = param(0.25, "spread of the error of one figure", unit="log", ge=0, le=2)
    age_months: int = param(15, "age of the studies at as_of", unit="months", ge=1, le=120)
    bias: float = param(0.0, "optimism that every branch shares", unit="log", ge=-1, le=1)


class SignalDials(Section):
    """What territories say: signals that know, that guess, and that wish."""

    good: float = param(0.6, "signals that follow the true growth of the need", unit="share", ge=0, le=1)
    wishful: float = param(0.1, "signals that ask for more whatever the need; the others are noise", unit="share", ge=0, le=1)


class TrainingDials(Section):
    """Who enters training, and what it changes."""

    line: int = param(4, "people who stand in line for each prescription", unit="people", ge=1, le=50)
    creaming: float = param(0.3, "how much those near to work are chosen, on what files show", unit="log-odds", ge=-3, le=3)
    perverse: float = param(0.0, "how far the courses that help least choose most", unit="correlation", ge=0, le=1)
    hidden: float = param(0.0, "the same on drive, which no file shows", unit="log-odds per spread", ge=0, le=3)
    drive: float = param(0.3, "what drive adds to the chance of being hired", unit="log-odds per spread", ge=0, le=2)
    effect: float = param(1.0, "strength of every effect of training", unit="ratio", ge=0, le=5)
    variety: float = param(1.0, "how far effects differ by sector, group and place (0: all the same)", unit="ratio", ge=0, le=3)
    providers: float = param(0.2, "spread of the quality of providers", unit="log", ge=0, le=1)
    congestion: float = param(
        0.5, "finishers for each opening they may fill, where the median course is held", unit="ratio", ge=0, le=20
    )
    prices: float = param(1.0, "how far prices of a place differ (0: one price)", unit="ratio", ge=0, le=3)
    no_bid: float = param(0.03, "lots that find no bidder", unit="share", ge=0, le=0.5)


class FileDials(Section):
    """What is written, and how cleanly."""

    sources: tuple[str, ...] = param((), "the only sources that exist; none named: all of them")
    faults: bool = param(False, "whether faults are planted in the files, and listed in the truth")


class Dials(Section):
    """Everything that sets one world apart."""

    need: NeedDials = NeedDials()
    offers: OfferDials = OfferDials()
    survey: SurveyDials = SurveyDials()
    projections: ProjectionDials = ProjectionDials()
    signals: SignalDials = SignalDials()
    training: TrainingDials = TrainingDials()
    files: FileDials = FileDials()


class WorldParams(Dials):
    """One world as its file says it: what it teaches, which rules the oracle cannot beat there, and its dials."""

    title: str = param(..., "what the world is, in a few words")
    lesson: str = param(..., "what one learns from it")
    unbeaten: tuple[Rule, ...] = param((), "simple rules that buy as well as the oracle there")


class Seeds(Section):
    """The seeds of one world: those to tune models on, and those to judge them by."""

    learning: tuple[int, ...]
    judging: tuple[int, ...]


class _Frozen(Section):
    """The seeds of all worlds, by name."""

    worlds: dict[str, Seeds]


def load_world(name_or_path: str) -> WorldParams:
    """Read a shipped world by its name, or one of yours by the path of its YAML file.

    >>> load_world("crisis").need.crisis_months
    12
    """
    path = _path_of(name_or_path)
    world = read_section(path, WorldParams, example="need:' then '  crisis_depth: 0.3", see=_SEE)
    faults = [f"{path}: {fault}." for fault in _contradictions(world)]
    if faults:
        raise InputError(*faults)
    return world


def _path_of(name_or_path: str) -> Path:
    """Find the file of a world; what is no shipped name must be a YAML file that is there."""
    if name_or_path in WORLDS:
        return HERE / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        return path
    raise InputError(
        f"world: '{name_or_path[:80]}' is neither a world that is shipped nor a YAML file. "
        f"Write one of {', '.join(WORLDS)}, or the path of a file of yours, like my_world.yaml."
    )


def _contradictions(world: WorldParams) -> Iterator[str]:
    """Say which dials of a world cannot stand beside each other."""
    for name in ("title", "lesson"):
        if not getattr(world, name).strip():
            yield f"{name} is empty; say it in a few words"
    low, high = world.offers.coverage_low, world.offers.coverage_high
    if low > high:
        yield f"offers.coverage_low ({low:g}) is above offers.coverage_high ({high:g})"
    good, wishful = world.signals.good, world.signals.wishful
    if good + wishful > 1:
        yield f"signals.good ({good:g}) and signals.wishful ({wishful:g}) are more than all signals together"
    folders = list(dict.fromkeys(source.folder for source in SOURCES.values()))
    if strange := sorted(set(world.files.sources) - set(folders)):
        yield f"files.sources names {', '.join(strange)}; sources are {', '.join(folders)}"


def frozen_seeds(world: str) -> Seeds:
    """Give the seeds that were frozen for a shipped world.

    >>> len(frozen_seeds("calm").judging)
    20
    """
    worlds = read_section(HERE / "seeds.yaml", _Frozen, example="worlds:", see=_SEE).worlds
    if world not in worlds:
        raise InputError(f"world: '{world[:80]}' has no frozen seeds; these have: {', '.join(worlds)}.")
    return worlds[world]

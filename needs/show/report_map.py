"""A map of the Region from its communes: one dot per commune, one colour per class of a figure of its bassin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, radians

import pandas as pd

from features import facts

WIDTH = 960
CLASSES = 5
_MARGIN = 12


@dataclass(frozen=True)
class Bassin:
    """The dots of one bassin as a path, its class (0 = nothing known), and where its name stands."""

    territory: str
    path: str
    shade: int
    x: int
    y: int


@dataclass(frozen=True)
class Drawing:
    """The dots of the Region, how high the drawing is, and from which figure each class begins."""

    bassins: tuple[Bassin, ...]
    height: int
    begins: tuple[float, ...]


def draw_map(figures: Mapping[str, float]) -> Drawing:
    """Draw the bassins in classes of a figure that hold as many bassins each."""
    communes = facts.communes().query("territory != ''")
    across = cos(radians(float(communes["latitude"].mean())))
    west, north = float(communes["longitude"].min()), float(communes["latitude"].max())
    scale = (WIDTH - 2 * _MARGIN) / ((float(communes["longitude"].max()) - west) * across)
    x = ((communes["longitude"] - west) * across * scale + _MARGIN).round().astype(int)
    y = ((north - communes["latitude"]) * scale + _MARGIN).round().astype(int)
    begins = _begins(figures)
    placed = communes.assign(x=x, y=y).sort_values(["territory", "y", "x"])
    bassins = tuple(
        Bassin(str(code), _dots(rows), _class(figures.get(str(code)), begins), *_middle(rows))
        for code, rows in placed.groupby("territory")
    )
    return Drawing(bassins, int(y.max()) + _MARGIN, begins)


def _begins(figures: Mapping[str, float]) -> tuple[float, ...]:
    """Give the whole figure each class begins at: each holds as many bassins, and there are fewer where most are alike."""
    known = pd.Series(list(figures.values()), dtype="float64").dropna()
    if known.empty:
        return ()
    return tuple(dict.fromkeys(float(round(known.quantile(place / CLASSES))) for place in range(CLASSES)))


def _class(figure: float | None, begins: tuple[float, ...]) -> int:
    """Number the class of a figure from 1; 0 when nothing is known.

    >>> _class(4.0, (0.0, 3.0, 9.0)), _class(None, (0.0,))
    (2, 0)
    """
    return 0 if figure is None or figure != figure else max(1, sum(figure >= begin for begin in begins))


def _dots(rows: pd.DataFrame) -> str:
    """Write dots as strokes of no length, each from where the one before lies.

    >>> _dots(pd.DataFrame({"x": [3, 5], "y": [4, 4]}))
    'M3 4h0m2 0h0'
    """
    xs, ys = rows["x"].tolist(), rows["y"].tolist()
    steps = [f"m{x - before_x} {y - before_y}h0" for x, y, before_x, before_y in zip(xs[1:], ys[1:], xs, ys, strict=False)]
    return f"M{xs[0]} {ys[0]}h0{''.join(steps)}"


def _middle(rows: pd.DataFrame) -> tuple[int, int]:
    """Find where most people live."""
    largest = rows.nlargest(1, "population")
    return int(largest["x"].iloc[0]), int(largest["y"].iloc[0])

"""How forecasts fared, at a glance: a picture of a backtest, and one of a training, in the language of the planner.

Matplotlib is an extra: ``pip install 'skills-needs[plots]'``. Colours are those of Okabe and Ito (2008), which people who see
fewer colours tell apart; models also differ by their markers. The same scores give the same bytes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from needs.show.figures import count, percent
from needs.show.messages import say
from needs.show.titles import titles_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INSTALL = "pip install 'skills-needs[plots]'"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_GREY, _BLACK = "#7F7F7F", "#222222"
_NOMINAL, _BAND = 0.8, (0.75, 0.85)
_SECTORS, _TITLE, _HEAD = 15, 34, 54
_SIZE, _DPI = (13.0, 9.5), 110
_ROOM = 1.1  # above the highest point


@dataclass(frozen=True)
class Picture:
    """What is drawn: scores and PIT shares of a backtest, and of which model the skill is shown, against which other one.

    ``scores`` has one row per origin or "all", by ("", "volume_class", "sector"), group, model; ``pit`` one per model, bin.
    """

    scores: pd.DataFrame
    pit: pd.DataFrame
    model: str
    against: str
    language: str

    @property
    def models(self) -> list[str]:
        """The models, the one whose skill is shown first and the one it is held against last."""
        others = [name for name in self.scores["model"].unique() if name not in (self.model, self.against)]
        return [self.model, *others, self.against]

    def where(self, by: str) -> pd.DataFrame:
        """Take the scores by one kind of group. One row per origin or "all", group, model."""
        return self.scores[self.scores["by"] == by]

    def say(self, code: str, **values: object) -> str:
        """Say a word of the picture."""
        return say(f"backtest.{code}", self.language, **values)

    def colour(self, model: str) -> str:
        """Give the colour of a model: grey for the one the skill is held against."""
        place = self.models.index(model)
        return _GREY if model == self.against else _COLOURS[place % len(_COLOURS)]

    def marker(self, model: str) -> str:
        """Give the marker of a model."""
        return _MARKERS[self.models.index(model) % len(_MARKERS)]


def can_draw() -> bool:
    """Say whether Matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw_backtest(picture: Picture, path: Path) -> Path:
    """Draw error by origin, PIT, coverage by volume and skill by sector into a PNG file."""
    import matplotlib
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"axes.titlesize": 11, "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=_SIZE, layout="constrained")
        ((errors, places), (coverage, skills)) = figure.subplots(2, 2)
        _draw_errors(errors, picture)
        _draw_pit(places, picture)
        _draw_coverage(coverage, picture)
        _draw_skill(skills, picture)
        handles, labels = (found[::-1] for found in errors.get_legend_handles_labels())
        figure.legend(handles, labels, loc="outside lower center", ncols=len(picture.models), frameon=False)
        figure.suptitle(picture.say("title"), fontsize=13)
        figure.savefig(path, format="png", dpi=_DPI, metadata={"Software": None})
    return path


def draw_training(scores: pd.DataFrame, path: Path, language: str) -> Path:
    """Draw the error of champion and challenger by months ahead into a PNG file, one part per grain.

    ``scores`` has one row per metric and step (0: all): champion, challenger.
    """
    import matplotlib
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    grains = ("bassin", "occupation")
    with matplotlib.rc_context({"axes.titlesize": 11, "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(_SIZE[0], _SIZE[1] / 2), layout="constrained")
        for axes, grain in zip(figure.subplots(1, len(grains)), grains, strict=True):
            rows = scores[(scores["metric"] == f"forecast.{grain}.wape") & (scores["step"] > 0)]
            for place, model in enumerate(("champion", "challenger")):
                axes.plot(
                    rows["step"], rows[model] * 100, color=_COLOURS[place], marker=_MARKERS[place],
                    label=say(f"training.{model}", language),
                )  # fmt: skip
            axes.set(title=say(f"training.{grain}", language), xlabel=say("training.step", language))
            axes.set(ylabel=say("backtest.wape", language))
            axes.set_ylim(bottom=0)
            axes.legend(frameon=False)
        figure.savefig(path, format="png", dpi=_DPI, metadata={"Software": None})
    return path


def _draw_errors(axes: Axes, picture: Picture) -> None:
    """Draw the WAPE of each model at each origin."""
    rows = picture.where("").query("origin != 'all'")
    origins = sorted(rows["origin"].unique())
    for model in reversed(picture.models):
        own = rows[rows["model"] == model].set_index("origin").reindex(origins)
        axes.plot(
            range(len(origins)), own["wape"].to_numpy() * 100, color=picture.colour(model), marker=picture.marker(model),
            ls="--" if model == picture.against else "-", label=picture.say(f"model_{model}"),
        )  # fmt: skip
    axes.set_xticks(range(len(origins)), origins)
    axes.set(title=picture.say("wape_title"), xlabel=picture.say("origin"), ylabel=picture.say("wape"))
    axes.set_ylim(0, rows["wape"].max() * 100 * _ROOM)


def _draw_pit(axes: Axes, picture: Picture) -> None:
    """Draw where what came lies in the distributions told; flat is true."""
    known = picture.pit.dropna(subset=["share"])
    for model in [name for name in picture.models if name in set(known["model"])]:
        share = known.loc[known["model"] == model, "share"].to_numpy() * 100
        edges = np.linspace(0, 100, len(share) + 1)
        axes.stairs(share, edges, color=picture.colour(model), lw=2.2 if model == picture.model else 1.2)
    if known.empty:
        axes.text(0.5, 0.5, picture.say("no_pit"), transform=axes.transAxes, ha="center", wrap=True)
    else:
        axes.axhline(100 / (known["bin"].max() + 1), color=_BLACK, lw=1, ls=":")
        axes.set_ylim(bottom=0)
    axes.set(
        title=_wrapped(picture.say("pit_title")), xlabel=picture.say("pit"), ylabel=picture.say("pit_share"), xlim=(0, 100)
    )


def _draw_coverage(axes: Axes, picture: Picture) -> None:
    """Draw which share of what came lies in the interval, by volume: of the PIT, or hollow without a distribution."""
    rows = picture.where("volume_class").query("origin == 'all'")
    classes = sorted(rows["group"].unique(), key=lambda name: float(str(name).rstrip("+").partition("-")[0]))
    axes.axhspan(_BAND[0] * 100, _BAND[1] * 100, color=_GREY, alpha=0.2, lw=0)
    axes.axhline(_NOMINAL * 100, color=_BLACK, lw=1, ls=":")
    shift = np.linspace(-0.25, 0.25, len(picture.models)) if len(picture.models) > 1 else np.zeros(1)
    for model, beside in zip(picture.models, shift, strict=True):
        own = rows[rows["model"] == model].set_index("group").reindex(classes)
        place, colour, marker = np.arange(len(classes)) + beside, picture.colour(model), picture.marker(model)
        plain = own["coverage"].where(own["n_pit"] == 0).to_numpy() * 100
        axes.plot(place, own["pit_coverage"].to_numpy() * 100, ls="", color=colour, marker=marker)
        axes.plot(place, plain, ls="", color=colour, marker=marker, fillstyle="none")
    for edge in np.arange(len(classes) - 1) + 0.5:
        axes.axvline(edge, color=_GREY, lw=0.5)
    counts = rows[rows["model"] == picture.model].set_index("group")["cells"].reindex(classes)
    labels = [f"{name.replace('-', '–')}\n{count(float(counts[name]), picture.language)}" for name in classes]
    axes.set_xticks(range(len(classes)), labels)
    axes.set(title=picture.say("coverage_title"), xlabel=picture.say("volume"), ylabel=picture.say("coverage"))


def _draw_skill(axes: Axes, picture: Picture) -> None:
    """Draw which share of the other model's error is gone, in the sectors of most volume."""
    rows = picture.where("sector").query("origin == 'all'")
    own = rows[rows["model"] == picture.model].nlargest(_SECTORS, "volume").sort_values(["volume", "group"])
    skill = own[f"skill_{picture.against}"].to_numpy() * 100
    colours = [picture.colour(picture.model) if value >= 0 else _GREY for value in skill]
    bars = axes.barh(np.arange(len(own)), skill, color=colours, hatch=["" if value >= 0 else "///" for value in skill])
    axes.bar_label(bars, [percent(value / 100, picture.language) for value in skill], padding=3, fontsize=8)
    axes.axvline(0, color=_BLACK, lw=0.8)
    axes.margins(x=0.12)
    axes.set_yticks(np.arange(len(own)), _titles(own["group"].astype("str").tolist()))
    names = {"model": picture.say(f"model_{picture.model}"), "other": picture.say(f"model_{picture.against}")}
    axes.set(title=_wrapped(picture.say("skill_title", **names)), xlabel=picture.say("skill"))


def _wrapped(title: str) -> str:
    return textwrap.fill(title, _HEAD)


def _titles(sectors: Sequence[str]) -> list[str]:
    titles = titles_of("sector")
    whole = [f"{code} {titles.get(code, '')}".strip() for code in sectors]
    return [text if len(text) <= _TITLE else f"{text[: _TITLE - 1].rstrip()}…" for text in whole]

"""Figures of simulated worlds: what each mechanism looks like, and what a world teaches beside a calm one.

    python -m needs.twin.look docs/worlds        # every figure of docs/worlds.md, at the scale demo (some minutes)

What a figure shows is first a table (``need_by_month``, ``surveyed_need``, …), then drawn, so that it can be checked. The same
worlds give the same bytes. Matplotlib is an extra: ``pip install 'skills-needs[plots]'``. Colours are those of Okabe and Ito
(2008), which people who see fewer colours tell apart.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features import facts
from features.errors import InputError
from needs.twin.effects import absorption
from needs.twin.simulated import Simulated, simulate
from needs.twin.truth import HORIZONS
from needs.twin.worlds import WORLDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#7F7F7F"
RULE_COLOURS = {"last_purchase": BLUE, "bmo_shares": ORANGE, "raw_rates": GREEN, "random": GREY}
_SUBJECTS = {"all": BLUE, "harvest": GREEN, "emerging": ORANGE, "dying": PURPLE}
_TYPES = {"certification": BLUE, "professionnalisation": GREEN, "adaptation_poste": ORANGE, "remise_a_niveau": PURPLE}
_MONTHS_LATER = 18
_FEWEST_ENTRIES = 60
_PLACES = 60
_WIDTH = 9.0
_DPI = 100
_TITLE = 46


def need_by_month(simulated: Simulated) -> pd.DataFrame:
    """Add up true recruitments, month by month. One row per subject and month.

    ``subject`` is all, harvest (the occupation with most seasonal work, which counts there), emerging or dying (the largest
    occupation of each fate).
    """
    need = simulated.truth("need")
    occupations = simulated.truth("occupations").sort_values("weight", ascending=False, kind="stable").set_index("occupation")
    firsts = occupations.reset_index().drop_duplicates("fate").set_index("fate")["occupation"]
    harvest = need.groupby("occupation", observed=True)["seasonal"].sum().idxmax()
    chosen = {"harvest": str(harvest), **{fate: str(firsts[fate]) for fate in ("emerging", "dying") if fate in firsts}}
    subjects = {"all": need, **{subject: need[need["occupation"] == code] for subject, code in chosen.items()}}
    parts = []
    for subject, rows in subjects.items():
        counted = rows["need"] + (rows["seasonal"] if subject == "harvest" else 0)
        months = counted.groupby(rows["period"].astype(str)).sum().rename("recruitments").rename_axis("month").reset_index()
        title = f"{chosen[subject]} {occupations['title'][chosen[subject]]}" if subject in chosen else "lasting contracts"
        parts.append(months.assign(subject=subject, title=title))
    return pd.concat(parts, ignore_index=True).assign(month=lambda t: pd.PeriodIndex(t["month"], freq="M").to_timestamp())


def surveyed_need(simulated: Simulated) -> pd.DataFrame:
    """Set the last survey beside the truth, where it hides nothing. One row per family: ``need`` and ``projects``."""
    survey = simulated.table("bmo")
    survey = survey[(survey["year"] == survey["year"].max()) & survey["projects"].notna()]
    links = facts.occupation_families()
    links = links[links["nomenclature"].isin(survey["nomenclature"])]
    need = simulated.truth("need")
    need = need[need["period"].astype(str).str[:4] == str(survey["year"].max())]
    keys = ["territory", "department", "occupation"]
    sums = need.groupby(keys, observed=True)[["need", "seasonal"]].sum().sum(axis=1).rename("need").reset_index()
    sums = sums.astype(dict.fromkeys(keys, str))
    cells = sums.merge(links[["occupation", "family", "weight"]], on="occupation", how="inner", validate="many_to_many")
    cells = cells.assign(need=cells["need"] * cells["weight"].astype(float))
    by_family = cells.groupby(["territory", "department", "family"], as_index=False)["need"].sum()
    shown = survey[["territory", "department", "family", "projects"]]
    both = shown.merge(by_family, on=["territory", "department", "family"], how="inner", validate="one_to_one")
    sums_by_family: pd.DataFrame = both.groupby("family")[["need", "projects"]].sum().reset_index()
    return sums_by_family


def rates_and_effects(simulated: Simulated, fewest: int = _FEWEST_ENTRIES) -> pd.DataFrame:
    """Set what is seen of courses beside what they change, 18 months from entry. One row per sector and type.

    ``rate`` is the share at work, ``without`` what it would have been untrained, ``effect`` what the course adds.
    """
    chances = simulated.truth("chances")
    told = chances.assign(rate=chances[f"work_with_{_MONTHS_LATER}"], without=chances[f"work_without_{_MONTHS_LATER}"])
    means = told.groupby(["sector", "action_type"])[["rate", "without"]].mean()
    means = means.assign(effect=means["rate"] - means["without"], entries=told.groupby(["sector", "action_type"]).size())
    return means[means["entries"] >= fewest].reset_index()


def effects_by_month(simulated: Simulated) -> pd.DataFrame:
    """Average what training adds to the chance of being at work. One row per type (``all`` among them) and horizon."""
    effects = simulated.truth("effects")
    effects = effects[(effects["sector"] == "") & (effects["group"] == "all") & (effects["outcome"] == "work")]
    total = (
        effects.assign(weighted=effects["effect"] * effects["entries"]).groupby("horizon_months")[["weighted", "entries"]].sum()
    )
    every = (total["weighted"] / total["entries"]).rename("effect").reset_index().assign(action_type="all")
    return pd.concat([every, effects[["horizon_months", "effect", "action_type"]]], ignore_index=True)


def worth_by_places(simulated: Simulated) -> pd.DataFrame:
    """Say what one more place adds where so many were bought. One row per number of places: quartiles over bassins × sectors.

    In each bassin × sector the option that gains most is bought alone, on top of what is committed there.
    """
    worth = simulated.truth("worth")
    worth = worth[np.isfinite(worth["room"])]
    best = worth.sort_values("gain", kind="stable").drop_duplicates(["territory", "sector"], keep="last")
    terms = {
        name: best[name].to_numpy(dtype="float64")[:, None] for name in ("committed", "finishers", "room", "lock_in", "gain")
    }
    places = np.arange(_PLACES + 2)[None, :]
    kept = absorption((terms["committed"] + places * terms["finishers"]) / terms["room"])
    value = places * best["entries"].to_numpy()[:, None] * (terms["lock_in"] + kept * (terms["gain"] - terms["lock_in"]))
    quartiles = np.quantile(np.diff(value, axis=1), [0.25, 0.5, 0.75], axis=0)
    return pd.DataFrame({"places": places[0, :-1], "low": quartiles[0], "middle": quartiles[1], "high": quartiles[2]})


def rule_shares(worlds: Mapping[str, Simulated]) -> pd.DataFrame:
    """Say which share of the oracle's value each simple rule reaches. One row per world, one column per rule."""
    told = {name: simulated.truth("plan_values").set_index("rule")["share_of_oracle"] for name, simulated in worlds.items()}
    return pd.DataFrame(told).T[list(RULE_COLOURS)]


def by_bassin(simulated: Simulated) -> pd.DataFrame:
    """Say how each bassin stands. One row per bassin: ``border`` (share of offers), ``tightness`` of the largest occupation."""
    need, border = simulated.truth("need"), simulated.truth("border")
    inside = need.groupby("territory", observed=True)[["positions", "seasonal_positions"]].sum().sum(axis=1)
    across = border.groupby("territory", observed=True)["published"].sum()
    tightness = simulated.truth("tightness")
    largest = simulated.truth("occupations").sort_values("weight", kind="stable").iloc[-1]
    scarce = tightness[tightness["code"] == largest["occupation"]].groupby("territory")["tightness"].mean()
    told = pd.DataFrame({"border": across / (inside + across), "tightness": scarce}).rename_axis("territory").reset_index()
    return told.assign(title=largest["title"])


def draw_need(calm: Simulated, crisis: Simulated, as_of: pd.Timestamp) -> Figure:
    """Draw need over time in two worlds: all of it, a harvest, and occupations that emerge and die."""
    figure = _figure(6.6)
    grid = figure.subplots(3, 2, sharex=True, sharey="row")
    rows = (("all",), ("harvest",), ("emerging", "dying"))
    for column, simulated in enumerate((calm, crisis)):
        told = need_by_month(simulated)
        for axes, subjects in zip(grid[:, column], rows, strict=True):
            _draw_lines(axes, told[told["subject"].isin(subjects)])
            axes.axvline(as_of, color=GREY, ls="--", lw=1)
        grid[0, column].set_title(_title(simulated))
        grid[0, column].annotate("as_of", (as_of, 0), (3, 3), textcoords="offset points", color=GREY, fontsize=8)
    for axes in grid[:, 0]:
        axes.set_ylabel("recruitments a month")
    return figure


def _draw_lines(axes: Axes, told: pd.DataFrame) -> None:
    """Draw one line for each subject, from 0, with room above for their names."""
    for (subject, title), lines in told.groupby(["subject", "title"], sort=False):
        label = textwrap.shorten(f"{subject}: {title}", _TITLE, placeholder="…")
        axes.plot(lines["month"], lines["recruitments"], color=_SUBJECTS[str(subject)], lw=1.3, label=label)
    axes.tick_params(axis="x", labelrotation=45)
    if len(told):  # a small world may have no occupation of some fate
        axes.set_ylim(0, max(axes.get_ylim()[1], told["recruitments"].max() * (1.1 + 0.08 * told["subject"].nunique())))
        axes.legend(loc="upper left", frameon=False, fontsize=8)


def draw_map(calm: Simulated) -> Figure:
    """Draw the communes of Grand Est, coloured by the border pull and by the tightness of their bassin."""
    figure = _figure(4.4)
    told = by_bassin(calm).set_index("territory")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    _draw_communes(left, told["border"] * 100, "cividis", (0.0, float(told["border"].max()) * 100))
    left.set_title("border pull:\noffers from across the border, % of all offers")
    most = float(told["tightness"].abs().max())
    _draw_communes(right, told["tightness"], "PuOr_r", (-most, most))
    right.set_title(f"tightness of {told['title'].iloc[0]}:\nlog of the share of need over the share of people")
    return figure


def _draw_communes(axes: Axes, values: pd.Series[float], colours: str, limits: tuple[float, float]) -> None:
    """Draw each commune in the colour of its bassin, and the towns across the border in grey."""
    communes, towns = facts.communes(), facts.borders()
    communes = communes[communes["territory"].isin(values.index)]
    places, shades = pd.concat([towns, communes]), communes["territory"].map(values).to_numpy(dtype="float64")
    dots = axes.scatter(communes["longitude"], communes["latitude"], c=shades, cmap=colours, vmin=limits[0], vmax=limits[1])
    grey = axes.scatter(towns["longitude"], towns["latitude"], color="#D9D9D9")
    for collection in (dots, grey):
        # thousands of dots are an image, with hard edges: it packs better
        collection.set(sizes=[4], linewidths=0, antialiased=False, rasterized=True)
    for _, town in towns.sort_values("population").drop_duplicates("area", keep="last").iterrows():
        axes.text(town["longitude"], town["latitude"], str(town["area"]), ha="center", va="center", weight="bold")
    axes.set_aspect(1 / np.cos(np.radians(places["latitude"].mean())))
    axes.set_axis_off()
    axes.figure.colorbar(dots, ax=axes, shrink=0.7, orientation="horizontal", pad=0.02)


def draw_survey(calm: Simulated, misled: Simulated) -> Figure:
    """Draw the projects that the survey counts against the true need, in two worlds."""
    figure = _figure(4.2)
    for axes, simulated in zip(figure.subplots(1, 2, sharex=True, sharey=True), (calm, misled), strict=True):
        told = surveyed_need(simulated)
        axes.scatter(told["need"], told["projects"], s=14, color=BLUE, alpha=0.7, lw=0)
        ends = np.array([told["need"].min(), told["need"].max()])
        axes.plot(ends, ends, color=GREY, lw=1, ls="--", label="as many projects as recruitments")
        axes.set(xscale="log", yscale="log", xlabel="true recruitments of the year", title=_title(simulated))
        spread = float(np.log(told["projects"] / told["need"]).std())
        _note(axes, f"one dot: one family of occupations\nspread of the error: {spread:.2f} (log)")
        axes.legend(loc="lower right", frameon=False, fontsize=8)
    figure.axes[0].set_ylabel("projects in the survey (BMO)")
    return figure


def draw_rates(calm: Simulated, creaming: Simulated) -> Figure:
    """Draw true effects against raw rates of work in two worlds: the raw rate says more of who enters than of the course."""
    figure = _figure(4.4)
    both = [rates_and_effects(simulated) for simulated in (calm, creaming)]
    without = pd.concat(both)["without"]
    for axes, told, simulated in zip(figure.subplots(1, 2, sharex=True, sharey=True), both, (calm, creaming), strict=True):
        dots = axes.scatter(
            told["rate"] * 100, told["effect"] * 100, c=told["without"] * 100, s=18, cmap="cividis",
            vmin=without.min() * 100, vmax=without.max() * 100, lw=0,
        )  # fmt: skip
        axes.set(xlabel=f"raw rate: % at work {_MONTHS_LATER} months after entry", title=_title(simulated))
        axes.axhline(0, color=GREY, lw=0.8)
        _note(axes, f"one dot: one sector × type\ncorrelation {told['rate'].corr(told['effect']):.2f}")
    figure.axes[0].set_ylabel("true effect, points of %")
    figure.colorbar(dots, ax=figure.axes, label="% at work had they not trained", shrink=0.8)
    return figure


def draw_lock_in(calm: Simulated) -> Figure:
    """Draw the effect of training as time passes: what is lost while it lasts, then what is gained."""
    figure = _figure(3.8)
    axes, told = figure.subplots(), effects_by_month(calm)
    for kind, colour in {"all": "black", **_TYPES}.items():
        line = told[told["action_type"] == kind].sort_values("horizon_months")
        axes.plot(
            line["horizon_months"], line["effect"] * 100, marker="o", ms=4, color=colour,
            lw=2.4 if kind == "all" else 1.3, label=kind.replace("_", " "),
        )  # fmt: skip
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set_xticks(HORIZONS)
    axes.set(xlabel="months from entry", ylabel="effect on being at work, points of %", title="Lock-in, then gain")
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    return figure


def draw_worth(calm: Simulated, congestion: Simulated) -> Figure:
    """Draw what one more place is worth as more are bought in the same bassin and sector, in two worlds."""
    figure = _figure(3.8)
    axes = figure.subplots()
    for simulated, colour in ((calm, BLUE), (congestion, RED)):
        told = worth_by_places(simulated)
        axes.plot(told["places"], told["middle"] * 100, color=colour, lw=2, label=simulated.world.title)
        axes.fill_between(told["places"], told["low"] * 100, told["high"] * 100, color=colour, alpha=0.18, lw=0)
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set(
        xlabel="places bought in one bassin × sector", ylabel="lasting jobs that 100 more places add",
        title="Each further place adds less (line: median bassin × sector, band: half of them)",
    )  # fmt: skip
    axes.legend(loc="upper right", frameon=False, fontsize=8)
    return figure


def draw_rules(worlds: Mapping[str, Simulated]) -> Figure:
    """Draw which share of the oracle's value each simple rule reaches in each world."""
    told = rule_shares(worlds)
    figure = _figure(1.6 + 0.5 * len(told))
    axes, place = figure.subplots(), np.arange(len(told))
    for turn, (rule, colour) in enumerate(RULE_COLOURS.items()):
        axes.barh(place + 0.2 * (turn - 1.5), told[rule] * 100, height=0.18, color=colour, label=rule.replace("_", " "))
    axes.axvline(100, color="black", lw=1, ls="--")
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(place, [name.replace("_", " ") for name in told.index])
    axes.invert_yaxis()
    axes.set(
        xlabel="lasting jobs added, % of the oracle's plan", title="What simple rules reach of what knowing the truth reaches"
    )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4, frameon=False)
    return figure


def draw_figures(folder: Path, *, scale: str = "demo", seed: int = 1, workers: int = 1) -> list[Path]:
    """Draw every world, then every figure of the docs, into SVG files of a folder."""
    as_of = pd.Timestamp("2026-03-31")
    worlds = {name: simulate(name, scale=scale, seed=seed, as_of=as_of, workers=workers) for name in WORLDS}
    calm = worlds["calm"]
    figures: dict[str, Callable[[], Figure]] = {
        "need": lambda: draw_need(calm, worlds["crisis"], as_of),
        "map": lambda: draw_map(calm),
        "survey": lambda: draw_survey(calm, worlds["misleading_surveys"]),
        "rates": lambda: draw_rates(calm, worlds["creaming"]),
        "lock_in": lambda: draw_lock_in(calm),
        "worth": lambda: draw_worth(calm, worlds["congestion"]),
        "rules": lambda: draw_rules(worlds),
    }
    return [write_svg(figure, folder / f"{name}.svg") for name, figure in figures.items()]


def write_svg(figure: Callable[[], Figure], path: Path) -> Path:
    """Draw one figure into an SVG file that holds no date: the same worlds give the same bytes."""
    import matplotlib

    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(
        {
            "svg.hashsalt": "needs",
            "axes.titlesize": 10,
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    ):
        figure().savefig(path, format="svg", dpi=_DPI, metadata={"Date": None, "Creator": None})
    return path


def _figure(height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("look: figures need matplotlib. Install it with: pip install 'skills-needs[plots]'.") from error
    return Figure(figsize=(_WIDTH, height), layout="constrained")


def _title(simulated: Simulated) -> str:
    return textwrap.fill(simulated.world.title, _TITLE)


def _note(axes: Axes, text: str) -> None:
    axes.text(0.02, 0.98, text, transform=axes.transAxes, va="top", fontsize=8)


def main(arguments: Sequence[str]) -> None:
    """Draw the figures into the folder that the command line names."""
    if len(arguments) != 1:
        raise InputError("look: name one folder, like: python -m needs.twin.look docs/worlds")
    draw_figures(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Which models a night uses: the champion, or a challenger trained when it is due, registered, judged and promoted.

The registry says what is in force; a copy of the champion lies under ``var/models``, and serves while MLflow cannot be reached.
Whatever dies here, the next call goes on: a training that was not registered to its end is not there, one that was registered
and not judged is judged, and one that was judged is what was decided of it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from features.build import Features
from needs.home import Home
from needs.params import describe_params
from needs.run.digest_plan import Line
from needs.run.inputs import Inputs
from needs.run.progress import step
from needs.run.training import FIRST, LATER, LEARNED_BY, About, Models, compare, decide, is_due, learn
from needs.show.plots import can_draw, draw_training
from needs.store.bundles import BundleError, read_bundle, write_bundle
from needs.store.registry import (
    Made,
    Registered,
    RegistryError,
    Store,
    Verdict,
    Version,
    fetch,
    read_registry,
    register,
    settle,
)

UNREADABLE, ASKED = "unreadable", "asked"
PROMOTED = "promoted"
_POINTER = "champion.json"
_REASON = "reason"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InForce:
    """The models of a run, the name they give it ("" where they learned from just what it knows), and what is told of them.

    What is ``told`` is the same whenever the run is the same; whether MLflow was ``reached`` is of the night alone.
    """

    models: Models
    model_id: str
    told: tuple[Line, ...]
    reached: bool = True


def choose_models(
    home: Home,
    features: Callable[[], Features],
    inputs: Inputs,
    *,
    again: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> InForce:
    """Choose the models of a run; train, judge and promote a challenger first where it is due, or asked for ``again``.

    ``features`` are asked for each time something is learned or judged of them, and else not made.

    MLflow alone never fails a night: where it cannot be used, the champion on disk serves, else models trained for this run.
    """
    night = _Night(home, features, inputs, clock)
    try:
        return _by_registry(night, again=again)
    except RegistryError as error:
        log.warning("%s", error)
        return _without_registry(night)


def foresee_models(home: Home, inputs: Inputs) -> tuple[str, str]:
    """Say why models would be trained for a run ("" where not), and the name of the champion. Nothing is written."""
    why, champion = _due(registered(Store.of(home.var, inputs.params.execution.tracking)), inputs)
    return why, champion.name if champion else ""


def models_at_hand(home: Home, features: Callable[[], Features], inputs: Inputs) -> InForce:
    """Give the models of a run, and write nothing: the champion where it may serve and lies here, else some trained now."""
    night = _Night(home, features, inputs, lambda: datetime.now(UTC))
    try:
        known = registered(night.store)
    except RegistryError as error:
        log.warning("%s", error)
        return _without_registry(night)
    why, about = _due(known, inputs)
    if known.champion and about and not why:
        try:
            held = read_bundle(night.folder(about), Models, known.champion.sha256)
            return _in_force(night, held, _alike(known, night.wanted))
        except BundleError as error:
            log.warning("%s", error)
    return _in_force(night, night.trained, None)


def registered(store: Store) -> Registered:
    """Read the registry; where nothing was laid yet, nothing is."""
    return read_registry(store) if store.is_laid else Registered()


def _due(known: Registered, inputs: Inputs) -> tuple[str, About | None]:
    """Say why models would be trained for a run, and what the champion was made of."""
    wanted = About.of(inputs)
    champion = About.read(known.champion.about) if known.champion else None
    return is_due(champion, _tried(known, wanted), wanted, inputs.params.training), champion


class _Night:
    """What a night knows, and the models it trains, once at the most."""

    def __init__(self, home: Home, features: Callable[[], Features], inputs: Inputs, clock: Callable[[], datetime]) -> None:
        self.features, self.inputs, self.clock = features, inputs, clock
        self.shelf, self.simulated = home.var / "models", home.simulated
        self.store = Store.of(home.var, inputs.params.execution.tracking)
        self.wanted = About.of(inputs)
        self.started = clock()

    @cached_property
    def trained(self) -> Models:
        return replace(learn(self.features, self.inputs), about=self.wanted)

    def folder(self, about: About) -> Path:
        return self.shelf / about.name


# With the registry ------------------------------------------------------------------------------------------------------


def _by_registry(night: _Night, *, again: bool) -> InForce:
    """Let the champion serve, or train a challenger and let what it is worth decide."""
    known = read_registry(night.store)
    champion = known.champion
    about = About.read(champion.about) if champion else None
    why = is_due(about, _tried(known, night.wanted), night.wanted, night.inputs.params.training)
    why = why or (ASKED if again else "")
    held = _read(night, champion) if champion and about and why != LATER else None
    if about and why != LATER and not held:
        why = UNREADABLE
    if champion and held and not why:
        _keep_near(night, champion)
        return _in_force(night, held, _alike(known, night.wanted))
    challenger, version = _challenge(night, _alike(known, night.wanted), why)
    if why == LATER:
        if not version.decision:
            version = _settle(night, version, None, challenger, past=True)
        return _in_force(night, challenger, version)
    version = _settle(night, version, held, challenger)
    promoted = version.decision == PROMOTED
    if promoted:
        _keep_near(night, version)
    return _in_force(night, challenger if promoted or not held else held, version)


def _tried(known: Registered, wanted: About) -> About | None:
    """Say what the newest training that something was decided of was made of, up to the day of the run."""
    decided = [About.read(version.about) for version in known.versions if version.decision]
    return next((about for about in decided if about and about.day <= wanted.day), None)


def _alike(known: Registered, wanted: About) -> Version | None:
    """Find the newest version that was made of just what a run knows."""
    return next((version for version in known.versions if About.read(version.about) == wanted), None)


def _read(night: _Night, version: Version) -> Models | None:
    """Read a registered model: the copy at hand, else that of MLflow, if it has the hash that was registered; else nothing."""
    about = About.read(version.about)
    if not about:
        return None
    folder = night.folder(about)
    try:
        return read_bundle(folder, Models, version.sha256)
    except BundleError:
        log.info("model %d: taken from MLflow", version.number)
    try:
        fetch(night.store, version, folder)
        return read_bundle(folder, Models, version.sha256)
    except BundleError as error:
        log.warning("%s", error)
        return None


def _challenge(night: _Night, alike: Version | None, why: str) -> tuple[Models, Version]:
    """Give the challenger: the one that a night cut short had registered, else one trained and registered now."""
    known = _read(night, alike) if alike else None
    if alike and known:
        return known, alike
    log.info("models are trained: %s", why)
    folder, tags = night.folder(night.wanted), {**night.wanted.told(), _REASON: why}
    manifest = write_bundle(folder, night.trained, tags)
    with step("registry") as rows:
        version = register(night.store, Made(night.wanted.name, night.started, _settings(night.inputs), _prints(night)), folder)
        rows["bytes"] = manifest.size
    return night.trained, version


def _settle(night: _Night, version: Version, held: Models | None, challenger: Models, *, past: bool = False) -> Version:
    """Judge the challenger beside the champion, and record what is decided. A day of the past decides nothing of tonight."""
    params = night.inputs.params
    with step("champion and challenger") as rows, TemporaryDirectory() as folder:
        scores = compare(held, challenger, night.features(), params)
        decision = decide(scores, params.training)
        rows |= {"scores": len(scores)}
        text = LATER if past else PROMOTED if decision.promoted else "; ".join(decision.reasons)
        files = [Path(folder) / "scores.csv"]
        scores.to_csv(files[0], index=False)
        if can_draw():
            files.append(draw_training(scores, Path(folder) / "training.png", params.show.language))
        settle(night.store, version, Verdict(decision.promoted and not past, text, scores, files), night.clock())
    log.info("model %d: %s", version.number, text)
    return Version(version.number, version.run, version.sha256, version.about, text)


def _settings(inputs: Inputs) -> dict[str, str]:
    """Give the parameters that decide what is learned, and what keeps it from being used."""
    rows = describe_params(inputs.params)
    mine = rows[rows["name"].str.partition(".")[0].isin([*LEARNED_BY, "training"]) & rows["value"].ne("")]
    return dict(zip(mine["name"], mine["value"], strict=True))


def _prints(night: _Night) -> dict[str, str]:
    """Say what a training was made of."""
    return {**night.wanted.told(), "code_version": night.inputs.code, "simulated": str(night.simulated).lower()}


# Without it -------------------------------------------------------------------------------------------------------------


def _without_registry(night: _Night) -> InForce:
    """Let the champion on disk serve, however old; without one that may, models trained for this run alone."""
    near = _near(night)
    about = About.read(near.about) if near else None
    held = None
    if near and about and about.day <= night.wanted.day:
        try:
            held = read_bundle(night.folder(about), Models, near.sha256)
        except BundleError as error:
            log.warning("%s", error)
    if held and about != night.wanted:
        return replace(_in_force(night, held, None), reached=False)
    learned = near if held else Version(0, "", "", {_REASON: UNREADABLE if near else FIRST}, "")
    return replace(_in_force(night, held or night.trained, learned), reached=False)


def _near(night: _Night) -> Version | None:
    """Say which champion lies at hand."""
    try:
        return Version(**json.loads((night.shelf / _POINTER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _keep_near(night: _Night, champion: Version) -> None:
    """Note which champion lies at hand, and remove the others."""
    if _near(night) != champion:
        _point_at(night, champion)
    about = About.read(champion.about)
    for folder in night.shelf.iterdir():
        if folder.is_dir() and about and folder.name != about.name:
            shutil.rmtree(folder, ignore_errors=True)


def _point_at(night: _Night, champion: Version) -> None:
    """Write which champion lies at hand."""
    part = night.shelf / f".{_POINTER}"
    with part.open("w", encoding="utf-8") as file:
        json.dump(asdict(champion), file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(night.shelf / _POINTER)


# What is told -----------------------------------------------------------------------------------------------------------


def _in_force(night: _Night, models: Models, tried: Version | None) -> InForce:
    """Name the models of the run, and say what is to be known of them."""
    mine = models.about == night.wanted
    return InForce(models, "" if mine else models.about.name, tuple(_tell(night, models, tried)))


def _tell(night: _Night, models: Models, tried: Version | None) -> Iterator[Line]:
    """Say what serves, what was trained for it, and what was refused. The same state of the registry says the same."""
    age = (night.wanted.day - models.about.day).days
    told = {"as_of": models.about.as_of, "days": age}
    if tried:
        yield "info", f"models.trained_{tried.about.get(_REASON, UNREADABLE)}", told, 0.0
        if tried.decision not in ("", PROMOTED, LATER):
            yield "warning", "models.kept", {**told, "worse": tried.decision}, age
    else:
        yield "info", "models.used", told, age

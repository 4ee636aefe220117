"""A run as a line of stages: each is skipped when nothing it depends on has changed, and taken up again where it died.

A stage says what it reads (results of stages before it, tables of the lake, sections of the parameters). From these and the
code comes its *key*: what was made under a key is never made again while it lies whole on the shelf. Nothing here knows what
a stage does; without a shelf everything is made in memory, once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from features.errors import InputError
from needs.run.inputs import Inputs
from needs.run.limits import LimitParams, limited
from needs.store.bundles import BundleError, read_bundle, read_manifest, write_bundle
from needs.store.memory import give_back

log = logging.getLogger(__name__)
Thing = TypeVar("Thing")
_KEY = 16  # characters of a key that name a folder


def always(_: object) -> bool:
    """Say of any result that it is whole."""
    return True


def itself(result: Thing) -> Thing:
    """Give a result whole."""
    return result


@dataclass(frozen=True)
class Stage:
    """One stage: ``make(inputs, *results)`` gives its result, a ``kind``, from those of the stages it comes ``after``.

    ``tables`` are those of the lake that it reads itself, ``settings`` the sections of the parameters. ``parts`` say what it is
    given of results that it does not look at whole: the rest need not be held meanwhile. A result that is not ``whole`` serves
    this run alone: it is not laid down, so that the next one tries again.
    """

    name: str
    make: Callable[..., Any]
    kind: type
    after: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    parts: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    whole: Callable[[Any], bool] = always


@dataclass(frozen=True)
class Given:
    """A result that no stage makes, and a print of it: two that have the same print are the same."""

    thing: Any
    print: str


@dataclass(frozen=True)
class Shelf:
    """Where results lie: a folder per stage, in it one per key, each a bundle with its manifest."""

    root: Path

    def holds(self, stage: str, key: str) -> bool:
        """Whether a result lies there, whole as far as its manifest tells."""
        return self._about(self._place(stage, key)) is not None

    def take(self, stage: str, key: str, kind: type[Thing]) -> Thing:
        """Give a result. Raises :class:`BundleError` when what lies there is not what was put."""
        return read_bundle(self._place(stage, key), kind)

    def put(self, stage: str, key: str, thing: object, about: Mapping[str, str]) -> None:
        """Lay a result down, whole or not at all."""
        write_bundle(self._place(stage, key), thing, about)

    def known(self, stage: str) -> list[Mapping[str, str]]:
        """Say what the results of a stage that lie there were made of."""
        return [about for folder in self._folders(stage) if (about := self._about(folder)) is not None]

    def keep(self, keys: Mapping[str, str]) -> None:
        """Remove, of the stages named, all results but those under one key each."""
        for stage, key in keys.items():
            for folder in self._folders(stage):
                if folder != self._place(stage, key):
                    shutil.rmtree(folder, ignore_errors=True)

    def _about(self, folder: Path) -> Mapping[str, str] | None:
        try:
            return read_manifest(folder).about
        except BundleError:
            return None

    def _place(self, stage: str, key: str) -> Path:
        return self.root / stage / key[:_KEY]

    def _folders(self, stage: str) -> list[Path]:
        return sorted(self.root.glob(f"{stage}/*/"))


@dataclass(frozen=True)
class ReadOnlyShelf(Shelf):
    """A shelf that is looked at and left as it is."""

    def put(self, stage: str, key: str, thing: object, about: Mapping[str, str]) -> None:
        """Lay nothing down."""

    def keep(self, keys: Mapping[str, str]) -> None:
        """Remove nothing."""


@dataclass
class Line:
    """What a run has made so far, and how to make the rest: ``line["plan"]`` makes what it takes to have a plan.

    ``again`` are stages to make though they lie on the shelf, ``barred`` those that may only be taken from it. Those ``seen``
    were made or taken: they are not made again, and nothing is said of them when they are taken once more. While a stage is
    made, only what it asks for is held.
    """

    stages: Sequence[Stage]
    inputs: Inputs
    shelf: Shelf | None = None
    given: Mapping[str, Given] = field(default_factory=dict)
    again: Collection[str] = ()
    barred: Collection[str] = ()
    limits: LimitParams = field(default_factory=LimitParams)
    made: dict[str, Any] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  # each stage says its kind
        """Give a result: the one at hand, else the one on the shelf, else a new one."""
        if name in self.given:
            return self.given[name].thing
        if name not in self.made:
            self.made[name] = self._taken(self.stage(name)) if self._lies(name) else self._new(self.stage(name))
            self.seen.add(name)
        return self.made[name]

    def lend(self, name: str) -> Any:  # noqa: ANN401  # each stage says its kind
        """Give a result that is not kept here where it lies on the shelf."""
        lent = self[name]
        self.put_back([name])
        return lent

    def stage(self, name: str) -> Stage:
        """Find a stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)

    def key(self, name: str) -> str:
        """Name what a stage depends on: the same key, the same result."""
        return hashlib.sha256(json.dumps(self.reads(name), sort_keys=True).encode()).hexdigest()

    def reads(self, name: str) -> dict[str, str]:
        """Say what a stage depends on, each by its print."""
        if name in self.given:
            return {name: self.given[name].print}
        stage, inputs = self.stage(name), self.inputs
        told = {"stage": name, "code": inputs.code, "as_of": f"{inputs.as_of:%Y-%m-%d}", "exercise": str(inputs.exercise)}
        told |= {f"table {table}": inputs.prints.get(table, "") for table in stage.tables}
        told |= {f"params {section}": inputs.params.print_of(section) for section in stage.settings}
        return told | {f"stage {before}": self.key(before) for before in stage.after}

    def keys(self) -> dict[str, str]:
        """Give the key of every stage."""
        return {stage.name: self.key(stage.name) for stage in self.stages}

    def changed(self, name: str) -> list[str]:
        """Say what a stage reads that differs from what its results on the shelf were made of; nothing when one is current."""
        if self.shelf is None or name in self.again:
            return ["asked for"]
        reads = self.reads(name)
        if self.shelf.holds(name, self.key(name)):
            return []
        apart = [[part for part in reads if made.get(part) != reads[part]] for made in self.shelf.known(name)]
        return min(apart, key=len, default=["never made"])

    def put_back(self, names: Collection[str]) -> None:
        """Let results go that lie on the shelf: who asks for one later takes it from there."""
        for name in [name for name in names if name in self.made and self._lies(name)]:
            del self.made[name]
        give_back()

    def _lies(self, name: str) -> bool:
        fresh = name in self.seen or name not in self.again
        return self.shelf is not None and fresh and self.shelf.holds(name, self.key(name))

    def _taken(self, stage: Stage) -> object:
        """Take a result from the shelf; what is no longer what was put there is made again."""
        assert self.shelf is not None
        try:
            taken: object = self.shelf.take(stage.name, self.key(stage.name), stage.kind)
        except BundleError as error:
            log.warning("%s: %s It is made again.", stage.name, error)
            return self._new(stage)
        if stage.name not in self.seen:
            log.info("%s: taken as it was made, nothing it depends on has changed", stage.name)
        return taken

    def _new(self, stage: Stage) -> object:
        """Make a result, within its time, and lay it down."""
        for before in stage.after:
            self[before]  # made one after the other, before any is held for this stage
        results = [stage.parts.get(before, itself)(self[before]) for before in stage.after]
        if stage.name in self.barred:
            raise InputError(
                f"{stage.name}: has not been made of what the lake holds and the parameters say "
                f"({', '.join(self.changed(stage.name))}). Ask for it too: needs nightly --from {stage.name}"
            )
        self.put_back([*stage.parts, *(self.made.keys() - set(stage.after))])
        with limited(self.limits, stage.name):
            thing = stage.make(self.inputs, *results)
        self.inputs.let_go()  # stages ask for different tables, and all of them take as much memory as what is made of them
        if self.shelf is not None and stage.whole(thing):
            self.shelf.put(stage.name, self.key(stage.name), thing, self.reads(stage.name))
        return thing

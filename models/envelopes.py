"""The money, and what binds it: envelopes, levers, floors and ceilings, as a Region states them in ``params.yaml``.

purchase:
  envelopes:
    - {name: socle, amount_eur: 4060000, financeurs: ["2"]}
    - {name: additionnel, amount_eur: 12705600, places: 5294, place_eur: 2400, volets: [additionnel], financeurs: ["11", "4"]}
  rules:
    - {name: Ardennes, kind: floor, amount: 300, territories: [D08]}
    - {name: part des langues, kind: ceiling, counts: euros, share: 0.1, action_types: [langue]}
    - {name: évolution par secteur, kind: ceiling, of_year: 2026, share: 1.3, each: sector}
  levers:
    - {name: aide à la mobilité, place_eur: 150, fills: 1.08, territories: [D08, D52]}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import ValidationInfo, field_validator, model_validator

from features.params import Section, param
from features.past_lots import BOUGHT
from features.vocabulary import ACTION_TYPES, BASSIN, DEPARTMENT, LEVEL, MAISON, PUBLICS, REGION_CODE, SECTOR, ZONE
from models.buying import Numbers, SearchParams

RESERVED = (*PUBLICS[1:], "neet")
_CENT = 0.01
_AREAS = (BASSIN, DEPARTMENT, MAISON, ZONE, REGION_CODE)
_CODES = {
    "territories": ("|".join(noun.pattern for noun in _AREAS), ", ".join(noun.example for noun in _AREAS)),
    "sectors": (SECTOR.pattern, SECTOR.example),
    "action_types": ("|".join(ACTION_TYPES), ACTION_TYPES[-1]),
    "levels": (f"({LEVEL.pattern})?", LEVEL.example),
}


@dataclass(frozen=True)
class Grounds:
    """What rules are counted on: ``areas`` (area, territory, share), the ``group`` of each sector, and ``past`` lots."""

    areas: pd.DataFrame
    groups: pd.Series[str]
    past: pd.DataFrame

    @classmethod
    def bare(cls) -> Grounds:
        """Know no wider territory, no group and no past."""
        numbers = dict.fromkeys(("exercise", "share", *BOUGHT), "float64")
        texts = dict.fromkeys(("area", "territory", "sector", "action_type", "level", "public", "funder"), "str")
        frame = pd.DataFrame(columns=[*texts, *numbers]).astype({**texts, **numbers})
        return cls(frame[["area", "territory", "share"]], pd.Series(dtype="str"), frame.drop(columns=["area", "share"]))


class Scope(Section):
    """What of all that can be bought is meant; an empty list means all."""

    territories: tuple[str, ...] = param((), "bassins, départements, Maisons or zones meant; empty: all")
    sectors: tuple[str, ...] = param((), "sectors meant (first digits of a Formacode); empty: all")
    sector_groups: tuple[str, ...] = param((), "contract sectors meant, by the names of their table; empty: all")
    action_types: tuple[str, ...] = param((), "types of action meant; empty: all")
    levels: tuple[str, ...] = param((), "exit levels meant, '' for none; empty: all")

    @field_validator("territories", "sectors", "action_types", "levels")
    @classmethod
    def _are_codes(cls, codes: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Refuse what names nothing: a rule on it would hold of nothing, in silence."""
        pattern, example = _CODES[str(info.field_name)]
        if strange := [code for code in codes if not re.fullmatch(pattern, code)]:
            raise ValueError(f"{', '.join(strange)}: not among what can be named here. Write it like {example}.")
        return codes

    @property
    def is_narrow(self) -> bool:
        """Say whether some of what can be bought is not meant."""
        return bool(self.territories or self.sectors or self.sector_groups or self.action_types or self.levels)

    def share_of(self, options: pd.DataFrame, grounds: Grounds) -> Numbers:
        """Say how far each option is meant: 0, 1, or the share of its bassin that lies in the territories named.

        One number per row of territory, sector, action_type, level.
        """
        meant = np.ones(len(options))
        for column, codes in {"sector": self.sectors, "action_type": self.action_types, "level": self.levels}.items():
            if codes:
                meant *= options[column].isin(codes).to_numpy()
        if self.sector_groups:
            meant *= options["sector"].map(grounds.groups).isin(self.sector_groups).to_numpy()
        if self.territories:
            wider = grounds.areas[grounds.areas["area"].isin(self.territories)].groupby("territory")["share"].sum()
            own = options["territory"].isin(self.territories).to_numpy(dtype="float64")
            meant *= np.maximum(own, options["territory"].map(wider).fillna(0.0).clip(upper=1.0).to_numpy(dtype="float64"))
        return meant


class Envelope(Scope):
    """A budget, and what it may pay for. Of a bassin that lies in several territories, those with half of its people count."""

    name: str = param(..., "how the envelope is called")
    amount_eur: float = param(..., "what it may spend over its exercises", unit="€", ge=0)
    committed_eur: float = param(0.0, "what of it is committed already", unit="€", ge=0)
    places: int | None = param(None, "places it may buy at most; empty: as many as its money buys", unit="places", ge=0)
    committed_places: int = param(0, "places committed already, which rules that name nothing count too", unit="places", ge=0)
    exercises: int = param(1, "years it is for, in equal parts: what is bought is renewed in each", unit="years", ge=1, le=10)
    place_eur: float | None = param(
        None, "what it pays for a place, whatever the training; empty: the usual price of each", unit="€", ge=0
    )
    pays_allowances: bool = param(False, "whether trainees' allowances are paid out of it too")
    volets: tuple[str, ...] = param(("socle",), "the parts of the programme it pays for (socle, additionnel, autre)")
    financeurs: tuple[str, ...] = param(("2",), "LHEO codes of who pays, with their parts where several do, like 2:0.6, 3:0.4")

    @field_validator("financeurs", mode="before")
    @classmethod
    def _as_texts(cls, codes: object) -> object:
        """Take a code written as a number, ``[2, 4]``, for the text it is."""
        return tuple(str(code) if type(code) is int else code for code in codes) if isinstance(codes, list | tuple) else codes

    @field_validator("financeurs")
    @classmethod
    def _are_parts(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        for code in codes:
            if not re.fullmatch(r"\d{1,2}(:(0?\.\d+|0|1(\.0*)?))?", code):
                raise ValueError(f"{code}: not a funder. Write its LHEO code like 2, or with its part like 2:0.6.")
        parts = [code.partition(":")[2] for code in codes]
        if any(parts) and not (all(parts) and abs(sum(map(float, parts)) - 1.0) < _CENT):
            raise ValueError(f"{', '.join(codes)}: say the part of each funder, 1 in all, like 2:0.6, 3:0.4; or of none.")
        return codes

    @property
    def cents(self) -> int:
        """What is left to spend in one exercise, in cents."""
        return max(0, round(self.amount_eur * 100) - round(self.committed_eur * 100)) // self.exercises

    @property
    def most_places(self) -> int | None:
        """How many places it may still buy in one exercise."""
        return None if self.places is None else max(0, self.places - self.committed_places) // self.exercises

    @property
    def tells_parts(self) -> bool:
        """Say whether it is told which part each funder pays."""
        return any(":" in code for code in self.financeurs)

    @property
    def parts(self) -> dict[str, float]:
        """Which part each funder pays; in equal parts where none is said."""
        told = [code.partition(":") for code in self.financeurs]
        return {code: float(part) if part else 1.0 / len(told) for code, _, part in told}

    def pays_for(self, options: pd.DataFrame, grounds: Grounds) -> Numbers:
        """Mark what it may pay for. One number, 0 or 1, per row of ``options``."""
        return (self.share_of(options, grounds) >= 0.5).astype("float64")


class Lever(Scope):
    """What can be added to a place for a price: aid to get there, for example; bought where it adds more than it costs."""

    name: str = param(..., "how the lever is called")
    place_eur: float = param(..., "what it costs beside a place", unit="€", ge=0)
    fills: float = param(1.0, "how many enter and finish with it, for one without", unit="ratio", ge=1, le=3)


class Rule(Scope):
    """A floor that is promised, or a ceiling that is not passed."""

    name: str = param(..., "how the rule is called")
    kind: Literal["floor", "ceiling"] = param(..., "whether at least so much is bought, or at most")
    counts: Literal["places", "euros", "sessions"] = param("places", "what is counted")
    amount: float | None = param(None, "how much of it; empty where a share is said", unit="of what is counted", ge=0)
    share: float | None = param(
        None,
        "which share of all that is bought, or of what a year had; empty where an amount is said",
        unit="share",
        ge=0,
        le=10,
    )
    of_year: int | None = param(None, "the share is of what was bought in this year", unit="year", ge=2000, le=2099)
    each: Literal["", "territory", "sector", "sector_group", "action_type", "level", "funder"] = param(
        "", "with of_year: a rule of its own for each of these that had any"
    )
    envelopes: tuple[str, ...] = param((), "names of the envelopes meant; empty: all")
    financeurs: tuple[str, ...] = param((), "LHEO codes of the funders whose parts count; empty: all")
    public: str = param("", "only the places that go to this public, by who usually enters; empty: all")
    never_bought: bool = param(False, "only what was never bought there: so that next year can learn")
    emerging: bool = param(False, "only what leads to emerging occupations, by their share of the need")

    @field_validator("public")
    @classmethod
    def _is_public(cls, public: str) -> str:
        if public and public not in RESERVED:
            raise ValueError(f"{public}: not a public. Write one of {', '.join(RESERVED)}.")
        return public

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (self.amount is None) == (self.share is None):
            raise ValueError(f"rule '{self.name}': say either an amount or a share, like amount: 300 or share: 0.1")
        if self.of_year is None and (self.each or (self.share or 0.0) > 1):
            raise ValueError(f"rule '{self.name}': say of which year, like of_year: 2026, or a share of 1 at most")
        if self.of_year is not None and self.share is None:
            raise ValueError(f"rule '{self.name}': say which share of {self.of_year} it is, like share: 0.8")
        return self

    def share_of(self, options: pd.DataFrame, grounds: Grounds) -> Numbers:
        """Say how far each option is meant: as in a scope, times the share of who usually enters, or of emerging needs."""
        meant = super().share_of(options, grounds)
        columns = (
            [f"of_{self.public}"] * bool(self.public) + ["emerging"] * self.emerging + ["never_bought"] * self.never_bought
        )
        for column in columns:
            meant = meant * options[column].astype("float64").to_numpy()
        return np.asarray(meant)


class PurchaseParams(Section):
    """What is bought, for when, with which money and under which rules."""

    exercise: int | None = param(None, "year bought for; empty: the one after as_of", unit="year", ge=2000, le=2099)
    envelopes: tuple[Envelope, ...] = param((Envelope(name="base", amount_eur=2_000_000),), "the budgets")
    rules: tuple[Rule, ...] = param((), "floors and ceilings by name; none: only money, sessions and providers bind")
    levers: tuple[Lever, ...] = param((), "what can be added to a place for a price, like aid for mobility")
    nearest: bool = param(False, "where rules contradict each other, the plan that misses them least, instead of none")
    provider_growth: float = param(
        1.25,
        "sessions of a kind bought at most, for one of its busiest year: what providers can run",
        unit="ratio",
        ge=1,
        le=10,
    )
    framework_margin: float = param(
        0.2,
        "places that a lot may order beyond those planned: the maximum that a framework agreement must state",
        unit="share of places",
        ge=0,
        le=1,
    )
    smallest_worth: float = param(0.001, "what a place must be worth to be bought freely", unit="jobs", ge=0, le=1)
    draws: int = param(
        50, "joint draws of need, effect and cost that say how stable a lot is; 0: none", unit="draws", ge=0, le=500
    )
    search: SearchParams = SearchParams()

    @model_validator(mode="after")
    def _named_apart(self) -> Self:
        told = {
            "envelopes": [each.name for each in self.envelopes],
            "rules": [each.name for each in self.rules],
            "levers": [each.name for each in self.levers],
        }
        for what, names in told.items():
            if len(set(names)) < len(names):
                raise ValueError(f"two {what} have the same name; give each its own")
        known = {envelope.name for envelope in self.envelopes}
        if strange := sorted({name for rule in self.rules for name in rule.envelopes} - known):
            raise ValueError(
                f"rules name envelopes that are not there: {', '.join(strange)}; there are {', '.join(sorted(known))}"
            )
        return self

"""The money, and what binds it: envelopes, floors and ceilings, as a Region states them in ``params.yaml``.

purchase:
  envelopes:
    - {name: socle, amount_eur: 4060000, financeurs: ["2"]}
    - {name: entreprise, amount_eur: 400000, action_types: [adaptation_poste], financeurs: ["4"]}
  rules:
    - {name: Ardennes, kind: floor, counts: places, amount: 300, territories: [BE4412, BE4415]}
    - {name: part des langues, kind: ceiling, counts: euros, share: 0.1, action_types: [langue]}
"""

from __future__ import annotations

import re
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationInfo, field_validator, model_validator

from features.params import Section, param
from features.vocabulary import ACTION_TYPES, BASSIN, LEVEL, SECTOR
from models.buying import SearchParams

Flags = NDArray[np.bool_]
_CODES = {
    "territories": (BASSIN.pattern, BASSIN.example),
    "sectors": (SECTOR.pattern, SECTOR.example),
    "action_types": ("|".join(ACTION_TYPES), ACTION_TYPES[-1]),
    "levels": (f"({LEVEL.pattern})?", LEVEL.example),
}


class Scope(Section):
    """What of all that can be bought is meant; an empty list means all."""

    territories: tuple[str, ...] = param((), "bassins meant; empty: all")
    sectors: tuple[str, ...] = param((), "sectors meant (first digits of a Formacode); empty: all")
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

    def covers(self, options: pd.DataFrame) -> Flags:
        """Mark the options that are meant. One flag per row of territory, sector, action_type, level."""
        meant = np.ones(len(options), dtype=bool)
        for column, codes in {
            "territory": self.territories,
            "sector": self.sectors,
            "action_type": self.action_types,
            "level": self.levels,
        }.items():
            if codes:
                meant &= options[column].isin(codes).to_numpy()
        return meant


class Envelope(Scope):
    """A budget, and what it may pay for."""

    name: str = param(..., "how the envelope is called")
    amount_eur: float = param(..., "what it may spend on teaching and annexes in the exercise", unit="€", ge=0)
    committed_eur: float = param(0.0, "what of it is committed already", unit="€", ge=0)
    places: int | None = param(None, "places it may buy at most; empty: as many as its money buys", unit="places", ge=0)
    volets: tuple[str, ...] = param(("socle",), "the parts of the programme it pays for (socle, additionnel, autre)")
    financeurs: tuple[str, ...] = param(("2",), "LHEO codes of who pays")

    @field_validator("financeurs", mode="before")
    @classmethod
    def _as_texts(cls, codes: object) -> object:
        """Take a code written as a number, ``[2, 4]``, for the text it is."""
        return tuple(str(code) if type(code) is int else code for code in codes) if isinstance(codes, list | tuple) else codes

    @property
    def cents(self) -> int:
        """What is left to spend, in cents."""
        return max(0, round(self.amount_eur * 100) - round(self.committed_eur * 100))


class Rule(Scope):
    """A floor that is promised, or a ceiling that is not passed."""

    name: str = param(..., "how the rule is called")
    kind: Literal["floor", "ceiling"] = param(..., "whether at least so much is bought, or at most")
    counts: Literal["places", "euros", "sessions"] = param("places", "what is counted")
    amount: float | None = param(None, "how much of it; empty where a share is said", unit="of what is counted", ge=0)
    share: float | None = param(
        None, "which share of all that is bought; empty where an amount is said", unit="share", ge=0, le=1
    )
    envelopes: tuple[str, ...] = param((), "names of the envelopes meant; empty: all")

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (self.amount is None) == (self.share is None):
            raise ValueError(f"rule '{self.name}': say either an amount or a share, like amount: 300 or share: 0.1")
        return self


class PurchaseParams(Section):
    """What is bought, for when, with which money and under which rules."""

    exercise: int | None = param(None, "year bought for; empty: the one after as_of", unit="year", ge=2000, le=2099)
    envelopes: tuple[Envelope, ...] = param((Envelope(name="base", amount_eur=2_000_000),), "the budgets")
    rules: tuple[Rule, ...] = param((), "floors and ceilings by name; none: only money, sessions and providers bind")
    provider_growth: float = param(
        1.25,
        "sessions of a kind bought at most, for one of its busiest year: what providers can run",
        unit="ratio",
        ge=1,
        le=10,
    )
    smallest_worth: float = param(0.001, "what a place must be worth to be bought freely", unit="jobs", ge=0, le=1)
    search: SearchParams = SearchParams()

    @model_validator(mode="after")
    def _named_apart(self) -> Self:
        names = {"envelopes": [each.name for each in self.envelopes], "rules": [each.name for each in self.rules]}
        for what, named in names.items():
            if len(set(named)) < len(named):
                raise ValueError(f"two {what} have the same name; give each its own")
        known = {envelope.name for envelope in self.envelopes}
        if strange := sorted({name for rule in self.rules for name in rule.envelopes} - known):
            raise ValueError(
                f"rules name envelopes that are not there: {', '.join(strange)}; there are {', '.join(sorted(known))}"
            )
        return self

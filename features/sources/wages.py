"""What an offer pays, from the two labels that say so: gross euros an hour, so that months, years and part time compare."""

from __future__ import annotations

import re
from functools import lru_cache

_DISTINCT = 1 << 16
_PAY = re.compile(
    r"(horaire|mensuel|annuel) de (\d{1,7}(?:[.,]\d{1,4})?) *euros?"
    r"(?: à (\d{1,7}(?:[.,]\d{1,4})?) *euros?)?(?:.*? sur (\d{1,2}(?:[.,]\d)?) *mois)?"
)
_WEEKLY = re.compile(r"(\d{1,2}) *h *(\d{2})?")
_LEGAL_HOURS, _WEEKS, _MONTHS = 35.0, 52.0, 12.0
_LOWEST, _HIGHEST = 3.0, 200.0  # what lies outside is a slip (a month's pay said to be an hour's), and says nothing


@lru_cache(_DISTINCT)
def hourly_pay(label: str | None, worked: str | None) -> str:
    """Read the gross euros an hour that an offer pays: the middle of what it says; empty where it says nothing usable.

    A month or a year is shared over the weekly hours of the offer, 35 where it says none; a thirteenth month counts.

    >>> hourly_pay("Horaire de 12,00 Euros à 14,00 Euros", "35H Travail en journée")
    '13.00'
    >>> hourly_pay("Mensuel de 1820,00 Euros sur 13 mois", None), hourly_pay("Annuel de 26000 Euros", "39H Travail de nuit")
    ('13.00', '12.82')
    >>> hourly_pay("Horaire de 1767 Euros", "35H"), hourly_pay("A négocier", None), hourly_pay(None, None)
    ('', '', '')
    """
    found = _PAY.match((label or "").strip().lower())
    if not found:
        return ""
    unit, low, high, months = found.groups()
    pay = (_number(low) + _number(high or low)) / 2
    yearly = {"horaire": 0.0, "mensuel": pay * (_number(months) if months else _MONTHS), "annuel": pay}[unit]
    hourly = pay if unit == "horaire" else yearly / (_weekly_hours(worked) * _WEEKS)
    return f"{hourly:.2f}" if _LOWEST <= hourly <= _HIGHEST else ""


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _weekly_hours(worked: str | None) -> float:
    """Read the hours of a week.

    >>> _weekly_hours("37H30 Travail de nuit"), _weekly_hours("Travail en journée")
    (37.5, 35.0)
    """
    found = _WEEKLY.match((worked or "").strip().lower())
    hours = int(found[1]) + int(found[2] or 0) / 60 if found else 0.0
    return hours if hours >= 1 else _LEGAL_HOURS

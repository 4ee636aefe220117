"""When a file became known that does not say so itself: a day in its name comes first, then its content, then these lags."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from pydantic import field_validator

from features.params import Section, param

_DAY = re.compile(r"(?<!\d)((?:19|20)\d{2})[-_]?(0[1-9]|1[0-2])[-_]?(0[1-9]|[12]\d|3[01])(?!\d)")


class PublicationParams(Section):
    """When each producer publishes. What came out later than ``as_of`` is not used: set these to what is true of your files."""

    bmo_day: str = param("04-15", "day of its year on which a BMO survey is out", unit="MM-DD")
    # Each lag is the longest one seen, so that no past day is given what came later. Tension of 2021: September 2022; of 2022:
    # November 2023; of 2023: April 2025. InserJeunes of January 2020: February 2021; of July 2024: March 2025.
    tension_months: int = param(
        16, "from the end of the year described to the Dares tension indicators being out", unit="months", ge=0, le=36
    )
    market_months: int = param(
        16, "from the end of the year described to vacancies and jobseekers by bassin being out", unit="months", ge=0, le=36
    )
    insertion_months: int = param(
        13, "from the day an outcome is counted to its rate being out (InserJeunes)", unit="months", ge=0, le=36
    )
    projections_day: date = param(date(2023, 1, 19), "day on which « Métiers en 2030 » by region was out")
    reference_day: date = param(date(2024, 1, 1), "day from which a list of codes that bears no date is taken to be known")

    @field_validator("bmo_day")
    @classmethod
    def _is_a_day(cls, text: str) -> str:
        if not re.fullmatch(r"(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])", text):
            raise ValueError(f"'{text}' is not a day of the year (the 28th at most); write it like \"04-15\"")
        return text


def day_in_name(path: Path) -> str:
    """Read the last day that a file's name holds; empty when it holds none, like the 31st of February.

    >>> day_in_name(Path("catalogue_2025-03-31.xml.gz")), day_in_name(Path("fiches_2024_02_22.zip")), day_in_name(Path("a.xml"))
    ('2025-03-31', '2024-02-22', '')
    """
    return max((day for found in _DAY.findall(path.name) if _exists(day := "-".join(found))), default="")


def _exists(day: str) -> bool:
    try:
        return bool(date.fromisoformat(day))
    except ValueError:
        return False

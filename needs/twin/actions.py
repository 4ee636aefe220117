"""What each type of training is in the simulated region: how common, how long, how it is bought, what it changes."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Action:
    """One type of training.

    ``effect`` is the log of what finishing multiplies the rate of being hired by (τ of ``effects``), ``stay`` is added to the
    log-odds that the job is lasting. Their order of magnitude: +7 points of employment in the medium run for training
    programmes (Card, Kluve, Weber 2018, "What Works?", JEEA 16-3), more near the job (before hiring, certification), almost
    nothing for types that prepare others. ``lost`` is the share of those prescribed who never enter.
    """

    name: str
    share: float
    objective: str
    formacode: str
    hours: int
    company_hours: int
    lost: float
    effect: float
    stay: float

    @property
    def qualifies(self) -> bool:
        """Say whether it leads to an occupation (its Formacode is that of a certification)."""
        return not self.formacode


ACTIONS = (
    Action("certification", 0.44, "6", "", 520, 140, 0.22, 0.70, 0.30),
    Action("professionnalisation", 0.16, "7", "", 280, 70, 0.24, 0.50, 0.15),
    Action("prequalification", 0.08, "8", "", 260, 70, 0.27, 0.25, 0.0),
    Action("perfectionnement", 0.03, "3", "", 110, 0, 0.20, 0.35, 0.10),
    Action("adaptation_poste", 0.03, "7", "", 220, 60, 0.15, 1.10, 0.20),
    Action("remise_a_niveau", 0.10, "5", "15041", 240, 0, 0.28, 0.10, 0.0),
    Action("langue", 0.05, "5", "15235", 220, 0, 0.27, 0.15, 0.0),
    Action("mobilisation", 0.07, "9", "15061", 170, 35, 0.28, 0.15, 0.0),
    Action("creation_entreprise", 0.03, "4", "32047", 70, 0, 0.20, 0.30, 0.10),
    Action("vae", 0.01, "6", "44591", 30, 0, 0.20, 0.40, 0.20),
)


def action_table() -> pd.DataFrame:
    """Give the types as a table. One row per type of training, indexed by its name."""
    rows = [vars(action) | {"qualifies": action.qualifies} for action in ACTIONS]
    return pd.DataFrame(rows).set_index("name")

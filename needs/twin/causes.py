"""Why people lack in an occupation: the causes of its shortage, which only the truth tells.

Too few people trained for it, working conditions, distance, or the plain volume of recruitments. One of them leads (with odds
of 40, 25, 15 and 20 %; parts are Dirichlet with weight 5 on the leading one and 0.7 on each). Training solves the first alone:
it opens that part of the recruitments to those who trained. Odds and parts are ours.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

CAUSES = ("lack_of_trained", "conditions", "distance", "volume")
_LEADS = (0.4, 0.25, 0.15, 0.2)
_LEADING, _OTHER = 5.0, 0.7


def draw_causes(size: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the causes of so many occupations. One row per occupation: the part of each cause, and ``solvable`` by training."""
    lead = rng.choice(len(CAUSES), size, p=_LEADS)
    weights = rng.gamma(np.where(np.arange(len(CAUSES)) == lead[:, None], _LEADING, _OTHER))
    parts = pd.DataFrame(weights / weights.sum(axis=1, keepdims=True), columns=CAUSES)
    return parts.assign(solvable=parts["lack_of_trained"])

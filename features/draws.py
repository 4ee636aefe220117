"""Even draws that need no generator: the same key gives the same number, whatever the other rows and their order."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_BITS = 53  # of a float's mantissa: the finest even grid in [0, 1)


def even_draws(keys: pd.DataFrame) -> NDArray[np.float64]:
    """Draw a number in [0, 1) for each row from its key alone: the same key gives the same, whatever the other rows."""
    hashed = pd.util.hash_pandas_object(keys, index=False).to_numpy()
    return np.asarray((hashed >> np.uint64(64 - _BITS)) * 2.0**-_BITS, dtype="float64")

"""A simulated region whose truth is known: the proportions, codes and places of Grand Est, made-up people and employers.

``draw`` writes raw files in the formats a Region holds, and what is true into a folder that only tests and benchmarks
open. What happens in it is told, one module per part, by ``world`` (need), ``offers``, ``survey``, ``purchases``,
``people``, ``careers``, ``chances`` (who finds work), ``stock``, ``catalogue`` and ``observers``.
"""

from needs.twin.region import Drawn, Written, draw
from needs.twin.scales import SCALES, Scale

__all__ = ["SCALES", "Drawn", "Scale", "Written", "draw"]

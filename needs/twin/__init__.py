"""A simulated region whose truth is known: the proportions, codes and places of Grand Est, made-up people and employers.

``draw`` writes raw files in the formats a Region holds, and what is true into a folder that only tests and benchmarks
open; ``simulate`` does so in one call of a notebook, and reads both back. ``docs/worlds.md`` tells what happens in it. One
module tells each part, and they are best read in this order:

- what can be turned: ``worlds`` (dials), ``scales``;
- who needs whom: ``places``, ``world``, ``market`` (one département), ``skills``;
- what is said of it: ``offers``, ``survey``, ``observers`` (studies, leavers), ``signals``, ``causes``, ``official``,
  ``diplomas``;
- what is bought and offered: ``actions`` (types of training), ``purchases``, ``catalogue``;
- what becomes of people: ``people``, ``effects`` (true ones), ``work``, ``careers``, ``history``, ``stock``;
- what is true, and the best one can do: ``truth``, ``worth``, ``oracle``, ``rules``, ``matches``;
- how all is drawn and written: ``department``, ``region``, ``raw``, ``offer_files``, ``faults`` and ``dirt`` (bad files);
- how it is looked at: ``simulated``, ``look`` (figures).
"""

from needs.twin.region import Drawn, draw
from needs.twin.scales import SCALES, Scale
from needs.twin.simulated import Simulated, simulate
from needs.twin.worth import lots_value, plan_value

__all__ = ["SCALES", "Drawn", "Scale", "Simulated", "draw", "lots_value", "plan_value", "simulate"]

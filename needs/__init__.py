"""Which training to buy, where and for whom. The whole chain in five lines; ``docs/api.md`` tells the rest, with real output.

    import needs
    region = needs.demo("region")       # or needs.open("region"), where one lies
    region.ingest()
    run = region.compute()
    run.tables["lots"]

Nothing heavy is imported before one of these names is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from needs.api import Region as Region
    from needs.api import Run as Run
    from needs.api import demo as demo
    from needs.api import open_region as open  # noqa: A004  # read as needs.open

_API = {"Region": "Region", "Run": "Run", "demo": "demo", "open": "open_region"}
__all__ = ["Region", "Run", "demo", "open"]


def __getattr__(name: str) -> object:
    """Import what is asked for."""
    if name not in _API:
        raise AttributeError(f"module 'needs' has no attribute '{name}': it has {', '.join(_API)}")
    from needs import api

    return getattr(api, _API[name])

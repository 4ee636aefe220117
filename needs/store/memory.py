"""Memory that was let go: allocators keep it for later, a night wants it back at once."""

from __future__ import annotations

import ctypes

import pyarrow as pa


def give_back() -> None:
    """Give the system what allocators keep of memory that nothing holds: after large tables, half as much as is held."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)

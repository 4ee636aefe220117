"""Functions that run as machine code: compiled when first called, kept on disk, and free of the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile a function of arrays. What it gives is what the function says, in the same order of operations."""
    return cast("Function", njit(nogil=True, cache=True)(function))

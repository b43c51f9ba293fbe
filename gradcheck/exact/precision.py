"""Raising the number of bits until a result is sure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flint import ctx

from gradcheck.bounds import MOST_BITS, START_BITS, TIE_BITS
from gradcheck.exact.errors import NotExact, Undecided

T = TypeVar("T")


def settle(compute: Callable[[], T], sure: Callable[[T], bool], start: int = START_BITS, most: int = MOST_BITS) -> tuple[T, int]:
    """``compute()`` at the first number of bits at which ``sure(result)``; that, and the bits.

    The last result is returned if none is sure. Raises ``Undecided`` if a comparison stays
    undecided at ``TIE_BITS``, and ``NotExact`` if the code cannot be run exactly.
    """
    bits = start
    while True:
        with ctx.workprec(bits):
            try:
                result = compute()
                if bits * 2 > most or sure(result):
                    return result, bits
            except Exception as error:
                cause = _cause(error)
                if cause is None:
                    raise
                if isinstance(cause, NotExact) or bits >= TIE_BITS:
                    raise cause from None
        bits *= 2


def _cause(error: BaseException | None) -> BaseException | None:
    """The ``NotExact`` or ``Undecided`` that NumPy or torch wrapped into ``error``, if there is one."""
    while error is not None:
        if isinstance(error, (NotExact, Undecided)):
            return error
        error = error.__cause__ or error.__context__
    return None

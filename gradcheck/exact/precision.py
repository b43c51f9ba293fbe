"""Raising the number of bits until a result is sure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flint import ctx

from gradcheck.exact.errors import NotExact, Undecided

T = TypeVar("T")

START_BITS = 384
"""Enough for a central difference with a step of 2^-120 (which cancels 120 bits) to keep more
than 128 bits of 256 for functions whose intermediate values span 100 binary orders."""

MOST_BITS = 6144
"""Where raising stops: values like e^-3000 beside 1 need 4,400 bits."""

TIE_BITS = 1536
"""A comparison still undecided here is a tie, and a ball that still holds zero here is zero: what
is not zero is below 2^-1400 of its surroundings, far under the range of every floating dtype."""


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

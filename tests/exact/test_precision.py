"""Bits are raised until the result is sure; what cannot be exact is told apart from what is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

from gradcheck.bounds import MOST_BITS, START_BITS, TIE_BITS
from gradcheck.exact.array import exact
from gradcheck.exact.errors import NotExact, Undecided
from gradcheck.exact.precision import settle


def test_bits_double_until_sure_and_are_restored() -> None:
    before, seen = ctx.prec, []

    def compute() -> arb:
        seen.append(ctx.prec)
        return ((arb(-3000)).exp() + 1) - 1

    result, bits = settle(compute, lambda a: a.rel_accuracy_bits() > 64)
    assert seen == [START_BITS * 2**i for i in range(len(seen))]
    assert bits == seen[-1] > 4300
    assert result.rel_accuracy_bits() > 64
    assert ctx.prec == before


def test_the_last_result_is_returned_if_none_is_sure() -> None:
    result, bits = settle(lambda: arb(1) / 3, lambda _: False)
    assert MOST_BITS / 2 < bits <= MOST_BITS
    assert result.overlaps(arb(1) / 3)


def test_a_comparison_is_tried_again_with_more_bits() -> None:
    gap = arb(2) ** -700
    value, bits = settle(lambda: bool(exact(1.0) / 3 + exact(arb_array(gap)) > exact(1.0) / 3), lambda _: True)
    assert value is True
    assert START_BITS < bits <= TIE_BITS


def arb_array(a: arb) -> np.ndarray:
    made = np.empty((), dtype=object)
    made[()] = a
    return made


def test_a_tie_stays_undecided() -> None:
    with pytest.raises(Undecided):
        settle(lambda: bool(exact(1.0) / 3 * 3 == 1), lambda _: True)


def wrapped(cause: Exception, link: str) -> Callable[[], Any]:
    def compute() -> Any:
        try:
            raise cause
        except Exception as error:
            if link == "cause":
                raise ValueError("setting an array element with a sequence") from error
            raise TypeError("while handling")  # noqa: B904

    return compute


@pytest.mark.parametrize("link", ["cause", "context"])
@pytest.mark.parametrize("kind", [NotExact, Undecided])
def test_the_reason_is_unwrapped_from_what_numpy_made_of_it(kind: type[Exception], link: str) -> None:
    with pytest.raises(kind, match="the reason"):
        settle(wrapped(kind("the reason"), link), lambda _: True)


def test_numpys_own_wrapping_is_seen_through() -> None:
    buffer = np.zeros(2)

    def compute() -> None:
        buffer[0] = exact(np.array([1.0, 2.0]))[0]

    with pytest.raises(NotExact) as raised:
        settle(compute, lambda _: True)
    assert raised.value.line.startswith(__file__)


def test_other_errors_of_the_users_code_pass_through() -> None:
    with pytest.raises(ZeroDivisionError):
        settle(lambda: 1 / 0, lambda _: True)


def test_not_exact_is_not_tried_twice() -> None:
    tries = []

    def compute() -> None:
        tries.append(ctx.prec)
        raise NotExact("no")

    with pytest.raises(NotExact):
        settle(compute, lambda _: True)
    assert tries == [START_BITS]

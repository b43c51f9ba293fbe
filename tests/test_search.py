"""Bisection finds the wrong among many, and stops when it has enough."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from gradcheck.bounds import MOST_LOOKS, MOST_WRONG, SAMPLE
from gradcheck.search import bisect, looks


class Asked:
    def __init__(self, wrong: set[int]) -> None:
        self.wrong, self.times = wrong, 0

    def __call__(self, part: range) -> bool:
        self.times += 1
        return any(i in self.wrong for i in part)


@pytest.mark.parametrize("wrong", [{0}, {999}, {500}, {3, 4}, {0, 511, 999}, set(range(0, 1000, 97))])
def test_every_wrong_one_is_found(wrong: set[int]) -> None:
    asked = Asked(wrong)
    assert bisect(asked, 1000, 64) == sorted(wrong)
    assert asked.times <= 2 * len(wrong) * 10


def test_it_stops_when_it_has_enough() -> None:
    asked = Asked(set(range(1000)))
    assert bisect(asked, 1000, 5) == [0, 1, 2, 3, 4]
    assert asked.times < 40
    assert bisect(asked, 1, 5) == [0]


def test_many_are_looked_at_in_part() -> None:
    rng = np.random.default_rng(0)
    assert looks(Asked({3}), MOST_LOOKS, rng) is None
    some = looks(Asked({3, 900}), 1000, rng)
    assert some is not None
    assert {3, 900} <= set(some)
    assert SAMPLE <= len(some) <= SAMPLE + 2
    alone = looks(None, 1000, rng)
    assert alone is not None
    assert len(alone) == SAMPLE


N = MOST_LOOKS + 44


def total(x: np.ndarray) -> np.ndarray:
    return np.sum(np.sin(x)) ** 2


def total_vjp(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return dy * 2 * np.sum(np.sin(x)) * np.cos(x)


X = np.random.default_rng(0).standard_normal(N)


def test_a_wrong_entry_among_many_of_a_dense_function() -> None:
    def vjp(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        g = total_vjp(dy, x)
        g[123] *= 1 + 1e-9
        return g

    (found,) = gradcheck.check(total, vjp, X, select="G").findings
    assert (found.code, found.measured["index"]) == ("G101", [123])
    assert found.measured["wrong_entries"].endswith(f" looked at, {N} in all")
    assert found.measured["wrong_entries"].startswith("1 of ")


def test_a_factor_in_all_of_many() -> None:
    (found,) = gradcheck.check(total, lambda dy, x: 1.5 * total_vjp(dy, x), X, select="G").findings
    assert (found.code, found.cause) == ("G102", "a factor 1.5")
    assert int(found.measured["wrong_entries"].split()[0]) >= MOST_WRONG


def test_many_right_entries_pass_and_say_what_would_have_shown() -> None:
    result = gradcheck.check(lambda x: np.sum(x * (1 / 3)) ** 2, lambda dy, x: dy * 2 * np.sum(x / 3) * np.ones_like(x) / 3, X, select="G")
    assert result.passed
    assert 1e-13 < result.detects < 1e-9


def test_a_missing_gradient_of_many() -> None:
    codes = [f.code for f in gradcheck.check(total, lambda dy, x: np.zeros_like(x), X, select="G").findings]
    assert codes == ["G112"]


@pytest.mark.parametrize("size", [64, N])
def test_ties_among_many_are_never_passed_wrongly(size: int) -> None:
    def pooled(x: np.ndarray) -> np.ndarray:
        return x.reshape(-1, 4).max(axis=1)

    wrong = gradcheck.check(pooled, lambda dy, x: np.repeat(dy, 4), np.zeros(size), select="G")
    assert wrong.verdict.value == ("fail" if size <= MOST_LOOKS else "inconclusive")

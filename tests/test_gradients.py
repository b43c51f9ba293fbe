"""What one random direction does not show is looked at by itself; what a pass says it would have caught, it does catch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck.bounds import SEEN


def verdict(f: Callable[..., Any], slope: Callable[..., Any], x: list[float], factor: Any = 1) -> str:
    return gradcheck.check(f, lambda dy, x: dy * slope(x) * np.array(factor), np.array(x), select="G").verdict.value


HIDDEN: dict[str, tuple[Callable[..., Any], Callable[..., Any], list[float], int]] = {
    "exp, beside e^150": (np.exp, np.exp, [150.0, 0.0], 1),
    "a cube, beside 1e31": (lambda x: x**3, lambda x: 3 * x * x, [1e31, 1.0], 1),
    "a square of 1e-60": (lambda x: x * x, lambda x: 2 * x, [1e-60, 1.0, 2.0], 0),
    "a reciprocal, beside 1e200": (lambda x: 1 / x, lambda x: -1 / x**2, [1e-200, 1.0], 1),
}


@pytest.mark.parametrize("factor", [0.0, 3.0, 1 + 1e-9])
@pytest.mark.parametrize("name", HIDDEN)
def test_an_entry_is_not_hidden_by_others(name: str, factor: float) -> None:
    f, slope, x, at = HIDDEN[name]
    wrong = np.ones(len(x))
    wrong[at] = factor
    assert verdict(f, slope, x) == "pass"
    assert verdict(f, slope, x, wrong) == "fail"


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x))
    return e / np.sum(e)


@pytest.mark.parametrize("factor", [0.0, 3.0])
def test_nor_within_a_dense_function(factor: float) -> None:
    def vjp(dy: Any, x: Any, wrong: Any) -> Any:
        y = softmax(x)
        return y * (dy - np.sum(dy * y)) * wrong

    x = np.array([0.0, -200.0, 1.0])
    assert gradcheck.check(softmax, lambda dy, x: vjp(dy, x, 1), x, select="G").passed
    assert not gradcheck.check(softmax, lambda dy, x: vjp(dy, x, np.array([1, factor, 1])), x, select="G").passed


@pytest.mark.parametrize("x", [1e6, 1e8])
def test_ill_conditioning_excuses_no_formula(x: float) -> None:
    at = [x, x + 1]
    assert verdict(np.sin, np.cos, at) == "pass"
    assert verdict(np.sin, np.cos, at, 1 + 1e-9) == "fail"
    assert verdict(lambda x: np.sin(0.1 * x), lambda x: 0.1 * np.cos(0.1 * x), at) == "pass"


def test_constants_that_are_rounded_twice_are_excused_by_what_they_move_and_no_more() -> None:
    third, same = 1 / 3, 0.33333333333333337  # the next float
    at = np.array([1e6, 1e6 + 1])
    right = gradcheck.check(lambda x: np.sin(third * x), lambda dy, x: dy * np.cos(same * x) / 3, at, select="G")
    assert right.passed
    assert right.detects is not None
    assert SEEN < right.detects < 1e-6
    assert not gradcheck.check(lambda x: np.sin(third * x), lambda dy, x: dy * np.cos(same * x) / 3 * (1 + 1e-7), at, select="G").passed


MASKS = {
    "cast": lambda x: np.where(x > 0, 0.1, -0.9).astype(x.dtype),
    "scalars": lambda x: np.where(x > 0, x.dtype.type(0.1), x.dtype.type(-0.9)),
    "table": lambda x: np.array([-0.9, 0.1], dtype=x.dtype)[(x > 0).astype(int)],
    "booleans": lambda x: (x > 0).astype(x.dtype) * 0.1 - (x <= 0).astype(x.dtype) * 0.9,
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_constants_in_the_dtype_of_the_point_are_rounded_to_it_and_excused_by_no_more(name: str, dtype: str) -> None:
    x, roundings = np.array([1.0, -2.0, 3.0], dtype=dtype), 1000 * float(np.finfo(dtype).eps)

    def check(wrong: float) -> gradcheck.Result:
        return gradcheck.check(lambda x: np.where(x > 0, 0.1 * x, -0.9 * x), lambda dy, x: dy * MASKS[name](x) * wrong, x, select="G")

    assert check(1).passed
    assert check(1).detects < roundings
    assert check(1 + roundings).verdict == "fail"


def test_a_constant_that_is_coarser_than_the_point_is_found() -> None:
    x = np.array([1.0, -2.0, 3.0])
    assert verdict(lambda x: 0.1 * x, lambda x: np.float32(0.1) + 0 * x, x) == "fail"


@pytest.mark.parametrize("depth", [50.0, 200.0, 24000.0])
def test_what_acts_across_blocks_by_next_to_nothing_is_no_wrong_gradient(depth: float) -> None:
    """The columns look apart, but for what the first does to the second: all there is to its gradient."""

    def forward(x: Any) -> Any:
        return np.stack([0 * x[:, 0], x[:, 1] + np.exp(x[:, 0] - depth)], axis=1)

    def vjp(dy: Any, x: Any) -> Any:
        return np.stack([dy[:, 1] * np.exp(x[:, 0] - depth), dy[:, 1]], axis=1)

    x = np.array([[0.5, 1.0], [-0.25, 3.0]])
    assert gradcheck.check(forward, vjp, x, select="G").passed
    if depth < 1000:  # beyond, the exponential is below every float, and beyond what differences can tell
        found = gradcheck.check(forward, lambda dy, x: vjp(dy, x) * np.array([1.001, 1]), x, select="G").findings
        assert [f.code for f in found] == ["G101"]


def test_an_argument_without_an_effect_does_not_hide_what_the_others_show() -> None:
    result = gradcheck.check(lambda x, b: 0 * x + b * b, lambda dy, x, b: (0 * dy, 2 * b * dy), np.ones(3), np.arange(1.0, 4), select="G")
    assert result.passed
    assert result.detects == SEEN


def sorted_back(dy: Any, x: Any) -> Any:
    g = np.zeros_like(x)
    g[np.argsort(x, kind="stable")] = dy
    return g


def test_a_wrong_entry_is_found_beside_ties_that_it_has_no_part_in() -> None:
    x = np.array([1.0, 1.0, 1.0, 5.0, 7.0])
    (found,) = gradcheck.check(np.sort, lambda dy, x: sorted_back(dy, x) * np.where(x == 7, 3, 1), x, select="G").findings
    assert (found.code, found.measured["index"]) == ("G101", [4])
    assert gradcheck.check(np.sort, sorted_back, x).passed


def test_a_search_that_would_cost_too_much_is_not_begun() -> None:
    x = np.arange(40.0) % 5
    pairs = lambda x: np.abs(x[:, None] - x[None]).sum()  # noqa: E731
    back = lambda dy, x: 2 * dy * np.sign(x[:, None] - x[None]).sum(1)  # noqa: E731
    assert gradcheck.check(pairs, back, x, select="G").passed
    assert not gradcheck.check(pairs, lambda dy, x: 1.001 * back(dy, x), x, select="G").passed

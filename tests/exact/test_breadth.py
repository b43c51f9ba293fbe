"""Code as people write it runs unmodified in balls: a sample of every kind, right and with its gradient a millionth off."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
from numpy.lib.stride_tricks import as_strided

import gradcheck

RNG = np.random.default_rng(11)
X = RNG.standard_normal((4, 3))
V = RNG.standard_normal(6)
MASK = RNG.random((4, 3)) < 0.6
LABELS = np.array([2, 0, 1, 1])

Sample = tuple[Callable[..., Any], Callable[..., Any], Any]


def conv_loop(x: Any) -> Any:
    out = np.zeros(len(x) - 2)
    for i in range(len(out)):
        for k in range(3):
            out[i] += x[i + k] * (k + 1)
    return out


def conv_loop_vjp(dy: Any, x: Any) -> Any:
    dx = np.zeros_like(x)
    for i in range(len(dy)):
        for k in range(3):
            dx[i + k] += dy[i] * (k + 1)
    return dx


def in_place(x: Any) -> Any:
    y = x.copy()
    y *= 2
    y[1:] += y[:-1] ** 2
    return y


def in_place_vjp(dy: Any, x: Any) -> Any:
    g = 2 * dy
    g[:-1] += dy[1:] * 8 * x[:-1]
    return g


def added_at(x: Any) -> Any:
    out = np.zeros(3)
    np.add.at(out, np.array([0, 2, 2, 1, 0, 2]), x * x)
    return out


def with_out(x: Any) -> Any:
    y = np.empty_like(x)
    np.exp(x, out=y)
    np.multiply(y, 3, out=y)
    return y


def windows(x: Any) -> Any:
    return np.lib.stride_tricks.sliding_window_view(x, 3).max(axis=1)


def windows_vjp(dy: Any, x: Any) -> Any:
    g = np.zeros_like(x)
    for i, k in enumerate(np.lib.stride_tricks.sliding_window_view(x, 3).argmax(axis=1)):
        g[i + k] += dy[i]
    return g


def talking(x: Any) -> Any:
    print("the sum is %.3f" % x.sum(), f"{x[0]:.3f}", x)  # noqa: UP031
    logging.getLogger("talking").warning("the largest is %f", x.max())
    return x * 2


KERNEL = np.array([[1.0, -2.0], [0.5, 3.0]])


def columns_of(x: Any) -> Any:
    """The windows of two by two of an image, one beside the other."""
    rows, columns = x.shape[0] - 1, x.shape[1] - 1
    s, t = x.strides
    return as_strided(x, shape=(rows, columns, 2, 2), strides=(s, t, s, t)).reshape(rows * columns, 4)


def convolution(x: Any) -> Any:
    return (columns_of(x) @ KERNEL.ravel()).reshape(x.shape[0] - 1, x.shape[1] - 1)


def convolution_vjp(dy: Any, x: Any) -> Any:
    g = np.zeros(x.shape)
    windows = np.lib.stride_tricks.as_strided(g, (*dy.shape, 2, 2), g.strides * 2)
    for i in range(2):
        for j in range(2):
            windows[:, :, i, j] += dy * KERNEL[i, j]
    return g


def median_vjp(dy: Any, x: Any) -> Any:
    g = np.zeros_like(x)
    g[np.argsort(x)[[2, 3]]] = dy / 2
    return g


def quantile_vjp(dy: Any, x: Any) -> Any:
    g, at = np.zeros_like(x), 0.3 * (len(x) - 1)
    low, high = np.argsort(x)[[1, 2]]
    g[low], g[high] = dy * (2 - at), dy * (at - 1)
    return g


KNOTS = np.array([-3.0, -1.0, 0.0, 0.25, 2.0, 4.0])
HEIGHTS = np.array([1.0, 0.5, -2.0, 3.0, 0.0, 1.0])
PLACES = np.array([-2.5, -0.5, -0.75, 0.1, 5.0])


def heights_vjp(dy: Any, fp: Any) -> Any:
    g = np.zeros_like(fp)
    k = np.clip(np.searchsorted(KNOTS, PLACES, side="right") - 1, 0, len(KNOTS) - 2)
    share = np.clip((PLACES - KNOTS[k]) / (KNOTS[k + 1] - KNOTS[k]), 0, 1)
    np.add.at(g, k, dy * (1 - share))
    np.add.at(g, k + 1, dy * share)
    return g


GROUPS = np.array([0, 2, 2, 1, 0, 2])


def largest_of_groups(x: Any) -> Any:
    out = np.full(3, -np.inf)
    np.maximum.at(out, GROUPS, x)
    return out


def largest_of_groups_vjp(dy: Any, x: Any) -> Any:
    return dy[GROUPS] * (x == largest_of_groups(x)[GROUPS])


@np.vectorize
def leaky(t: float) -> float:
    return t * math.exp(t) if t > 0 else 0.1 * t


slope = np.vectorize(lambda t: (1 + t) * math.exp(t) if t > 0 else 0.1, otypes=[float])


def cross_entropy(x: Any) -> Any:
    shifted = x - x.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -np.take_along_axis(log_probabilities, LABELS[:, None], axis=1).mean()


def cross_entropy_vjp(dy: Any, x: Any) -> Any:
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(4), LABELS] -= 1
    return dy * p / 4


def recursion(x: Any) -> Any:
    """The forward variables of a chain of two states, in logarithms."""
    a, b = x[0], x[1]
    for t in range(2, len(x)):
        a, b = np.logaddexp(a, b) + x[t], np.logaddexp(a - 1.0, b)
    return np.logaddexp(a, b)


def recursion_vjp(dy: Any, x: Any) -> Any:
    states = [(x[0], x[1])]
    for t in range(2, len(x)):
        a, b = states[-1]
        states.append((np.logaddexp(a, b) + x[t], np.logaddexp(a - 1.0, b)))
    a, b = states[-1]
    total = np.logaddexp(a, b)
    da, db, g = dy * np.exp(a - total), dy * np.exp(b - total), np.zeros_like(x)
    for t in range(len(x) - 1, 1, -1):
        a, b = states[t - 2]
        first, second = np.logaddexp(a, b), np.logaddexp(a - 1.0, b)
        g[t] = da
        da, db = da * np.exp(a - first) + db * np.exp(a - 1.0 - second), da * np.exp(b - first) + db * np.exp(b - second)
    g[0], g[1] = da, db
    return g


def by_math(x: Any) -> Any:
    return np.array([math.sin(v) * math.exp(-v * v) for v in x])


SAMPLES: dict[str, Sample] = {
    "loops that fill np.zeros": (conv_loop, conv_loop_vjp, V),
    "fancy indexing": (lambda x: x[[0, 2, 2, 5]] ** 2, lambda dy, x: _scatter(dy, x), V),
    "boolean indexing": (lambda x: x[x > 0].sum() ** 2, lambda dy, x: dy * 2 * x[x > 0].sum() * (x > 0), V),
    "in-place updates": (in_place, in_place_vjp, V),
    "np.add.at": (added_at, lambda dy, x: 2 * x * dy[np.array([0, 2, 2, 1, 0, 2])], V),
    "out=": (with_out, lambda dy, x: dy * 3 * np.exp(x), V),
    "einsum": (lambda x: np.einsum("ij,kj->ik", x, x), lambda dy, x: (dy + dy.T) @ x, X),
    "pad": (lambda x: np.pad(x, 2)[1:-1] * 2, lambda dy, x: 2 * np.pad(dy, 1)[2:-2], V),
    "cumsum": (np.cumsum, lambda dy, x: np.cumsum(dy[::-1])[::-1], V),
    "take_along_axis": (cross_entropy, cross_entropy_vjp, X),
    "stride tricks": (windows, windows_vjp, V),
    "astype": (lambda x: (x.astype(np.float64) * (x > 0).astype(x.dtype)).sum(), lambda dy, x: dy * (x > 0).astype(float), V),
    "integers and booleans beside": (lambda x: x * np.arange(3) * MASK, lambda dy, x: dy * np.arange(3) * MASK, X),
    "a random mask": (
        lambda x: x * (np.random.default_rng(0).random(x.shape) < 0.5) / 0.5,
        lambda dy, x: dy * (np.random.default_rng(0).random(x.shape) < 0.5) / 0.5,
        X,
    ),
    "erf": (scipy.special.erf, lambda dy, x: dy * 2 / np.sqrt(np.pi) * np.exp(-x * x), V),
    "expit and logit": (
        lambda x: scipy.special.logit(scipy.special.expit(x) ** 2),
        lambda dy, x: dy * 2 * (1 - scipy.special.expit(x)) / (1 - scipy.special.expit(x) ** 2),
        V,
    ),
    "logsumexp and softmax": (
        lambda x: scipy.special.logsumexp(x, axis=1),
        lambda dy, x: dy[:, None] * scipy.special.softmax(x, axis=1),
        X,
    ),
    "xlogy": (lambda x: scipy.special.xlogy(x * x, x * x), lambda dy, x: dy * 2 * x * (np.log(x * x) + 1), V),
    "log_ndtr": (
        scipy.special.log_ndtr,
        lambda dy, x: dy * np.exp(-x * x / 2 - scipy.special.log_ndtr(x)) / np.sqrt(2 * np.pi),
        V,
    ),
    "gammaln": (lambda x: scipy.special.gammaln(x * x + 1), lambda dy, x: dy * 2 * x * scipy.special.digamma(x * x + 1), V),
    "math functions": (by_math, lambda dy, x: dy * (np.cos(x) - 2 * x * np.sin(x)) * np.exp(-x * x), V),
    "argmax": (lambda x: x[np.arange(4), x.argmax(axis=1)] ** 2, lambda dy, x: _at_argmax(dy, x), X),
    "sorting": (lambda x: np.sort(x) * np.arange(6), lambda dy, x: (dy * np.arange(6))[np.argsort(np.argsort(x))], V),
    "comparisons": (lambda x: np.where((x > -0.5) & (x <= 1), x**3, np.abs(x)), lambda dy, x: dy * _piecewise(x), V),
    "a recursion in logarithms": (recursion, recursion_vjp, V),
    "as_strided": (convolution, convolution_vjp, X),
    "median": (np.median, median_vjp, V),
    "quantile": (lambda x: np.quantile(x, 0.3), quantile_vjp, V),
    "interp, in the place": (
        lambda x: np.interp(x, KNOTS, HEIGHTS),
        lambda dy, x: dy * (np.diff(HEIGHTS) / np.diff(KNOTS))[np.digitize(x, KNOTS) - 1],
        V,
    ),
    "interp, in the heights": (lambda fp: np.interp(PLACES, KNOTS, fp), heights_vjp, V),
    "bincount": (lambda x: np.bincount(GROUPS, weights=x * x, minlength=4), lambda dy, x: 2 * x * dy[GROUPS], V),
    "np.maximum.at": (largest_of_groups, largest_of_groups_vjp, V),
    "vectorize": (lambda x: leaky(x), lambda dy, x: dy * slope(x), V),
    "piecewise": (
        lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda t: t**2, lambda t: t**3]),
        lambda dy, x: dy * np.where(x < 0, 2 * x, 3 * x**2),
        V,
    ),
    "apply_along_axis": (
        lambda x: np.apply_along_axis(lambda r: r / np.linalg.norm(r, 1), 1, np.exp(x)),
        lambda dy, x: scipy.special.softmax(x, axis=1) * (dy - (dy * scipy.special.softmax(x, axis=1)).sum(1, keepdims=True)),
        X,
    ),
    "cov": (lambda x: np.cov(x, rowvar=False), lambda dy, x: (x - x.mean(0)) @ (dy + dy.T) / 3, X),
    "trapezoid": (lambda x: np.trapezoid(x**2, dx=0.5), lambda dy, x: dy * x * np.r_[0.5, np.ones(4), 0.5], V),
    "nan_to_num": (
        lambda x: np.nan_to_num(np.where(x > 0, x * x, np.nan)),
        lambda dy, x: dy * np.nan_to_num(np.where(x > 0, 2 * x, np.nan), nan=0.0),
        V,
    ),
    "numbers": (lambda x: np.float64(x.sum()) * np.float32(0.5), lambda dy, x: np.full(x.shape, np.float64(dy) / 2), V),
    "printing": (talking, lambda dy, x: dy * 2, V),
}


def _scatter(dy: Any, x: Any) -> Any:
    g = np.zeros_like(x)
    np.add.at(g, [0, 2, 2, 5], dy * 2 * x[[0, 2, 2, 5]])
    return g


def _at_argmax(dy: Any, x: Any) -> Any:
    g = np.zeros_like(x)
    at = x.argmax(axis=1)
    g[np.arange(4), at] = dy * 2 * x[np.arange(4), at]
    return g


def _piecewise(x: Any) -> Any:
    return np.where((x > -0.5) & (x <= 1), 3 * x**2, np.sign(x))


@pytest.mark.parametrize("name", SAMPLES)
def test_it_runs_exactly_and_a_millionth_shows(name: str) -> None:
    forward, vjp, x = SAMPLES[name]
    result = gradcheck.check(forward, vjp, x.copy(), select="G")
    assert (result.verdict.value, result.measurements["way"]) == ("pass", "exact"), result.measurements["why_not_exact"]
    wrong = gradcheck.check(forward, lambda dy, x: vjp(dy, x) * (1 + 1e-6 * (np.arange(x.size).reshape(x.shape) > 1)), x.copy(), select="G")
    assert wrong.verdict.value == "fail"
    assert wrong.measurements["way"] == "exact"


def test_what_cannot_run_exactly_is_named_with_its_line() -> None:
    def forward(x: Any) -> Any:
        y = x * 2
        return np.linalg.eigvalsh(np.outer(y, y))[-1]

    result = gradcheck.check(forward, lambda dy, x: dy * 8 * x, V.copy())
    assert result.passed
    assert result.measurements["way"] == "float"
    (why,) = result.measurements["why_not_exact"]
    assert "eigvalsh" in why
    assert f"test_breadth.py:{forward.__code__.co_firstlineno + 2}" in why


def test_precision_follows_the_point() -> None:
    x = np.array([-3000.0, 0.0, 1.0])
    result = gradcheck.check(
        lambda x: np.log1p(np.exp(x)) * np.exp(-x),
        lambda dy, x: dy * (1 / (1 + np.exp(x)) - np.log1p(np.exp(x)) * np.exp(-x)),
        x,
        select="G",
    )
    assert (result.verdict.value, result.measurements["way"]) == ("pass", "exact")


def test_a_comparison_that_stays_undecided_is_a_kink_and_no_error() -> None:
    third = np.array([1.0, 3.0])
    result = gradcheck.check(
        lambda x: np.maximum(x[0] / x[1] * 3, 1.0), lambda dy, x: dy * np.array([3 / x[1], -3 * x[0] / x[1] ** 2]), third
    )
    assert result.verdict.value in ("pass", "inconclusive")
    assert not result.findings

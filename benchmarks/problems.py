"""Functions to check in every library at once: each is written for any module that looks like NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

ROW = 10
"""Entries of a row of the row-wise function, and taps of the convolution."""


@dataclass(frozen=True)
class Problem:
    """``forward(xp, x)`` and ``vjp(xp, dy, x)`` over a flat x, for NumPy, torch, jax.numpy and autograd.numpy alike."""

    name: str
    forward: Callable[[Any, Any], Any]
    vjp: Callable[[Any, Any, Any], Any]


def _elementwise_vjp(xp: Any, dy: Any, x: Any) -> Any:
    return dy * (1 - xp.tanh(x) ** 2)


def _softmax(xp: Any, x: Any) -> Any:
    e = xp.exp(x.reshape(-1, ROW))
    return e / e.sum(axis=1, keepdims=True)


def _softmax_vjp(xp: Any, dy: Any, x: Any) -> Any:
    y = _softmax(xp, x)
    return (y * (dy - (dy * y).sum(axis=1, keepdims=True))).reshape(-1)


def _dense(xp: Any, x: Any) -> Any:
    return xp.tanh(x * x.sum() / len(x))


def _dense_vjp(xp: Any, dy: Any, x: Any) -> Any:
    n, total = len(x), x.sum()
    g = dy * (1 - xp.tanh(x * total / n) ** 2) / n
    return g * total + (g * x).sum()


TAPS = np.linspace(1.0, 2.0, ROW)


def _convolution(xp: Any, x: Any) -> Any:
    n = len(x) - ROW + 1
    return sum(float(w) * x[k : k + n] for k, w in enumerate(TAPS))


def _convolution_vjp(xp: Any, dy: Any, x: Any) -> Any:
    zeros = 0 * x[: ROW - 1]
    return sum(float(w) * xp.concatenate([zeros[:k], dy, zeros[: ROW - 1 - k]]) for k, w in enumerate(TAPS))


WIDTH = 100
"""Inputs, and outputs, of a row of the layer: one row where there are fewer."""

WEIGHTS = np.random.default_rng(0).standard_normal((WIDTH, WIDTH)) / WIDTH**0.5


def _rows(xp: Any, x: Any) -> tuple[Any, Any]:
    width = min(WIDTH, len(x))
    return x.reshape(-1, width), xp.asarray(WEIGHTS[:width, :width])


def _layer(xp: Any, x: Any) -> Any:
    rows, w = _rows(xp, x)
    return xp.tanh(rows @ w)


def _layer_vjp(xp: Any, dy: Any, x: Any) -> Any:
    rows, w = _rows(xp, x)
    return ((dy * (1 - xp.tanh(rows @ w) ** 2)) @ w.T).reshape(-1)


ELEMENTWISE = Problem("elementwise (tanh)", lambda xp, x: xp.tanh(x), _elementwise_vjp)
PROBLEMS = (
    ELEMENTWISE,
    Problem(f"row-wise (softmax of {ROW})", _softmax, _softmax_vjp),
    Problem("dense (every output sees every input)", _dense, _dense_vjp),
    Problem(f"convolution ({ROW} taps)", _convolution, _convolution_vjp),
    Problem(f"layer ({WIDTH} to {WIDTH}, tanh)", _layer, _layer_vjp),
)


@dataclass(frozen=True)
class Slip:
    """A wrong gradient: what is made of the right one."""

    name: str
    apply: Callable[[Any, Any], Any]
    """From a module like NumPy and the right gradient to the wrong one."""


def _without(xp: Any, g: Any) -> Any:
    mask = np.ones(len(g))
    mask[len(g) // 2] = 0
    return g * xp.asarray(mask)


RIGHT = Slip("right", lambda xp, g: g)
SLIPS = (
    Slip("x1.1", lambda xp, g: g * 1.1),
    Slip("x1.01", lambda xp, g: g * 1.01),
    Slip("x1.001", lambda xp, g: g * 1.001),
    Slip("one entry zero", _without),
    Slip("all zero", lambda xp, g: g * 0),
)


@dataclass(frozen=True)
class Hard:
    """A right gradient at points that make checkers accuse it."""

    problem: Problem
    draw: Callable[[np.random.Generator, int], np.ndarray]


def _pair(name: str, forward: Callable[[Any, Any], Any], slope: Callable[[Any, Any], Any]) -> Problem:
    return Problem(name, forward, lambda xp, dy, x: dy * slope(xp, x))


HARD = (
    Hard(
        _pair("relu at integers -2..2", lambda xp, x: xp.maximum(x, 0 * x), lambda xp, x: (x > 0) * 1.0),
        lambda rng, n: rng.integers(-2, 3, n).astype(float),
    ),
    Hard(_pair("1e6 + tanh(x)", lambda xp, x: 1e6 + xp.tanh(x), lambda xp, x: 1 - xp.tanh(x) ** 2), lambda rng, n: rng.standard_normal(n)),
    Hard(_pair("x^2 at 1e8", lambda xp, x: x * x, lambda xp, x: 2 * x), lambda rng, n: 1e8 * rng.uniform(1, 2, n)),
    Hard(_pair("log x on [1e-6, 1e-3]", lambda xp, x: xp.log(x), lambda xp, x: 1 / x), lambda rng, n: rng.uniform(1e-6, 1e-3, n)),
    Hard(
        _pair("sqrt x on [1e-7, 1e-5]", lambda xp, x: xp.sqrt(x), lambda xp, x: 0.5 / xp.sqrt(x)), lambda rng, n: rng.uniform(1e-7, 1e-5, n)
    ),
    Hard(
        _pair("sin(1000 x)", lambda xp, x: xp.sin(1000 * x), lambda xp, x: 1000 * xp.cos(1000 * x)), lambda rng, n: rng.standard_normal(n)
    ),
)

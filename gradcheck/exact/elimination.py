"""What elimination gives of a matrix: solutions, inverses, determinants, factors.

A pivot need not be the largest for the result to be exact.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from gradcheck.exact.array import ExactArray, Work, lift, wrap
from gradcheck.exact.balls import ONE, ZERO

Array = Any


def matrices(function: Callable[..., tuple[np.ndarray, ...]], *arrays: Array) -> tuple[Any, ...]:
    """``function`` of each matrix of a batch; its results, batched again."""
    data = [lift(a) for a in arrays]
    Work.steps += max(d.shape[-1] for d in data) ** 2
    batch = np.broadcast_shapes(*(d.shape[:-2] for d in data))
    if not math.prod(batch):  # the shapes of the results are those for any matrix
        some = function(*(lift(np.eye(*d.shape[-2:])) for d in data))
        return tuple(wrap(np.empty((*batch, *s.shape), dtype=s.dtype)) for s in some)
    data = [np.broadcast_to(d, (*batch, *d.shape[-2:])) for d in data]
    results = zip(*(function(*(d[at] for d in data)) for at in np.ndindex(batch)), strict=True)
    stacked = [np.stack(r).reshape((*batch, *np.shape(r[0]))) for r in results]
    return tuple(ExactArray(a) if a.dtype == object else a for a in stacked)


def factors(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, arb]:
    """L and U in one matrix, the pivots as LAPACK gives them, and the sign of the permutation."""
    lu, pivots, sign = a.copy(), [], ONE
    for k in range(min(a.shape)):
        at = max(range(k, len(lu)), key=lambda i: float(abs(lu[i, k]).mid()))
        pivots.append(at + 1)
        if at != k:
            lu[[k, at]], sign = lu[[at, k]], -sign
        lu[k + 1 :, k] = lu[k + 1 :, k] / lu[k, k]
        lu[k + 1 :, k + 1 :] = lu[k + 1 :, k + 1 :] - np.multiply.outer(lu[k + 1 :, k], lu[k, k + 1 :])
    return lu, np.array(pivots, dtype=np.int32), sign


def _solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    (lu, pivots, _), x = factors(a), b.copy()
    for k, at in enumerate(pivots):
        x[[k, at - 1]] = x[[at - 1, k]]
    for k in range(len(x)):
        x[k + 1 :] = x[k + 1 :] - np.multiply.outer(lu[k + 1 :, k], x[k])
    for k in reversed(range(len(x))):
        x[k] = x[k] / lu[k, k]
        x[:k] = x[:k] - np.multiply.outer(lu[:k, k], x[k])
    return x


def solve(a: Array, b: Array, left: bool = True) -> Array:
    if not left:
        return solve(a.mT, b.mT).mT
    return matrices(lambda m, r: (_solve(m, r),), a, b)[0]


def triangle(m: np.ndarray, upper: bool, unit: bool) -> np.ndarray:
    """The upper or the lower triangle, with ones on the diagonal if ``unit``."""
    rows, columns = np.indices(m.shape[-2:])
    kept = np.where(rows <= columns if upper else rows >= columns, m, ZERO)
    return np.where((rows == columns) & unit, ONE, kept)


def inverse(a: Array) -> Array:
    return solve(a, wrap(np.broadcast_to(lift(np.eye(np.shape(a)[-1])), np.shape(a))))


def determinant(a: Array) -> Array:
    return matrices(lambda m: (np.array(functools.reduce(operator.mul, (f := factors(m))[0].diagonal(), f[2]), dtype=object),), a)[0]


def cholesky(a: Array) -> Array:
    """The lower factor; only the lower triangle of ``a`` is read."""

    def one(m: np.ndarray) -> tuple[np.ndarray]:
        root = np.full(m.shape, ZERO, dtype=object)
        for j in range(len(m)):
            root[j, j] = (m[j, j] - sum((v * v for v in root[j, :j]), ZERO)).sqrt()
            for i in range(j + 1, len(m)):
                root[i, j] = (m[i, j] - sum((v * w for v, w in zip(root[i, :j], root[j, :j], strict=True)), ZERO)) / root[j, j]
        return (root,)

    return matrices(one, a)[0]

"""Products of matrices, and what elimination gives: inverses, determinants, factors."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.exact import balls, elimination
from gradcheck.exact.array import lift, wrap
from gradcheck.exact.aten.elementwise import Array, each, equal, where
from gradcheck.exact.aten.making import filled
from gradcheck.exact.aten.reductions import vector_norm
from gradcheck.exact.balls import ZERO, ball
from gradcheck.exact.elimination import factors, matrices, solve, triangle


def _plus(product: Callable[..., Any]) -> Callable[..., Any]:
    def added(x: Array, a: Array, b: Array, beta: Any = 1, alpha: Any = 1) -> Array:
        scaled = product(a, b) if alpha == 1 else product(a, b) * alpha
        return scaled if beta == 0 else x * beta + scaled if beta != 1 else x + scaled

    return added


def _matmul(a: Array, b: Array) -> Array:
    return np.matmul(wrap(lift(a)), wrap(lift(b)))


def trilinear(a: Array, b: Array, c: Array, ea: Any, eb: Any, ec: Any, dims: Any, unroll: int = 1) -> Array:
    expanded = [np.expand_dims(lift(v), tuple(axes)) for v, axes in ((a, ea), (b, eb), (c, ec))]
    product = expanded[0] * expanded[1] * expanded[2]
    return np.sum(wrap(product), axis=tuple(dims)) if dims else wrap(product)


def cdist(a: Array, b: Array, p: float, mode: Any = None) -> Array:
    return vector_norm(a[..., :, None, :] - b[..., None, :, :], p, -1)


def cdist_backward(grad: Array, a: Array, b: Array, p: float, y: Array) -> Array:
    gap, g, y = a[..., :, None, :] - b[..., None, :, :], grad[..., None], y[..., None]
    if p in (0, 1):
        slope = np.sign(gap) * p
    elif math.isinf(p):
        slope = where(equal(abs(gap), y), np.sign(gap), ZERO)
    else:
        slope = each(lambda d, n: ZERO if n == 0 else balls.sign(d) * balls.power(abs(d) / n, ball(p - 1)))(gap, y)
    return np.sum(g * slope, axis=-2)


# Torch gives with a solution what its backward will want: the factors, and that all went well.
def _info(a: Array) -> np.ndarray:
    return np.zeros(a.shape[:-2], dtype=np.int32)


def lu_factor(a: Array, **_: Any) -> Any:
    return (*matrices(lambda m: factors(m)[:2], a), _info(a))


def _as_torch_factors(a: Array) -> Array:
    """For determinants torch factors the transpose of a contiguous matrix, and its backward formulas count on that."""
    return a.mT if lift(a).flags.c_contiguous else a


def det(a: Array) -> Any:
    def one(m: np.ndarray) -> tuple[np.ndarray, ...]:
        lu, pivots, sign = factors(m)
        return np.array(functools.reduce(operator.mul, lu.diagonal(), sign), dtype=object), lu, pivots

    return matrices(one, _as_torch_factors(a))


def slogdet(a: Array) -> Any:
    value, lu, pivots = det(a)
    return np.sign(value), np.log(abs(value)), lu, pivots


def solve_ex(a: Array, b: Array, left: bool = True, **_: Any) -> Any:
    vector = b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1])
    x = solve(a, b[..., None] if vector else b, left)
    return x.squeeze(-1) if vector else x, *lu_factor(a)


def lu_unpack(lu: Array, pivots: Array, data: bool = True, with_pivots: bool = True) -> Any:
    def one(m: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, ...]:
        rank = min(m.shape)
        turn = lift(np.eye(len(m)))
        for k, at in reversed(list(enumerate(int(v.unique_fmpz()) for v in p[0]))):
            turn[[k, at - 1]] = turn[[at - 1, k]]
        return turn, triangle(m[:, :rank], False, True), triangle(m[:rank], True, False)

    return matrices(one, lu, pivots[..., None, :])


def lu_solve(lu: Array, pivots: Array, b: Array, left: bool = True, adjoint: bool = False) -> Array:
    turn, lower, upper = lu_unpack(lu, pivots)
    a = np.matmul(turn, np.matmul(lower, upper))
    return solve(a.mT if adjoint else a, b, left)


def cholesky(a: Array, upper: bool = False, **_: Any) -> Any:
    root = elimination.cholesky(a)
    return root.mT if upper else root, _info(a)


TABLE: dict[str, Callable[..., Any]] = {
    "_trilinear": trilinear, "_cdist_forward": cdist, "_cdist_backward": cdist_backward,
    "linalg_lu_factor_ex": lu_factor, "_linalg_det": det, "_linalg_slogdet": slogdet, "_linalg_solve_ex": solve_ex,
    "linalg_inv_ex": lambda a, **_: (solve(a, filled(a.shape, 0) + np.eye(a.shape[-1])), _info(a)), "linalg_lu_solve": lu_solve,
    "linalg_solve_triangular": lambda a, b, upper, left=True, unitriangular=False:
        solve(wrap(triangle(lift(a), upper, unitriangular)), b, left),
    "lu_unpack": lu_unpack, "linalg_lu": lambda a, pivot=True: lu_unpack(*lu_factor(a)[:2]),
    "cholesky_inverse": lambda root, upper=False:
        solve(np.matmul(root.mT, root) if upper else np.matmul(root, root.mT), filled(root.shape, 0) + np.eye(root.shape[-1])),
    "linalg_cholesky_ex": cholesky, "cholesky": lambda a, upper=False: cholesky(a, upper)[0],
    "cholesky_solve": lambda b, root, upper=False: solve(np.matmul(root.mT, root) if upper else np.matmul(root, root.mT), b),
    "mm": _matmul, "bmm": _matmul, "mv": _matmul, "dot": _matmul, "vdot": _matmul, "addmm": _plus(_matmul),
    "addmv": _plus(_matmul), "baddbmm": _plus(_matmul), "addbmm": _plus(lambda a, b: np.sum(_matmul(a, b), axis=0)),
    "addr": _plus(lambda a, b: a[:, None] * b[None, :]), "trace": lambda x: np.sum(x.diagonal()),
}  # fmt: skip

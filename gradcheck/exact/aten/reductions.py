"""Reductions, and what is made of them: softmax, norms, cumulative sums."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from gradcheck.exact.array import ExactArray, lift, wrap
from gradcheck.exact.aten.elementwise import Array, larger, logaddexp, smaller
from gradcheck.exact.balls import ONE, ZERO, ball
from gradcheck.exact.ufuncs import fold


def _axis(x: Array, dim: Any) -> Any:
    if dim is None or dim == [] or not np.ndim(x):
        return None
    return tuple(dim) if isinstance(dim, (list, tuple)) else int(dim)


def _reduce(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduced(x: Array, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
        return function(wrap(lift(x)), axis=_axis(x, dim), keepdims=keepdim)

    return reduced


total, mean = _reduce(np.sum), _reduce(np.mean)


def _entries(x: Array, axis: Any, keepdims: bool) -> tuple[list[list[arb]], tuple[int, ...]]:
    """The rows to reduce, and the shape of the result."""
    axes = tuple(a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)) if axis is not None else tuple(range(x.ndim))
    kept = [a for a in range(x.ndim) if a not in axes]
    shape = tuple(x.shape[a] for a in kept)
    rows = lift(x).transpose(*kept, *axes).reshape(math.prod(shape), math.prod(x.shape[a] for a in axes)).tolist()
    return rows, tuple(1 if a in axes else n for a, n in enumerate(x.shape)) if keepdims else shape


def from_entries(shape: tuple[int, ...], entries: Any) -> ExactArray:
    made = np.empty(math.prod(shape), dtype=object)
    for i, entry in enumerate(entries):
        made[i] = entry
    return ExactArray(made.reshape(shape))


def _extreme(pick: Callable[[arb, arb], arb]) -> Callable[..., Any]:
    def reduced(x: Array, axis: Any = None, keepdims: bool = False) -> Any:
        rows, shape = _entries(x, axis, keepdims)
        return from_entries(shape, (functools.reduce(pick, row) for row in rows))

    return reduced


def _extreme_at(search: Callable[..., Any]) -> Callable[..., Any]:
    def found(x: Array, dim: int, keepdim: bool = False) -> Any:
        if not x.ndim:
            return x.copy(), np.asarray(0)
        at = search(x, axis=dim, keepdims=True)
        values = wrap(np.take_along_axis(lift(x), at, dim))
        return (values, at) if keepdim else (values.squeeze(dim), at.squeeze(dim))

    return found


def _arg(search: Callable[..., Any]) -> Callable[..., Any]:
    def found(x: Array, dim: int | None = None, keepdim: bool = False) -> Any:
        if not x.ndim:
            return np.asarray(0)
        at = search(x, axis=dim)
        if not keepdim:
            return at
        return np.reshape(at, [1] * x.ndim) if dim is None else np.expand_dims(at, dim)

    return found


def var(x: Array, dim: Any = None, correction: Any = 1, keepdim: bool = False, unbiased: bool | None = None) -> Array:
    if isinstance(dim, bool):
        dim, correction = None, int(dim)
    freedom = int(unbiased) if unbiased is not None else 1 if correction is None else correction
    axis = _axis(x, dim)
    centred = x - np.mean(x, axis=axis, keepdims=True)
    squares = np.sum(centred * centred, axis=axis, keepdims=keepdim)
    count = x.size if axis is None else math.prod(x.shape[a] for a in ((axis,) if isinstance(axis, int) else axis))
    return squares / max(count - freedom, 0)


def var_mean(x: Array, dim: Any = None, correction: Any = 1, keepdim: bool = False) -> Any:
    return var(x, dim, correction, keepdim), mean(x, dim, keepdim)


def vector_norm(x: Array, ord: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Array:
    axis, size = _axis(x, dim), abs(x)
    if ord == 2:
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdim))
    if ord in (math.inf, -math.inf):
        return _extreme(larger if ord > 0 else smaller)(size, axis, keepdim)
    if ord == 0:
        return wrap(lift(np.sum(x != 0, axis=axis, keepdims=keepdim)))
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdim)
    return np.power(np.sum(np.power(size, ord), axis=axis, keepdims=keepdim), ONE / ball(ord))


def norm(x: Array, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Array:
    return vector_norm(x, 2 if p is None else p, dim, keepdim)


def logsumexp(x: Array, dim: Any = None, keepdim: bool = False) -> Array:
    return fold("logaddexp", x, _axis(x, dim), keepdim)


def softmax(x: Array, dim: int, half_to_float: bool = False) -> Array:
    if not x.ndim:
        return wrap(ONE)
    return np.exp(x - fold("logaddexp", x, dim, True)) if x.size else x


def log_softmax(x: Array, dim: int, half_to_float: bool = False) -> Array:
    return x - fold("logaddexp", x, dim, True) if x.ndim else wrap(ZERO)


def softmax_backward(grad: Array, y: Array, dim: int, dtype: Any = None) -> Array:
    return y * (grad - np.sum(grad * y, axis=_axis(y, dim), keepdims=bool(y.ndim)))


def log_softmax_backward(grad: Array, y: Array, dim: int, dtype: Any = None) -> Array:
    return grad - np.exp(y) * np.sum(grad, axis=_axis(y, dim), keepdims=bool(y.ndim))


def _accumulate(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda x, dim=0, dtype=None: ufunc.accumulate(wrap(lift(x)), axis=dim) if x.ndim else wrap(lift(x))


def logcumsumexp(x: Array, dim: int) -> Array:
    return wrap(np.frompyfunc(logaddexp, 2, 1).accumulate(lift(x), axis=dim)) if x.size and x.ndim else x.copy()


TABLE: dict[str, Callable[..., Any]] = {
    "sum": total, "mean": mean, "nansum": total, "var": var, "var_mean": var_mean,
    "std": lambda *args, **kwargs: np.sqrt(var(*args, **kwargs)),
    "prod": _reduce(np.prod), "any": _reduce(np.any), "all": _reduce(np.all), "count_nonzero": _reduce(np.count_nonzero),
    "amax": _reduce(_extreme(larger)), "amin": _reduce(_extreme(smaller)), "max": _reduce(_extreme(larger)),
    "min": _reduce(_extreme(smaller)), "max.dim": _extreme_at(np.argmax), "min.dim": _extreme_at(np.argmin),
    "argmax": _arg(np.argmax), "argmin": _arg(np.argmin),
    "linalg_vector_norm": vector_norm, "norm": norm, "logsumexp": logsumexp, "_softmax": softmax, "_log_softmax": log_softmax,
    "_softmax_backward_data": softmax_backward, "_log_softmax_backward_data": log_softmax_backward,
    "cumsum": _accumulate(np.add), "cumprod": _accumulate(np.multiply), "logcumsumexp": logcumsumexp,
}  # fmt: skip

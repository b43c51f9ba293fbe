"""Sorting, selecting and searching: every comparison is decided, or it is undecided."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from flint import arb

from gradcheck.exact import balls
from gradcheck.exact.array import ExactArray, Work, flat, lift, wrap
from gradcheck.exact.errors import NotExact
from gradcheck.exact.registry import METHODS, implements, kept
from gradcheck.exact.ufuncs import given, joined_last


def _order(row: Iterable[arb]) -> list[int]:
    items = list(row)
    compare = lambda i, j: -1 if balls.less(items[i], items[j]) else int(balls.greater(items[i], items[j]))  # noqa: E731
    return sorted(range(len(items)), key=functools.cmp_to_key(compare))


def _along(function: Callable[[list[arb]], Any], a: Any, axis: Any, keepdims: bool = False, whole: bool = False) -> Any:
    """Apply ``function`` (row -> an integer, or as many as the row has if ``whole``) along one axis."""
    data = lift(a).reshape(-1) if axis is None else lift(a)
    axis = -1 if axis is None else axis
    moved = np.moveaxis(data, axis, -1)
    rows = [function(list(moved[i])) for i in np.ndindex(moved.shape[:-1])]
    found = np.array(rows, dtype=np.intp).reshape(moved.shape if whole else moved.shape[:-1])
    if whole:
        return np.moveaxis(found, -1, axis)
    return np.expand_dims(found, axis) if keepdims else found[()]


def _best(better: Callable[[arb, arb], bool]) -> Callable[[list[arb]], int]:
    def search(row: list[arb]) -> int:
        best = 0
        for i in range(1, len(row)):
            if better(row[i], row[best]):
                best = i
        return best

    return search


@implements(np.argmax, method="argmax")
def argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    return given(_along(_best(balls.greater), a, axis, kept(keepdims)), out)


@implements(np.argmin, method="argmin")
def argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    return given(_along(_best(balls.less), a, axis, kept(keepdims)), out)


@implements(np.argsort, method="argsort")
def argsort(a: Any, axis: Any = -1, **_: Any) -> Any:
    return _along(_order, a, axis, whole=True)


@implements(np.sort)
def sort(a: Any, axis: Any = -1, **_: Any) -> Any:
    order = argsort(a, axis)
    return wrap(np.take_along_axis(lift(a), order, axis)) if axis is not None else a.ravel()[order]


def _sort_method(a: ExactArray, axis: int = -1, **_: Any) -> None:
    a.balls_[...] = sort(a, axis).balls_


METHODS["sort"] = _sort_method


def _partitioned(row: list[arb], kth: Any) -> Any:
    """The order in which NumPy partitions the floats nearest to ``row``, or the sorted one where they do not tell."""
    order = np.argpartition([float(a.mid()) for a in row], kth)
    parts = np.split(order, np.unique(np.asarray(kth) % len(row)))
    ends = [(parts[i], row[parts[i + 1][0]]) for i in range(len(parts) - 1)]
    below = all(row[j] <= at for part, at in ends for j in part)
    return order if below and all(row[j] >= at for i, (_, at) in enumerate(ends) for j in parts[i + 1]) else _order(row)


@implements(np.argpartition, method="argpartition")
def argpartition(a: Any, kth: Any, axis: Any = -1, **_: Any) -> Any:
    return _along(lambda row: _partitioned(row, kth), a, axis, whole=True)


@implements(np.partition)
def partition(a: Any, kth: Any, axis: Any = -1, **_: Any) -> Any:
    a = np.ravel(a) if axis is None else a
    axis = -1 if axis is None else axis
    return wrap(np.take_along_axis(lift(a), argpartition(a, kth, axis), axis))


def _partition_method(a: ExactArray, kth: Any, axis: int = -1, **_: Any) -> None:
    a.balls_[...] = partition(a, kth, axis).balls_


METHODS["partition"] = _partition_method


def _quantiles(a: Any, at: Any, axis: Any, keepdims: bool) -> Any:
    """Between the entries of sorted rows: for every share ``at(n)`` of a row of ``n``, an axis of its own in front."""
    joined, axes = joined_last(lift(a), axis)
    rows = sort(wrap(joined)) if joined.shape[-1] > 1 else wrap(joined)
    last = joined.shape[-1] - 1
    shares = wrap(lift(at(last)))
    low = np.minimum(shares.astype(int), max(last - 1, 0))
    first, second = (np.moveaxis(rows[..., k], -1, 0) if low.ndim else rows[..., k] for k in (low, np.minimum(low + 1, last)))
    share = (shares - low).reshape(low.shape + (1,) * (first.ndim - low.ndim))
    result = first + (second - first) * share
    return np.expand_dims(result, tuple(low.ndim + i for i in axes)) if keepdims else result


@implements(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    return given(_quantiles(a, lambda last: last / 2, axis, kept(keepdims)), out)


@implements(np.nanmedian)
def nanmedian(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    joined, axes = joined_last(lift(a), axis)
    rows = [wrap(joined[i]) for i in np.ndindex(joined.shape[:-1])]
    found = wrap(flat([median(row[~np.isnan(row)]) for row in rows]).reshape(joined.shape[:-1]))
    return given(np.expand_dims(found, axes) if kept(keepdims) else found, out)


def _quantile(scale: float) -> Callable[..., Any]:
    def quantile(
        a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: Any = False, *, weights: Any = None, **_: Any,
    ) -> Any:  # fmt: skip
        if method != "linear" or weights is not None:
            raise NotExact("quantiles with method= or weights= have no exact counterpart", "use the linear ones, or np.sort")
        at = _nearest(q)  # NumPy finds the place in the row in floats, where a multiple of 0.1 may be a whole number
        return given(_quantiles(a, lambda last: at / scale * last, axis, kept(keepdims)), out)

    return quantile


def _nearest(q: Any) -> Any:
    """Floats, of exact values that are floats; others as they are."""
    data = lift(q)
    floats = np.frompyfunc(lambda a: float(a.mid()), 1, 1)(data)
    return np.asarray(floats, dtype=float) if np.all([a.is_exact() and a == float(a.mid()) for a in data.flat]) else wrap(data)


implements(np.quantile)(_quantile(1))
implements(np.percentile)(_quantile(100))


@implements(np.unique)
def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, axis: Any = None, **_: Any
) -> Any:
    if axis is not None:
        raise NotExact("np.unique with axis= has no exact counterpart")
    row = lift(ar).reshape(-1)
    order = argsort(wrap(row))
    new = np.array([i == 0 or balls.not_equal(row[j], row[order[i - 1]]) for i, j in enumerate(order)], dtype=bool)
    inverse = np.empty(len(row), dtype=np.intp)
    inverse[order] = np.cumsum(new) - 1
    extras = {0: order[new], 1: inverse.reshape(np.shape(ar)), 2: np.bincount(inverse)}
    asked = [extras[i] for i, wanted in enumerate((return_index, return_inverse, return_counts)) if wanted]
    return (wrap(row[order[new]]), *asked) if asked else wrap(row[order[new]])


@implements(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    if any(np.ndim(key) != 1 for key in keys):
        raise NotExact("np.lexsort of more than one row each has no exact counterpart", "use np.argsort")
    order = np.arange(len(keys[0]))
    for key in keys:
        order = order[argsort(wrap(lift(key))[order])]
    return order


def _place(row: np.ndarray, right: bool) -> Callable[[arb], int]:
    before = balls.less_equal if right else balls.less
    return lambda v: bisect.bisect_left(row, True, key=lambda a: not before(a, v))


@implements(np.searchsorted, method="searchsorted")
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    row = lift(a) if sorter is None else lift(a)[sorter]
    found = np.frompyfunc(_place(row, side == "right"), 1, 1)(lift(v))
    return np.asarray(found, dtype=np.intp)[()]


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    edges, side = lift(bins), "left" if right else "right"
    if len(edges) < 2 or balls.less_equal(edges[0], edges[-1]):
        return searchsorted(edges, x, side)
    return len(edges) - searchsorted(edges[::-1], x, side)


def interpolate(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    """``np.interp`` without its ``period``."""
    knots, values = lift(xp), lift(fp)
    low, high = (values[end] if beyond is None else lift(beyond)[()] for beyond, end in ((left, 0), (right, -1)))
    place = _place(knots, True)

    def at(v: arb) -> arb:
        i = place(v) - 1
        if i < 0:
            return low
        if i == len(knots) - 1:
            return high if balls.greater(v, knots[i]) else values[i]
        return values[i] + (values[i + 1] - values[i]) / (knots[i + 1] - knots[i]) * (v - knots[i])

    Work.steps += 4
    return wrap(np.frompyfunc(at, 1, 1)(lift(x)))

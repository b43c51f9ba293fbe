"""Windows: convolution and pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.exact import balls
from gradcheck.exact.array import ExactArray, lift, wrap
from gradcheck.exact.aten.elementwise import Array
from gradcheck.exact.aten.scattering import scatter_into
from gradcheck.exact.balls import ZERO


def _per_axis(value: Any, n: int) -> list[int]:
    return [value] * n if isinstance(value, int) else list(value) * n if len(value) == 1 else list(value)


def _windows(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool = False) -> np.ndarray:
    """For each output position the input positions it sees, ``(*out, *kernel)``; 0 stands for padding."""
    seen: list[np.ndarray] = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        span = n + 2 * p - d * (k - 1) - 1
        count = (span + s - 1) // s + 1 if ceil else span // s + 1
        if ceil and (count - 1) * s >= n + p:
            count -= 1
        at = np.arange(count)[:, None] * s - p + np.arange(k)[None, :] * d
        seen.append(np.where((at >= 0) & (at < n), at, -1))
    found: np.ndarray = np.zeros((1,) * (2 * len(seen)), dtype=np.intp)
    outside = np.zeros((1,) * (2 * len(seen)), dtype=bool)
    for axis, (n, at) in enumerate(zip(size, seen, strict=True)):
        shape = [1] * (2 * len(seen))
        shape[axis], shape[len(seen) + axis] = at.shape
        found = found * n + at.reshape(shape)
        outside = outside | (at.reshape(shape) < 0)
    return np.where(outside, 0, found + 1)


def _columns(x: np.ndarray, seen: np.ndarray, axes: int) -> np.ndarray:
    """``x`` of shape (..., *spatial) as (..., positions, window)."""
    flat = x.reshape(*x.shape[: x.ndim - axes], math.prod(x.shape[x.ndim - axes :]))
    flat = np.concatenate([np.full((*flat.shape[:-1], 1), ZERO, dtype=object), flat], axis=-1)
    return flat[..., seen.reshape(math.prod(seen.shape[:axes]), -1)]


def _uncolumns(columns: np.ndarray, seen: np.ndarray, size: Any) -> np.ndarray:
    """The adjoint of ``_columns``."""
    lead = columns.shape[:-2]
    flat = np.full((math.prod(size) + 1, *lead), ZERO, dtype=object)
    np.add.at(flat, seen.reshape(-1), np.moveaxis(columns.reshape(*lead, seen.size), -1, 0))
    return np.moveaxis(flat[1:], 0, -1).reshape(*lead, *size)


def _correlate(x: np.ndarray, w: np.ndarray, seen: np.ndarray, groups: int) -> np.ndarray:
    """(N, C, *size) with (O, C/g, *k) as (N, O, *out)."""
    axes = w.ndim - 2
    columns = _columns(x, seen, axes)
    columns = columns.reshape(x.shape[0], groups, -1, *columns.shape[-2:])
    weights = w.reshape(groups, w.shape[0] // groups, w.shape[1], -1)
    return _contract("ngclk,gock->ngol", columns, weights).reshape(x.shape[0], w.shape[0], *seen.shape[:axes])


def _spread(y: np.ndarray, w: np.ndarray, seen: np.ndarray, groups: int, size: Any) -> np.ndarray:
    """The adjoint of ``_correlate`` in ``x``."""
    grads = y.reshape(y.shape[0], groups, w.shape[0] // groups, -1)
    weights = w.reshape(groups, w.shape[0] // groups, w.shape[1], -1)
    columns = _contract("ngol,gock->ngclk", grads, weights)
    return _uncolumns(columns.reshape(y.shape[0], groups * w.shape[1], *columns.shape[-2:]), seen, size)


def _weight_grad(x: np.ndarray, y: np.ndarray, shape: Any, seen: np.ndarray, groups: int) -> np.ndarray:
    """The adjoint of ``_correlate`` in ``w``."""
    columns = _columns(x, seen, len(shape) - 2)
    columns = columns.reshape(x.shape[0], groups, -1, *columns.shape[-2:])
    return _contract("ngclk,ngol->gock", columns, y.reshape(y.shape[0], groups, shape[0] // groups, -1)).reshape(shape)


def _contract(subscripts: str, *operands: np.ndarray) -> np.ndarray:
    return lift(np.einsum(subscripts, *(ExactArray(o) for o in operands)))


def _geometry(x: Array, w: Array, stride: Any, padding: Any, dilation: Any, transposed: bool, extra: Any) -> Any:
    n = w.ndim - 2
    stride, padding, dilation, extra = (_per_axis(v, n) for v in (stride, padding, dilation, extra))
    size = list(x.shape[2:])
    if transposed:
        steps = zip(size, w.shape[2:], stride, padding, dilation, extra, strict=True)
        size = [(i - 1) * s - 2 * p + d * (k - 1) + e + 1 for i, k, s, p, d, e in steps]
    seen = _windows(size, w.shape[2:], stride, padding, dilation)
    return size, seen[tuple(slice(m) for m in x.shape[2:])] if transposed else seen


def convolution(
    x: Array, w: Array, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, extra: Any, groups: int
) -> Array:
    size, seen = _geometry(x, w, stride, padding, dilation, transposed, extra)
    y = _spread(lift(x), lift(w), seen, groups, size) if transposed else _correlate(lift(x), lift(w), seen, groups)
    return wrap(y if bias is None else y + lift(bias).reshape(-1, *[1] * len(size)))


def convolution_backward(
    grad: Array, x: Array, w: Array, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, extra: Any,
    groups: int, mask: Any,
) -> Any:  # fmt: skip
    size, seen = _geometry(x, w, stride, padding, dilation, transposed, extra)
    g, xs, ws = lift(grad), lift(x), lift(w)
    dx = None
    if mask[0]:
        dx = wrap(_correlate(g, ws, seen, groups) if transposed else _spread(g, ws, seen, groups, size))
    dw = None
    if mask[1]:
        dw = wrap(_weight_grad(g, xs, ws.shape, seen, groups) if transposed else _weight_grad(xs, g, ws.shape, seen, groups))
    db = np.sum(wrap(g), axis=(0, *range(2, g.ndim))) if mask[2] else None
    return dx, dw, db


def _pooled(n: int, x: Array, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> np.ndarray:
    kernel = _per_axis(kernel, n)
    stride = _per_axis(stride, n) if stride else kernel
    return _windows(x.shape[-n:], kernel, stride, _per_axis(padding, n), _per_axis(dilation, n), ceil)


def _max_pool(n: int) -> Callable[..., Any]:
    def pool(x: Array, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False) -> Any:
        seen = _pooled(n, x, kernel, stride, padding, dilation, ceil_mode)
        lead, out = x.shape[:-n], seen.shape[:n]
        planes = lift(x).reshape(-1, math.prod(x.shape[-n:]))
        windows = [[i - 1 for i in row if i] for row in seen.reshape(math.prod(out), -1)]
        at = np.empty((len(planes), len(windows)), dtype=np.int64)
        for i, plane in enumerate(planes):
            for j, window in enumerate(windows):
                best = window[0]
                for k in window[1:]:
                    best = k if balls.greater(plane[k], plane[best]) else best
                at[i, j] = best
        values = np.take_along_axis(planes, at, 1)
        return wrap(values.reshape(*lead, *out)), at.reshape(*lead, *out)

    return pool


def max_pool_backward(n: int) -> Callable[..., Any]:
    def back(grad: Array, x: Array, *rest: Any) -> Array:
        size = math.prod(x.shape[-n:])
        planes = rest[-1].reshape(-1, math.prod(grad.shape[-n:]))
        return scatter_into(x.shape, planes + 1 + size * np.arange(len(planes))[:, None], grad.reshape(planes.shape))

    return back


def _avg_divisors(n: int, x: Array, seen: np.ndarray, kernel: Any, stride: Any, padding: Any, inclusive: bool, fixed: Any) -> Any:
    if fixed:
        return fixed
    if not inclusive:
        return (seen.reshape(math.prod(seen.shape[:n]), -1) > 0).sum(-1)
    kernel, padding = _per_axis(kernel, n), _per_axis(padding, n)
    stride = _per_axis(stride, n) if stride else kernel
    counts: Any = np.ones((1,) * n, dtype=np.intp)
    for axis in range(n):  # a window may reach into the padding, but what lies beyond it does not count
        start = np.arange(seen.shape[axis]) * stride[axis] - padding[axis]
        inside = np.minimum(start + kernel[axis], x.shape[x.ndim - n + axis] + padding[axis]) - start
        counts = counts * inside.reshape([-1 if a == axis else 1 for a in range(n)])
    return counts.reshape(-1)


def _avg_pool(n: int) -> Callable[..., Any]:
    def pool(
        x: Array, kernel: Any, stride: Any = (), padding: Any = 0, ceil: bool = False, inclusive: bool = True, fixed: Any = None
    ) -> Any:
        seen = _pooled(n, x, kernel, stride, padding, 1, ceil)
        divisors = _avg_divisors(n, x, seen, kernel, stride, padding, inclusive, fixed)
        sums = np.sum(ExactArray(_columns(lift(x), seen, n)), axis=-1)
        return (sums / divisors).reshape(*x.shape[:-n], *seen.shape[:n])

    return pool


def avg_pool_backward(n: int) -> Callable[..., Any]:
    def back(grad: Array, x: Array, kernel: Any, stride: Any, padding: Any, ceil: bool, inclusive: bool, fixed: Any) -> Any:
        seen = _pooled(n, x, kernel, stride, padding, 1, ceil)
        divisors = _avg_divisors(n, x, seen, kernel, stride, padding, inclusive, fixed)
        each_window = lift(grad.reshape(*grad.shape[:-n], math.prod(grad.shape[-n:])) / divisors)[..., None]
        columns = np.broadcast_to(each_window, (*each_window.shape[:-1], math.prod(seen.shape[n:])))
        return wrap(_uncolumns(columns, seen, x.shape[-n:]))

    return back


TABLE: dict[str, Callable[..., Any]] = {
    "convolution": convolution, "convolution_backward": convolution_backward,
    "max_pool2d_with_indices": _max_pool(2), "max_pool3d_with_indices": _max_pool(3),
    "max_pool2d_with_indices_backward": max_pool_backward(2), "max_pool3d_with_indices_backward": max_pool_backward(3),
    "adaptive_max_pool2d_backward": max_pool_backward(2), "adaptive_max_pool3d_backward": max_pool_backward(3),
    "avg_pool2d": _avg_pool(2), "avg_pool3d": _avg_pool(3),
    "avg_pool2d_backward": avg_pool_backward(2), "avg_pool3d_backward": avg_pool_backward(3),
}  # fmt: skip

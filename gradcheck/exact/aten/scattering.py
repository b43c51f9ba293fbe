"""Operators that add up entries, or combine them, where others point."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from flint import arb

from gradcheck.exact.array import ExactArray, lift, wrap
from gradcheck.exact.aten.elementwise import Array, larger, smaller
from gradcheck.exact.aten.moving import move, positions
from gradcheck.exact.balls import ZERO, ball


def scatter_into(shape: Any, at: np.ndarray, values: Any, start: Any = None) -> ExactArray:
    """Zeros (or ``start``) of ``shape``, with ``values`` added at positions ``at`` (0: nowhere)."""
    flat = np.full(math.prod(shape) + 1, ZERO, dtype=object)
    if start is not None:
        flat[1:] = lift(start).reshape(-1)
    np.add.at(flat, at.reshape(-1), np.broadcast_to(lift(values), at.shape).reshape(-1))
    return ExactArray(flat[1:].reshape(tuple(shape)).copy())


def _where_to(shape: Any, moved: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
    at: np.ndarray = moved(positions(shape)).numpy().astype(np.intp)
    return at


def _as_index(value: Any) -> Any:
    return torch.from_numpy(np.asarray(value)) if isinstance(value, np.ndarray) else value


def index_put(func: Any, args: Any, kwargs: Any) -> Any:
    x, indices, values, *accumulate = args
    if not ((accumulate and accumulate[0]) or kwargs.get("accumulate")):
        return move(func, args, kwargs)
    at = _where_to(x.shape, lambda p: torch.ops.aten.index.Tensor(p, [_as_index(i) for i in indices]))
    return scatter_into(x.shape, at, values, x)


def index_add(x: Array, dim: int, index: Array, source: Array, alpha: Any = 1) -> Array:
    at = _where_to(x.shape, lambda p: p.index_select(dim, _as_index(index)))
    return scatter_into(x.shape, at, source * alpha, x)


def scatter_add(x: Array, dim: int, index: Array, source: Array, **_: Any) -> Array:
    at = _where_to(x.shape, lambda p: p.gather(dim, _as_index(index)))
    return scatter_into(x.shape, at, wrap(lift(source))[tuple(slice(n) for n in index.shape)] if index.ndim else source, x)


def scatter_value(x: Array, dim: int, index: Array, value: Any) -> Array:
    at = _where_to(x.shape, lambda p: p.gather(dim, _as_index(index))) - 1
    made = lift(x).copy()
    flat = made.reshape(-1)
    flat[at] = ball(value)
    return ExactArray(flat.reshape(made.shape))


def put(x: Array, index: Array, source: Array, accumulate: bool = False) -> Array:
    made = lift(x).copy()
    flat = made.reshape(-1)
    values, at = np.broadcast_to(lift(source).reshape(-1), index.size), index.reshape(-1)
    if accumulate:
        np.add.at(flat, at, values)
    else:
        flat[at] = values
    return ExactArray(flat.reshape(made.shape))


def masked_scatter_backward(grad: Array, mask: Array, size: Any) -> Array:
    made = np.full(math.prod(size), ZERO, dtype=object)
    chosen = lift(grad)[np.broadcast_to(mask, grad.shape)]
    made[: chosen.size] = chosen
    return ExactArray(made.reshape(tuple(size)))


_COMBINE: dict[str, Callable[[arb, arb], arb]] = {
    "sum": operator.add, "mean": operator.add, "prod": operator.mul, "amax": larger, "amin": smaller,
}  # fmt: skip


def _combine(x: Array, at: np.ndarray, source: Array, reduce: str, include_self: bool) -> Array:
    """``x`` with the entries of ``source`` combined into the positions ``at`` (from 1)."""
    flat = lift(x).copy().reshape(-1)
    counts = np.full(flat.size, int(include_self))
    for i, value in zip(at.reshape(-1) - 1, lift(source).reshape(-1), strict=True):
        flat[i] = _COMBINE[reduce](flat[i], value) if counts[i] else value
        counts[i] += 1
    if reduce == "mean":
        flat = flat / np.maximum(counts, 1)
    return ExactArray(flat.reshape(x.shape))


def scatter_reduce(x: Array, dim: int, index: Array, source: Array, reduce: str, include_self: bool = True) -> Array:
    at = _where_to(x.shape, lambda p: p.gather(dim, _as_index(index)))
    return _combine(x, at, source[tuple(slice(n) for n in index.shape)] if index.ndim else source, reduce, include_self)


def index_reduce(x: Array, dim: int, index: Array, source: Array, reduce: str, include_self: bool = True) -> Array:
    at = _where_to(x.shape, lambda p: p.index_select(dim, _as_index(index)))
    return _combine(x, at, source, reduce, include_self)


def constant_pad(x: Array, pad: Any, value: Any = 0) -> Array:
    at = _where_to(x.shape, lambda p: torch.ops.aten.constant_pad_nd(p, pad, 0.0))
    flat = np.concatenate([np.array([ball(value)], dtype=object), lift(x).reshape(-1)])
    return ExactArray(flat[at.reshape(-1)].reshape(at.shape))


def adjoint(forward: Any) -> Callable[..., Any]:
    """The backward ``(grad, x, *args)`` of an operator that only moves entries."""
    return lambda grad, x, *args: scatter_into(x.shape, _where_to(x.shape, lambda p: forward(p, *args)), grad)


def adjoint_of_upsample(forward: Any) -> Callable[..., Any]:
    return lambda grad, out, size, *scales: scatter_into(size, _where_to(size, lambda p: forward(p, out, *scales)), grad)


def col2im(x: Array, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Array:
    channels = x.shape[-2] // math.prod(kernel)
    shape = (*x.shape[:-2], channels, *size)
    return scatter_into(shape, _where_to(shape, lambda p: torch.ops.aten.im2col(p, kernel, dilation, padding, stride)), x)


def embedding_backward(grad: Array, indices: Array, count: int, padding: int, scaled: bool) -> Array:
    made = np.full((count, grad.shape[-1]), ZERO, dtype=object)
    flat = indices.reshape(-1)
    times = np.bincount(flat, minlength=count)
    for i, row in zip(flat, lift(grad).reshape(-1, grad.shape[-1]), strict=True):
        if i != padding:
            made[i] = made[i] + (row / int(times[i]) if scaled else row)
    return ExactArray(made)


TABLE: dict[str, Callable[..., Any]] = {
    "put": put, "masked_scatter_backward": masked_scatter_backward, "scatter_reduce.two": scatter_reduce, "index_reduce": index_reduce,
    "constant_pad_nd": constant_pad, "index_add": index_add, "scatter_add": scatter_add, "scatter.value": scatter_value,
    "embedding_dense_backward": embedding_backward, "col2im": col2im,
}  # fmt: skip
TABLE |= {f"{pad}_pad{n}d_backward": adjoint(getattr(torch.ops.aten, f"{pad}_pad{n}d"))
          for pad in ("reflection", "replication") for n in (1, 2, 3)}  # fmt: skip
TABLE |= {f"{way}{n}d_backward": adjoint_of_upsample(getattr(torch.ops.aten, f"{way}{n}d").default)
          for way in ("upsample_nearest", "_upsample_nearest_exact") for n in (1, 2, 3)}  # fmt: skip

WITH_OPERATOR: dict[str, Callable[..., Any]] = {"index_put": index_put, "_unsafe_index_put": index_put}

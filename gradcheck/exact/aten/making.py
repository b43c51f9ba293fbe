"""New tensors, and copies of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gradcheck.exact.array import ExactArray, lift, wrap
from gradcheck.exact.aten.elementwise import Array
from gradcheck.exact.aten.reductions import from_entries
from gradcheck.exact.balls import ball
from gradcheck.exact.errors import NotExact


def dtype_of(dtype: Any) -> Any:
    return np.dtype(float) if dtype is None or dtype.is_floating_point else torch.empty(0, dtype=dtype).numpy().dtype


def filled(shape: Any, value: Any, dtype: Any = None) -> Array:
    if dtype is not None and not dtype.is_floating_point:
        if dtype.is_complex:
            raise NotExact("complex tensors are not supported in exact arithmetic")
        return np.full(tuple(shape), value, dtype=dtype_of(dtype))
    return ExactArray(np.full(tuple(shape), ball(value), dtype=object))


def _like(value: Any) -> Callable[..., Any]:
    return lambda x, dtype=None, **_: filled(x.shape, value, dtype)


def _new(value: Any) -> Callable[..., Any]:
    return lambda x, size, dtype=None, **_: filled(size, value, dtype)


def number(value: Any) -> Any:
    """A number out of a number or a 0-d array."""
    return lift(value)[()] if isinstance(value, (np.ndarray, ExactArray)) else value


def to_copy(x: Array, dtype: Any = None, **_: Any) -> Array:
    if dtype is not None and dtype.is_complex:
        raise NotExact("complex tensors are not supported in exact arithmetic")
    if dtype is None:
        return x.copy()
    if not dtype.is_floating_point:
        return np.asarray(x.astype(dtype_of(dtype)))
    return wrap(lift(x).copy())


def arange(shape: Any, *limits: Any) -> ExactArray:
    start, step = (limits[0] if len(limits) > 1 else 0), (limits[2] if len(limits) > 2 else 1)
    return from_entries(shape, (ball(start) + ball(step) * i for i in range(math.prod(shape))))


def linspace(shape: Any, start: Any, end: Any, steps: int) -> ExactArray:
    start, end = ball(number(start)), ball(number(end))
    return from_entries(shape, (start + (end - start) * i / max(steps - 1, 1) for i in range(steps)))


TABLE: dict[str, Callable[..., Any]] = {
    "zeros_like": _like(0), "ones_like": _like(1), "empty_like": _like(0), "new_zeros": _new(0), "new_ones": _new(1),
    "new_empty": _new(0), "full_like": lambda x, value, dtype=None, **_: filled(x.shape, value, dtype),
    "new_full": lambda x, size, value, dtype=None, **_: filled(size, value, dtype), "zero": _like(0),
    "fill": lambda x, value: filled(x.shape, number(value)), "copy": lambda x, y, *_: np.broadcast_to(wrap(lift(y)), x.shape).copy(),
    "_to_copy": to_copy, "clone": lambda x, **_: x.copy(), "_has_same_storage_numel": lambda a, b: a.size == b.size,
    "is_same_size": lambda a, b: a.shape == b.shape,
}  # fmt: skip

# Operators that make new tensors: the exact values, or None for those of torch's own result
FACTORIES: dict[str, Any] = {
    "zeros": None, "ones": None, "eye": None, "scalar_tensor": None, "lift_fresh": None, "tril_indices": None,
    "full": lambda shape, _, value: filled(shape, value), "empty": lambda shape, *_: filled(shape, 0),
    "empty_strided": lambda shape, *_: filled(shape, 0), "arange": arange, "linspace": linspace,
}  # fmt: skip
DRAWS = {"uniform_", "normal_", "bernoulli_", "exponential_", "geometric_", "log_normal_", "cauchy_", "random_"}
KEEP_PLAIN = {"_local_scalar_dense", "bernoulli", "normal", "rand_like", "randn_like", "detach", "randint_like", "multinomial", "item"}

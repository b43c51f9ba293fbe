"""Where a gradient is wrong, in words: by the sign of the argument, by position along an axis, or entry by entry."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

FEW = 4
"""So many entries or positions are named one by one."""

_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge, "!=": operator.ne,
}  # fmt: skip


def describe(wrong: np.ndarray, argument: str, value: np.ndarray) -> str:
    """The region of the ``wrong`` entries (a mask, some of it true) of ``argument``; "" if it has no simple description."""
    if wrong.size == 1:
        return ""
    if wrong.all():
        return "everywhere"
    return next(_descriptions(wrong, argument, value), "")


def _descriptions(wrong: np.ndarray, argument: str, value: np.ndarray) -> Iterator[str]:
    if wrong.sum() == 1:
        yield f"at {_index(np.argwhere(wrong)[0])} alone"
    for sign, compare in _SIGNS.items():
        if np.array_equal(wrong, compare(value, 0)):
            yield f"where {argument} {sign} 0"
    for axis, size in enumerate(wrong.shape):
        others = tuple(a for a in range(wrong.ndim) if a != axis)
        along = wrong.all(axis=others)
        if wrong.ndim > 1 and np.array_equal(wrong, np.broadcast_to(np.expand_dims(along, others), wrong.shape)):
            positions = np.flatnonzero(along)
            if len(positions) <= FEW:
                yield f"at {', '.join(_end(int(p), size) for p in positions)} of axis {axis}"
    if wrong.sum() <= FEW:
        yield f"at {', '.join(_index(i) for i in np.argwhere(wrong))}"


def _end(position: int, size: int) -> str:
    return f"the last position ({position})" if position == size - 1 and size > 2 else f"position {position}"


def _index(index: np.ndarray) -> str:
    return "[" + ", ".join(str(int(i)) for i in index) + "]"

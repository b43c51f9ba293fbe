"""What an argument of a spec may be: its shape, its values, and the Hypothesis draws for both.

A shape is written as words, one per axis. ``"batch"`` is an axis of one to four entries, the
same wherever the word returns; ``"batch>=0"`` or ``"batch>=2"`` moves its minimum; a digit is
that very size; ``"*s"`` is a whole shape of no to three axes, empty axes among them.

Hypothesis is imported when the first draw is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.errors import SpecError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Draw = Callable[["SearchStrategy[Any]"], Any]

REGIMES = ("integers", "ordinary", "constant", "tiny", "near kinks", "large", "mixed", "subnormal", "extreme")
"""Where values are looked for; the first is the simplest, and shrinking tends towards it."""

LARGEST_SIZE = 4
"""Axes have at most this many entries: a defect of a formula shows in the smallest arrays."""

_AXIS = re.compile(r"(?P<name>[A-Za-z_]\w*)(>=(?P<least>\d+))?$")


class Shapes:
    """The sizes drawn so far for one point, by word."""

    def __init__(self, draw: Draw, least: dict[str, int]) -> None:
        self._draw, self._least = draw, least
        self.sizes: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def size(self, name: str) -> int:
        from hypothesis import strategies as st

        if name not in self.sizes:
            self.sizes[name] = self._draw(st.integers(self._least.get(name, 1), max(LARGEST_SIZE, self._least.get(name, 1))))
        return self.sizes[name]

    def whole(self, name: str) -> tuple[int, ...]:
        if name not in self.shapes:
            self.shapes[name] = self._draw(_whole_shapes())
        return self.shapes[name]

    def of(self, dims: tuple[str, ...]) -> tuple[int, ...]:
        shape: list[int] = []
        for word in dims:
            if word.startswith("*"):
                shape.extend(self.whole(word[1:]))
            elif word.isdigit():
                shape.append(int(word))
            else:
                shape.append(self.size(word.split(">=")[0]))
        return tuple(shape)


@cache
def _whole_shapes() -> SearchStrategy[tuple[int, ...]]:
    from hypothesis import strategies as st

    some = st.tuples
    return st.one_of(
        some(st.integers(1, LARGEST_SIZE)),
        st.just(()),
        some(st.integers(1, 3), st.integers(1, 3)),
        st.just((0,)),
        some(st.just(1), st.integers(1, 3)),
        some(st.integers(1, 2), st.integers(1, 3), st.integers(1, 2)),
    )


def least_sizes(dims: tuple[str, ...]) -> dict[str, int]:
    """The stated minimum of every axis word in ``dims``; raises ``SpecError`` on a malformed one."""
    found: dict[str, int] = {}
    for word in dims:
        if word.startswith("*") and word[1:].isidentifier() or word.isdigit():
            continue
        match = _AXIS.match(word)
        if match is None:
            raise SpecError(f"{word!r} is no axis: write a name, a name>=minimum, a number or *name")
        if match["least"] is not None:
            found[match["name"]] = int(match["least"])
    return found


@dataclass(frozen=True)
class Domain:
    """Base of what an argument may be. ``differentiable`` arguments get their gradient checked."""

    dims: tuple[str, ...] = ()
    differentiable: bool = False

    def draw(self, draw: Draw, shapes: Shapes, dtype: np.dtype[Any]) -> Any:
        raise NotImplementedError


def _signed_power(draw_sign: bool, low: int, high: int) -> SearchStrategy[float]:
    from hypothesis import strategies as st

    signs = st.sampled_from((1.0, -1.0) if draw_sign else (1.0,))
    return st.builds(lambda s, m, e: s * float(np.ldexp(1 + m / 1024, e)), signs, st.integers(0, 1023), st.integers(low, high))


@cache
def _elements(low: float | None, high: float | None, kinks: tuple[float, ...], upto: float, dtype: str, regime: str) -> SearchStrategy[float]:
    """One entry of an array in ``regime``, before it is clipped into the domain."""
    from hypothesis import strategies as st

    info = np.finfo(dtype)
    if low is not None and high is not None:
        near = st.builds(lambda edge, k: low + (high - low) * 2.0**-k if edge else high - (high - low) * 2.0**-k, st.booleans(), st.integers(1, 40))
        inside = st.builds(lambda k: low + (high - low) * k / 1024, st.integers(1, 1023))
        return near if regime in ("tiny", "near kinks", "large", "extreme", "subnormal") else inside
    signed = low is None and high is None
    top = int(np.floor(np.log2(min(upto, float(info.max))))) - 1
    table: dict[str, Callable[[], SearchStrategy[float]]] = {
        "integers": lambda: st.integers(-3, 3).map(float) | st.sampled_from(kinks or (0.0,)),
        "ordinary": lambda: st.integers(-4096, 4096).map(lambda k: k / 1024),
        "tiny": lambda: _signed_power(signed, max(-34, int(info.minexp)), -7),
        "near kinks": lambda: st.builds(lambda k, d: k + d, st.sampled_from(kinks or (0.0,)), _signed_power(True, -40, -2) | st.just(0.0)),
        "large": lambda: _signed_power(signed, 2, min(10, top)),
        "subnormal": lambda: st.integers(-3 if signed else 1, 3).map(lambda k: k * float(info.smallest_subnormal)),
        "extreme": lambda: _signed_power(signed, min(4, top), top),
    }
    if regime == "mixed":
        return st.one_of(*(make() for make in table.values()))
    return table[regime]()


@dataclass(frozen=True)
class Real(Domain):
    """Floating numbers, of magnitude ``upto`` at most, strictly between ``low`` and ``high``.

    ``closed`` lets the ends themselves in; ``kinks`` are values at which the function is not
    smooth, to be met exactly, nearly, and in ties; ``broadcast=True`` draws a shape that
    broadcasts to that of ``dims`` (leading axes dropped, some of the others of size one).
    """

    low: float | None = None
    high: float | None = None
    closed: bool = False
    kinks: tuple[float, ...] = ()
    upto: float = 1e4
    broadcast: bool = False

    def __init__(
        self,
        *dims: str,
        low: float | None = None,
        high: float | None = None,
        closed: bool = False,
        kinks: tuple[float, ...] = (),
        upto: float = 1e4,
        broadcast: bool = False,
        differentiable: bool = True,
    ) -> None:
        values = {
            "dims": dims, "low": low, "high": high, "closed": closed, "kinks": tuple(kinks),
            "upto": float(upto), "broadcast": broadcast, "differentiable": differentiable,
        }  # fmt: skip
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def draw(self, draw: Draw, shapes: Shapes, dtype: np.dtype[Any]) -> np.ndarray:
        from hypothesis import strategies as st

        shape = shapes.of(self.dims)
        if self.broadcast:
            drop = draw(st.integers(0, len(shape)))
            shape = tuple(1 if n != 1 and draw(st.booleans()) else n for n in shape[drop:])
        regime = draw(st.sampled_from(REGIMES))
        size = int(np.prod(shape))
        if regime == "constant":
            entry = _elements(self.low, self.high, self.kinks, self.upto, dtype.name, draw(st.sampled_from(("integers", "ordinary", "large"))))
            values = [draw(entry)] * size if size else []
        else:
            entry = _elements(self.low, self.high, self.kinks, self.upto, dtype.name, regime)
            values = draw(st.lists(entry, min_size=size, max_size=size))
        return self.inside(np.array(values, dtype=np.float64).reshape(shape), dtype)

    def inside(self, values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
        """``values`` in ``dtype``, moved to the nearest member of the domain."""
        if self.low is not None and self.high is None:
            values = self.low + np.abs(values - self.low)
        if self.high is not None and self.low is None:
            values = self.high - np.abs(values - self.high)
        reach = min(self.upto, float(np.finfo(dtype).max))
        x = np.clip(values, -reach, reach).astype(dtype)
        for edge, towards, bound in ((self.low, np.inf, np.maximum), (self.high, -np.inf, np.minimum)):
            if edge is not None:
                end = dtype.type(edge)
                x = bound(x, end if self.closed else np.nextafter(end, dtype.type(towards)))
        return np.asarray(x, dtype=dtype)


@dataclass(frozen=True)
class Simplex(Domain):
    """Probabilities: entries in (0, 1) whose last axis sums to 1 but for rounding.

    ``zeros=True`` lets exact zeros in. Gradients treat the entries as free variables.
    """

    zeros: bool = False

    def __init__(self, *dims: str, zeros: bool = False, differentiable: bool = True) -> None:
        for name, value in {"dims": dims, "zeros": zeros, "differentiable": differentiable}.items():
            object.__setattr__(self, name, value)

    def draw(self, draw: Draw, shapes: Shapes, dtype: np.dtype[Any]) -> np.ndarray:
        from hypothesis import strategies as st

        shape = shapes.of(self.dims)
        size = int(np.prod(shape))
        spread = draw(st.sampled_from((1, 4, 12)))
        entry = st.integers(-1 if self.zeros else 0, 16)
        ks = np.array(draw(st.lists(entry, min_size=size, max_size=size)), dtype=np.float64).reshape(shape)
        weights = np.where(ks < 0, 0.0, 2.0 ** (-np.abs(ks) * spread / 16))
        total = weights.sum(axis=-1, keepdims=True)
        rows = np.where(total > 0, weights / np.where(total > 0, total, 1), 1 / max(shape[-1], 1))
        one = np.nextafter(dtype.type(1), dtype.type(0))
        return np.asarray(rows if self.zeros else np.minimum(rows.astype(dtype), one), dtype=dtype)


@dataclass(frozen=True)
class _Fixed(Domain):
    """Base of the arguments that are data, not variables."""

    def __init__(self, *dims: str) -> None:
        object.__setattr__(self, "dims", dims)
        object.__setattr__(self, "differentiable", False)

    def _choices(self, draw: Draw, shape: tuple[int, ...], values: tuple[Any, ...]) -> np.ndarray:
        from hypothesis import strategies as st

        size = int(np.prod(shape))
        return np.array(draw(st.lists(st.sampled_from(values), min_size=size, max_size=size))).reshape(shape)


@dataclass(frozen=True, init=False)
class OneHot(_Fixed):
    """Rows with a single 1, in the dtype of the point; the last axis is the class."""

    def draw(self, draw: Draw, shapes: Shapes, dtype: np.dtype[Any]) -> np.ndarray:
        shape = shapes.of(self.dims)
        labels = self._choices(draw, shape[:-1], tuple(range(shape[-1]))).astype(np.intp)
        return np.asarray(np.eye(shape[-1], dtype=dtype)[labels])


@dataclass(frozen=True, init=False)
class Labels(_Fixed):
    """Integers (int64) from 0 up to, not including, the size of the axis ``below``."""

    below: str = "classes"

    def __init__(self, *dims: str, below: str) -> None:
        super().__init__(*dims)
        object.__setattr__(self, "below", below)

    def draw(self, draw: Draw, shapes: Shapes, dtype: np.dtype[Any]) -> np.ndarray:
        return self._choices(draw, shapes.of(self.dims), tuple(range(shapes.size(self.below)))).astype(np.int64)


@dataclass(frozen=True, init=False)
class Sign(_Fixed):
    """Labels -1 and 1, in the dtype of the point."""

    def draw(self, draw: Draw, shapes: Shapes, dtype: np.dtype[Any]) -> np.ndarray:
        return self._choices(draw, shapes.of(self.dims), (1.0, -1.0)).astype(dtype)


@dataclass(frozen=True, init=False)
class Mask(_Fixed):
    """Zeros and ones, in the dtype of the point."""

    def draw(self, draw: Draw, shapes: Shapes, dtype: np.dtype[Any]) -> np.ndarray:
        return self._choices(draw, shapes.of(self.dims), (1.0, 0.0)).astype(dtype)


@dataclass(frozen=True, init=False)
class Option(_Fixed):
    """A plain value out of a few: a reduction, a slope, an eps. The first is the default."""

    values: tuple[Any, ...] = field(default=())

    def __init__(self, *values: Any) -> None:
        super().__init__()
        object.__setattr__(self, "values", values)

    def draw(self, draw: Draw, shapes: Shapes, dtype: np.dtype[Any]) -> Any:
        from hypothesis import strategies as st

        return draw(st.sampled_from(self.values))

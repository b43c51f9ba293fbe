"""What an argument of a spec may be: its shape, its values, and the Hypothesis draws for both.

A shape is written as words, one per axis. ``"batch"`` is an axis of one to four entries, the
same wherever the word returns; ``"batch>=0"`` or ``"batch>=2"`` moves its minimum; a digit is
that very size; ``"*s"`` is a whole shape of no to three axes, empty axes among them.

Hypothesis is imported when the first draw is made.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.errors import SpecError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Draw = Callable[["SearchStrategy[Any]"], Any]

BLOCK = 16
"""Bytes drawn at a time for small choices: what each choice of Hypothesis costs is worth a hundred of them."""

CODES = 2**24
"""An entry of an array is drawn as one integer below this (three bytes), and decoded by its regime; 0 is the simplest."""

LARGEST_SIZE = 4
"""Axes have at most this many entries: a defect of a formula shows in the smallest arrays."""

MOST_STEPS = 8
"""Gradients in a sequence: as many as the warm-up of any optimizer's state takes to end."""

SQUARED = 500
"""Binary orders of the largest gradients, and of the smallest: their squares still have all digits in float64, where torch is run."""

WHOLE: tuple[tuple[range, ...], ...] = (
    (range(1, LARGEST_SIZE + 1),),
    (),
    (range(1, 4), range(1, 4)),
    (range(1),),
    (range(1, 2), range(1, 4)),
    (range(1, 3), range(1, 4), range(1, 3)),
)
"""Whole shapes, by the sizes that each axis may have; the simplest come first."""

_AXIS = re.compile(r"(?P<name>[A-Za-z_]\w*)(>=(?P<least>\d+))?$")


class Shapes:
    """What was drawn so far for one point: sizes, by word, and values, by argument; and its small choices, one byte each."""

    def __init__(self, draw: Draw, least: dict[str, int]) -> None:
        self._draw, self._least, self._block = draw, least, b""
        self.sizes: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.values: dict[str, Any] = {}

    def below(self, n: int) -> int:
        """One of the integers from 0, the simplest, up to, not including, ``n``, which is at most 256."""
        from hypothesis import strategies as st

        if not self._block:
            self._block = self._draw(st.binary(min_size=BLOCK, max_size=BLOCK))
        chosen, self._block = self._block[0] % n, self._block[1:]
        return chosen

    def one_of(self, values: Sequence[Any]) -> Any:
        """One of ``values``, of which the first is the simplest."""
        return values[self.below(len(values))]

    def size(self, name: str) -> int:
        if name not in self.sizes:
            least = self._least.get(name, 1)
            self.sizes[name] = least + self.below(max(LARGEST_SIZE - least, 0) + 1)
        return self.sizes[name]

    def whole(self, name: str) -> tuple[int, ...]:
        if name not in self.shapes:
            self.shapes[name] = tuple(self.one_of(sizes) for sizes in self.one_of(WHOLE))
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


def least_sizes(dims: tuple[str, ...]) -> dict[str, int]:
    """The stated minimum of every axis word in ``dims``; raises ``SpecError`` on a malformed one."""
    found: dict[str, int] = {}
    for word in dims:
        if (word.startswith("*") and word[1:].isidentifier()) or word.isdigit():
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


def draw_codes(draw: Draw, size: int, top: int = CODES) -> np.ndarray:
    """``size`` integers in [0, top), all of them from one choice: each choice costs Hypothesis more than an entry is worth."""
    from hypothesis import strategies as st

    drawn = draw(st.binary(min_size=3 * size, max_size=3 * size))
    return np.asarray(np.frombuffer(drawn, dtype=np.uint8).reshape(size, 3).astype(np.int64) @ np.array([2**16, 2**8, 1]) % top)


def _digits(codes: np.ndarray) -> np.ndarray:
    """A fraction in [0, 1) with all its 52 bits in use for every code but 0, which gives 0."""
    return ((codes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(12)).astype(np.float64) * 2.0**-52


def _powers(codes: np.ndarray, low: int, high: int, signed: bool) -> np.ndarray:
    """Log-uniform magnitudes in [2^low, 2^(high + 1)), of both signs if ``signed``."""
    sign = np.where(codes % 2 == 1, -1.0, 1.0) if signed else 1.0
    span = high - low + 1
    return np.asarray(sign * np.ldexp(1 + _digits(codes // 2 // span), low + (codes // 2 % span)))


@dataclass(frozen=True)
class _Scale:
    """What a regime needs to know: the dtype's limits, the domain's, its kinks, and whether it has both signs."""

    info: Any
    upto: float
    kinks: np.ndarray
    signed: bool

    @property
    def top(self) -> int:
        return int(np.floor(np.log2(min(self.upto, float(self.info.max))))) - 1


def _integers(codes: np.ndarray, at: _Scale) -> np.ndarray:
    table = np.concatenate([np.array([0.0, 1, -1, 2, -2, 3, -3]), at.kinks, at.kinks])
    return np.asarray(table[codes % len(table)])


def _ordinary(codes: np.ndarray, at: _Scale) -> np.ndarray:
    coarse = (codes // 2 % 8193 - 4096) / 1024
    return np.where(codes % 2 == 1, 8 * _digits(codes) - 4, np.where(codes == 0, 0.0, coarse))


def _near_kinks(codes: np.ndarray, at: _Scale) -> np.ndarray:
    near = at.kinks[codes % len(at.kinks)] if len(at.kinks) else 0.0
    rest = codes // max(len(at.kinks), 1)
    return np.asarray(near + np.where(rest % 8 == 0, 0.0, _powers(rest // 8, -40, -2, True)))


def _clustered(codes: np.ndarray, at: _Scale) -> np.ndarray:
    """A large value with small or tiny differences: what makes sums of squares cancel."""
    first = int(codes[0]) if codes.size else 0
    base, spread = 2.0 ** min(at.top, 3 + first % 8), 2.0 ** -(first // 8 % 24)
    return np.asarray(base * (1 + _digits(codes[:1]) / 2) + spread * (_digits(codes) - 0.5))


Regime = Callable[[np.ndarray, _Scale], np.ndarray]

_MIXED: tuple[Regime, ...] = (
    _ordinary,
    lambda codes, at: _powers(codes, 2, min(9, at.top), at.signed),
    _integers,
    lambda codes, at: _powers(codes, -20, -1, at.signed),
)

REGIMES: dict[str, Regime] = {
    "integers": _integers,
    "ordinary": _ordinary,
    "constant": lambda codes, at: np.full(codes.shape, _powers(codes[:1], -2, min(9, at.top), at.signed)[0] if codes.size else 0.0),
    "tiny": lambda codes, at: _powers(codes, max(-34, int(at.info.minexp)), -7, at.signed),
    "near kinks": _near_kinks,
    "large": lambda codes, at: _powers(codes, 2, min(9, at.top), at.signed),
    "very large": lambda codes, at: _powers(codes, min(4, at.top), min(16, at.top), at.signed),
    "clustered": _clustered,
    "mixed": lambda codes, at: np.choose(codes % 4, [make(codes // 4, at) for make in _MIXED]),
    "subnormal": lambda codes, at: np.where(codes % 2 == 1, -1.0, 1.0) * (1 + codes // 2 % 3) * float(at.info.smallest_subnormal),
    "extreme": lambda codes, at: _powers(codes, min(4, at.top), at.top, at.signed),
}  # fmt: skip
"""Where values are looked for; the first is the simplest, and shrinking tends towards it."""


def _between(codes: np.ndarray, low: float, high: float, closed: bool) -> np.ndarray:
    """Values inside an interval: evenly, its middle, ever nearer to either end, and (if ``closed``) the ends."""
    inside = low + (high - low) * (1 + _digits(codes)) / 2 - (high - low) * (codes // 2 % 2) / 2
    near = (high - low) * 2.0 ** -(1.0 + codes // 8 % 40)
    if closed:
        near = np.where(codes // 8 % 4 == 0, 0.0, near)
    middle = np.where(codes // 4 % 8 == 0, (low + high) / 2, inside)
    return np.where(codes % 2 == 0, middle, np.where(codes // 4 % 2 == 0, low + near, high - near))


@dataclass(frozen=True)
class Real(Domain):
    """Floating numbers, of magnitude ``upto`` at most, strictly between ``low`` and ``high``.

    ``closed`` lets the ends themselves in; ``kinks`` are values at which the function is not
    smooth, to be met exactly, nearly, and in ties; ``broadcast=True`` draws a shape that
    broadcasts to that of ``dims`` (leading axes dropped, some of the others of size one). ``ties`` names an argument
    before this one, of the same shape, most of whose entries this one shares now and then.
    """

    low: float | None = None
    high: float | None = None
    closed: bool = False
    kinks: tuple[float, ...] = ()
    upto: float = 1e4
    broadcast: bool = False
    ties: str = ""

    def __init__(
        self,
        *dims: str,
        low: float | None = None,
        high: float | None = None,
        closed: bool = False,
        kinks: tuple[float, ...] = (),
        upto: float = 1e4,
        broadcast: bool = False,
        ties: str = "",
        differentiable: bool = True,
    ) -> None:
        values = {
            "dims": dims, "low": low, "high": high, "closed": closed, "kinks": tuple(kinks),
            "upto": float(upto), "broadcast": broadcast, "ties": ties, "differentiable": differentiable,
        }  # fmt: skip
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def draw(self, draw: Draw, shapes: Shapes, dtype: np.dtype[Any]) -> np.ndarray:
        shape = shapes.of(self.dims)
        if self.broadcast:
            drop = shapes.below(len(shape) + 1)
            shape = tuple(1 if n != 1 and shapes.below(2) else n for n in shape[drop:])
        regime = shapes.one_of(tuple(REGIMES))
        codes = draw_codes(draw, math.prod(shape))
        if self.low is not None and self.high is not None:
            values = _between(codes, self.low, self.high, self.closed)
        else:
            values = REGIMES[regime](
                codes, _Scale(np.finfo(dtype), self.upto, np.array(self.kinks), self.low is None and self.high is None)
            )
        values = np.asarray(values, dtype=np.float64).reshape(shape)
        if self.ties and shapes.one_of((False, False, True)):
            values = np.where(codes.reshape(shape) % 4 != 0, shapes.values[self.ties], values)
        return self.inside(values, dtype)

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
        shape = shapes.of(self.dims)
        size = math.prod(shape)
        spread = shapes.one_of((1, 4, 12))
        ks = draw_codes(draw, size, 18 if self.zeros else 17).astype(np.float64).reshape(shape)
        ks = np.where(ks == 17, -1.0, ks)
        weights = np.where(ks < 0, 0.0, 2.0 ** (-np.abs(ks) * spread / 16))
        total = weights.sum(axis=-1, keepdims=True)
        rows = np.where(total > 0, weights / np.where(total > 0, total, 1), 1 / max(shape[-1], 1))
        one = np.nextafter(dtype.type(1), dtype.type(0))
        return np.asarray(rows if self.zeros else np.minimum(rows.astype(dtype), one), dtype=dtype)


@dataclass(frozen=True)
class Gradients(Domain):
    """A sequence of gradients, one to MOST_STEPS of them along the first axis, as optimizers meet them.

    Ordinary ones, zeros, tiny and huge ones, such that alternate in sign, sparse ones, and all in turn.
    """

    def __init__(self, *dims: str) -> None:
        object.__setattr__(self, "dims", dims)
        object.__setattr__(self, "differentiable", False)

    def draw(self, draw: Draw, shapes: Shapes, dtype: np.dtype[Any]) -> np.ndarray:
        shape = (1 + shapes.below(MOST_STEPS), *shapes.of(self.dims[1:]))
        codes = draw_codes(draw, math.prod(shape)).reshape(shape)
        at = _Scale(np.finfo(dtype), np.inf, np.zeros(0), True)
        ordinary, steps = _ordinary(codes, at), np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1))
        kinds = {
            "ordinary": ordinary,
            "zero": np.zeros(shape),
            "tiny": _powers(codes, max(int(at.info.minexp) // 2, -SQUARED), -7, True),
            "huge": _powers(codes, min(at.top // 2, SQUARED // 2), min(at.top - 1, SQUARED), True),
            "alternating": np.abs(ordinary) * (-1.0) ** steps,
            "sparse": np.where(codes % 4 == 1, ordinary, 0.0),
        }
        kinds["in turn"] = np.choose(codes % len(kinds), list(kinds.values()))
        return np.asarray(kinds[shapes.one_of(tuple(kinds))], dtype=dtype)


@dataclass(frozen=True)
class _Fixed(Domain):
    """Base of the arguments that are data, not variables."""

    def __init__(self, *dims: str) -> None:
        object.__setattr__(self, "dims", dims)
        object.__setattr__(self, "differentiable", False)

    def _choices(self, draw: Draw, shape: tuple[int, ...], values: tuple[Any, ...]) -> np.ndarray:
        chosen = draw_codes(draw, math.prod(shape), len(values))
        return np.asarray(np.array(values)[chosen].reshape(shape))


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
        return shapes.one_of(self.values)

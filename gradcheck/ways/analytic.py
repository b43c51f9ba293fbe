"""The analytic way: the code under test itself, run in floats and watched, and run in balls."""

from __future__ import annotations

import copy
import math
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from flint import ctx

from gradcheck.bounds import SHORT
from gradcheck.exact.array import FLOAT64, ExactArray, Work, exact
from gradcheck.points import Point
from gradcheck.subject import ReturnsNothing, Subject, TorchCallable, WrongCount


@dataclass(frozen=True)
class Failure:
    """The code under test raised, or returned nothing, in ``stage`` ("forward" or "backward")."""

    stage: str
    kind: str
    message: str
    path: str
    line: int | None


@dataclass(frozen=True)
class FloatRun:
    """One watched evaluation in the dtype of the point.

    ``outputs`` and ``gradients`` are arrays as returned (a missing gradient is None);
    ``flags`` names the floating-point exceptions of each stage; ``changed`` the inputs that
    the subject wrote into, as (stage, argument); ``differs`` tells that a second forward on
    the same input gave other bits.
    """

    outputs: tuple[Any, ...] = ()
    gradients: tuple[Any, ...] = ()
    cotangents: tuple[np.ndarray, ...] = ()
    flags: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    changed: tuple[tuple[str, str], ...] = ()
    changed_cotangent: bool = False
    differs: bool = False
    failure: Failure | None = None


@contextmanager
def watched() -> Iterator[set[str]]:
    """Collect NumPy's floating-point exceptions ("overflow", "divide by zero" ...) quietly."""
    seen: set[str] = set()
    with np.errstate(all="call", call=lambda what, _: seen.add(what)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield seen


def copies(values: Sequence[Any]) -> list[Any]:
    """``values``, the arrays among them (exact ones too) copied."""
    return [v.copy() if type(v) is ExactArray or isinstance(v, np.ndarray) else v for v in values]


def _numbers(value: Any, who: str) -> np.ndarray:
    """``value`` as an array; raises ``TypeError`` if it holds anything but numbers."""
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{who} returned {_what(value)}")
    return array


def _what(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return f"a {type(value).__name__}, which is no array of numbers"
    return f"an array of {'objects' if value.dtype.kind == 'O' else value.dtype.type.__name__} (dtype {value.dtype}), not of numbers"


def _bits(value: Any) -> bytes:
    return np.asarray(value).tobytes()


def _written(before: Sequence[Any], after: Sequence[Any], names: Sequence[str]) -> list[str]:
    return [n for n, b, a in zip(names, before, after, strict=True) if isinstance(b, np.ndarray) and _bits(b) != _bits(a)]


def failure(stage: str, error: BaseException, subject: Subject) -> Failure:
    path, *_ = subject.location
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    kind = "nothing" if isinstance(error, ReturnsNothing) else "count" if isinstance(error, WrongCount) else "raises"
    message = str(error) if kind != "raises" else f"{type(error).__name__}: {error}"
    return Failure(stage, kind, message, path, frames[-1].lineno if frames else None)


def run(subject: Subject, point: Point) -> FloatRun:
    """Evaluate in floats, twice forward and once backward, on copies that are compared afterwards."""
    primals = list(point.primals.values())
    names = list(point.primals)
    given = copies(primals)
    changed: list[tuple[str, str]] = []
    with watched() as forward_flags:
        try:
            outputs = tuple(_numbers(o, "the forward") for o in subject.value(given))
        except (Exception, SystemExit) as error:
            return FloatRun(failure=failure("forward", error, subject))
        changed += [("forward", n) for n in _written(primals, given, names)]
        outputs = tuple(np.array(o) for o in outputs)
        try:
            differs = any(_bits(a) != _bits(b) for a, b in zip(outputs, subject.value(copies(primals)), strict=True))
        except (Exception, SystemExit) as error:
            return FloatRun(failure=failure("forward", error, subject))
    cotangents = point.cotangents(tuple(o.shape for o in outputs))
    typed = [np.asarray(c).astype(point.dtype) for c in cotangents]
    seeds, given, saved = copies(typed), copies(primals), copies(outputs)
    with watched() as backward_flags:
        try:
            returned = subject.gradient(seeds, given, saved)
            gradients = tuple(None if g is None else _numbers(g, "the backward") for g in returned)
        except (Exception, SystemExit) as error:
            broken = failure("backward", error, subject)
            return FloatRun(outputs, cotangents=cotangents, flags=(frozenset(forward_flags), frozenset()), failure=broken)
    changed += [("backward", n) for n in _written(primals, given, names) if ("forward", n) not in changed]
    if _written(outputs, saved, [""] * len(saved)):
        changed.append(("backward", "the output"))
    flags = frozenset(forward_flags), frozenset(backward_flags)
    if isinstance(subject, TorchCallable) and not all(np.isfinite(a).all() for a in (*outputs, *gradients) if a is not None):
        flags = _torch_flags(subject, primals, typed)
    return FloatRun(
        outputs,
        tuple(None if g is None else g.copy() for g in gradients),
        cotangents,
        flags,
        tuple(changed),
        any(_bits(a) != _bits(b) for a, b in zip(typed, seeds, strict=True)),
        differs,
    )


def _torch_flags(subject: TorchCallable, primals: Sequence[Any], cotangents: Sequence[Any]) -> tuple[frozenset[str], frozenset[str]]:
    """The exceptions of the forward, and of the forward and the backward together."""
    from gradcheck.ways.exceptions import raised_by

    def forward() -> tuple[Any, ...]:
        return subject.value(copies(primals))

    return raised_by(forward), raised_by(lambda: subject.gradient(copies(cotangents), copies(primals), ()))


def differentiable(subject: Subject) -> list[int]:
    """The positions of the arguments that have a gradient."""
    return [k for k, name in enumerate(subject.arguments) if name in subject.differentiable]


def is_short(x: Any) -> bool:
    """Whether all of ``x``, a number or an array of them, are multiples of 1 / SHORT: then none was rounded."""
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.asarray(x, dtype=np.float64) * SHORT % 1 == 0))


def moving(subject: Subject, primals: Sequence[Any]) -> list[int]:
    """The positions of the arguments that may have been rounded: those with a gradient, and data that are more than short numbers.

    Labels, signs and masks are what was meant; in a subject without any gradient, all floating arrays are its variables.
    """
    variables = differentiable(subject)
    floating = [k for k, p in enumerate(primals) if isinstance(p, np.ndarray) and p.dtype.kind == "f"]
    return [k for k in floating if k in variables or not variables or not is_short(primals[k])]


def in_float64(point: Point) -> list[Any]:
    """The primals of ``point``, floating ones in float64."""
    return [p.astype(np.float64) if isinstance(p, np.ndarray) and p.dtype.kind == "f" else p for p in point.primals.values()]


class Exactly:
    """The subject at one point in balls, evaluated at most once for every number of bits.

    ``steps`` and ``backward_steps`` count the roundings on the way to the value and to the
    gradients (which start from the value); ``rounded`` is how coarsely constants may be rounded, relatively.
    ``dtype`` is the one that exact arrays say they have, so that code which asks takes the way that
    it takes in floats.
    """

    def __init__(self, subject: Subject, primals: Sequence[Any], cotangents: Sequence[np.ndarray], dtype: str = "float64") -> None:
        self.subject, self.dtype = subject, np.dtype(dtype)
        self.moving = moving(subject, primals)
        self.primals = [exact(p) if isinstance(p, np.ndarray) and p.dtype.kind == "f" else p for p in primals]
        self.cotangents = [exact(c) for c in cotangents]
        self.steps, self.backward_steps, self.rounded, self.shake = 0, 0, 0.0, 0
        self._values: dict[int, tuple[Any, ...]] = {}
        self._gradients: dict[int, tuple[Any, ...]] = {}

    def shaken(self, n: int) -> Exactly:
        """The same, with every constant that may be rounded moved by one rounding, in the ``n``-th way."""
        other = copy.copy(self)
        other.shake, other._values, other._gradients = n, {}, {}
        other.__dict__.pop("options_moved", None)
        return other

    @cached_property
    def options_moved(self) -> list[tuple[Exactly, Exactly]]:
        """For every number among the primals that may have been rounded (0.1, not 0.5): the same with it one rounding up, and down."""
        found = []
        for k, p in enumerate(self.primals):
            if type(p) is float and math.isfinite(p) and not is_short(p):
                found.append((self._with_option(k, p * (1 + self._rounding)), self._with_option(k, p * (1 - self._rounding))))
        return found

    @property
    def _rounding(self) -> float:
        """One rounding in the dtype of the point, relative; of a float64, which a float is itself, to its neighbour."""
        eps = float(np.finfo(self.dtype).eps)
        return eps / 2 if self.dtype.itemsize < FLOAT64.itemsize else eps

    def _with_option(self, k: int, value: float) -> Exactly:
        other = self.shaken(self.shake)
        other.primals = [value if i == k else p for i, p in enumerate(self.primals)]
        return other

    def at(self, primals: Sequence[Any]) -> tuple[Any, ...]:
        with ExactArray.said_to_be(self.dtype), Work.shaken(self.shake):
            return self.subject.value(copies(primals))

    def value(self) -> tuple[Any, ...]:
        if ctx.prec not in self._values:
            Work.steps, Work.rounded = 0, 0.0
            self._values[ctx.prec] = self.at(self.primals)
            self.steps, self.rounded = Work.steps, max(self.rounded, Work.rounded)
        return self._values[ctx.prec]

    def gradient(self) -> tuple[Any, ...]:
        if ctx.prec not in self._gradients:
            outputs = self.value()
            Work.steps, Work.rounded = 0, 0.0
            self._gradients[ctx.prec] = self.gradient_at(self.primals, self.cotangents, outputs)
            self.backward_steps, self.rounded = self.steps + Work.steps, max(self.rounded, Work.rounded)
        return self._gradients[ctx.prec]

    def value_at(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The value with others of the primals that are ``moving``."""
        return self.at(self._with(inputs))

    def gradients_at(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The gradients with others of the primals that are ``moving`` and, after them, cotangents."""
        primals, cotangents = self.with_inputs(inputs)
        return self.gradient_at(primals, cotangents, self.at(primals))

    def with_inputs(self, inputs: Sequence[Any]) -> tuple[list[Any], Sequence[Any]]:
        """All primals, those that are ``moving`` being the first of ``inputs``, and the cotangents, its others."""
        wanted = len(self.moving)
        return self._with(inputs[:wanted]), inputs[wanted:]

    def _with(self, inputs: Sequence[Any]) -> list[Any]:
        primals = list(self.primals)
        for k, x in zip(self.moving, inputs, strict=True):
            primals[k] = x
        return primals

    def gradient_at(self, primals: Sequence[Any], cotangents: Sequence[Any], outputs: Sequence[Any]) -> tuple[Any, ...]:
        with ExactArray.said_to_be(self.dtype), Work.shaken(self.shake):
            return self.subject.gradient(copies(cotangents), copies(primals), copies(outputs))

"""Points of a spec at a chosen scale, drawn without Hypothesis: ordinary ones, and ones that stress a checker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.domains import Domain, Gradients, Labels, Mask, OneHot, Option, Real, Sign, Simplex
from gradcheck.function_spec import FunctionSpec, least
from gradcheck.points import Point

Entries = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

WHOLE_SHAPES = ((4,), (2, 3), (3, 4), (1, 3))
SIZES = (2, 3, 4)
MOST_HALVINGS = 12
"""The smallest weight on a simplex is 2^-12 of the largest, as in ``domains.Simplex``."""


def scaled(scale: float) -> Entries:
    """``scale`` times standard normal."""
    return lambda rng, shape: scale * rng.standard_normal(shape)


def integers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Integers in -3..3: kinks and zeros are met exactly."""
    return rng.integers(-3, 4, shape).astype(np.float64)


def ties(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """One of three values, the same in every argument, so that arguments tie with one another too."""
    return rng.choice((-1.25, -0.5, 0.75), shape)


ORDINARY = scaled(1.0)

STRESS: dict[str, Entries] = {
    "scale 1e-4": scaled(1e-4),
    "scale 1e-2": scaled(1e-2),
    "scale 1": scaled(1.0),
    "scale 1e2": scaled(1e2),
    "scale 1e3": scaled(1e3),
    "integers -3..3": integers,
    "ties": ties,
}


class _Sizes:
    """The sizes drawn so far for one point, by axis word."""

    def __init__(self, rng: np.random.Generator, smallest: dict[str, int]) -> None:
        self._rng, self._smallest = rng, smallest
        self._known: dict[str, tuple[int, ...]] = {}

    def of(self, dims: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(size for word in dims for size in self._word(word))

    def _word(self, word: str) -> tuple[int, ...]:
        if word.isdigit():
            return (int(word),)
        name = word.partition(">=")[0]
        if name not in self._known:
            if name.startswith("*"):
                self._known[name] = WHOLE_SHAPES[self._rng.integers(len(WHOLE_SHAPES))]
            else:
                self._known[name] = (max(int(self._rng.choice(SIZES)), self._smallest.get(name, 1)),)
        return self._known[name]

    def size(self, name: str) -> int:
        return self._word(name)[0]


def point(spec: FunctionSpec, entries: Entries, seed: int) -> Point:
    """A float64 point of ``spec`` with real entries from ``entries``; the same for the same ``seed``."""
    rng = np.random.default_rng((seed, 5, *spec.name.encode()))
    sizes = _Sizes(rng, least(spec))
    return Point({name: _value(domain, rng, sizes, entries) for name, domain in spec.arguments.items()}, "float64", seed, origin="given")


def points(spec: FunctionSpec, entries: Entries, count: int) -> list[Point]:
    """``count`` points of ``spec``, with the seeds 0, 1, 2 ..."""
    return [point(spec, entries, seed) for seed in range(count)]


def _value(domain: Domain, rng: np.random.Generator, sizes: _Sizes, entries: Entries) -> Any:
    shape = sizes.of(domain.dims)
    match domain:
        case Real():
            return _real(domain, rng, shape, entries)
        case Simplex():
            weights = np.exp2(-np.minimum(np.abs(entries(rng, shape)), MOST_HALVINGS))
            return np.minimum(weights / weights.sum(axis=-1, keepdims=True), np.nextafter(1.0, 0.0))
        case OneHot():
            return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
        case Labels():
            return rng.integers(0, sizes.size(domain.below), shape)
        case Sign():
            return rng.choice((-1.0, 1.0), shape)
        case Mask():
            return rng.choice((0.0, 1.0), shape)
        case Gradients():
            return rng.standard_normal((3, *sizes.of(domain.dims[1:])))
        case Option():
            return domain.values[rng.integers(len(domain.values))]
    raise TypeError(f"no points can be drawn from {type(domain).__name__}")


def _real(domain: Real, rng: np.random.Generator, shape: tuple[int, ...], entries: Entries) -> np.ndarray:
    """Entries moved into the domain; onto an interval through the logistic function, lest most land on its ends."""
    if domain.broadcast:
        shape = shape[rng.integers(0, len(shape) + 1) :]
        shape = tuple(1 if rng.integers(2) else n for n in shape)
    values = np.asarray(entries(rng, shape), dtype=np.float64)
    if domain.low is not None and domain.high is not None:
        with np.errstate(over="ignore"):
            values = domain.low + (domain.high - domain.low) / (1 + np.exp(-values))
    return domain.inside(values, np.dtype(np.float64))

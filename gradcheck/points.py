"""A point: everything that fixes one evaluation of one function, drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.domains import Shapes
from gradcheck.findings import Example
from gradcheck.function_spec import FunctionSpec, least

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy


@dataclass(frozen=True)
class Point:
    """Primals by name (floating ones in ``dtype``), and what is derived from ``seed``.

    ``given`` holds explicit cotangents (one float64 array per output); without it they follow
    from the seed. ``origin`` is "generated", "given" or "replayed".
    """

    primals: Mapping[str, Any]
    dtype: str = "float64"
    seed: int = 0
    extras: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "generated"
    given: tuple[np.ndarray, ...] | None = None

    def cotangents(self, shapes: tuple[tuple[int, ...], ...]) -> tuple[np.ndarray, ...]:
        """One cotangent per output: of random sign, with magnitudes in [1/2, 2), exact in ``dtype``.

        Never all ones, nor symmetric: a backward that ignores its cotangent must show.
        """
        if self.given is not None:
            return self.given
        if not shapes:
            return ()
        rng = np.random.default_rng((self.seed, 1))
        return tuple(_spread(rng, shape).astype(self.dtype).astype(np.float64) for shape in shapes)

    def direction(self, argument: str) -> np.ndarray:
        """The direction in which ``argument`` moves: of random sign, magnitudes in [1/2, 2), 52 random bits."""
        rng = np.random.default_rng((self.seed, 2, len(argument), *argument.encode()))
        return _spread(rng, np.shape(self.primals[argument]))

    def example(self, shapes: tuple[tuple[int, ...], ...]) -> Example:
        return Example(dict(self.primals), self.cotangents(shapes), self.dtype, self.seed, dict(self.extras))


def _spread(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    signed = rng.uniform(-2, 2, shape)
    return np.asarray(np.copysign(np.exp2(np.abs(signed) - 1), signed))


def replayed(example: Example) -> Point:
    """The point of a recorded example, bit for bit."""
    return Point(example.arguments, example.dtype, example.seed, example.extras, "replayed", example.cotangents)


def points(spec: FunctionSpec) -> SearchStrategy[Point]:
    """Points of ``spec``: its arguments and what its laws draw, over shapes, regimes and dtypes."""
    from hypothesis import strategies as st

    smallest = least(spec)
    dtypes = tuple(np.dtype(name) for name in spec.dtypes)

    @st.composite
    def draw_point(draw: DrawFn) -> Point:
        shapes = Shapes(draw, smallest)
        dtype = shapes.one_of(dtypes)
        primals = shapes.values
        for name, domain in spec.arguments.items():
            primals[name] = domain.draw(draw, shapes, dtype)
        extras = {name: domain.draw(draw, shapes, dtype) for name, domain in spec.extras.items()}
        return Point(primals, dtype.name, 256 * shapes.below(256) + shapes.below(256), extras)

    return draw_point()

"""The autograd way: torch on the spec's reference, in float64 and, where that leaves a doubt, in balls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import ctx

from gradcheck.accuracy import unavoidable_error
from gradcheck.bounds import FLOAT_TOLERANCE, FORMULA_TOLERANCE
from gradcheck.compare import accurate, near
from gradcheck.errors import SpecError
from gradcheck.exact.array import lift
from gradcheck.exact.errors import NotExact, Undecided
from gradcheck.exact.precision import settle
from gradcheck.points import Point
from gradcheck.subject import Subject
from gradcheck.ways.analytic import Exactly, copies, differentiable, in_float64


class Reference:
    """Torch's value and gradient in float64, and in balls where the floats leave a doubt.

    Raises ``SpecError`` if the reference cannot be evaluated: the fault is the spec's.
    """

    def __init__(self, subject: Subject, point: Point, cotangents: Sequence[np.ndarray]) -> None:
        self.subject = subject
        self.primals = in_float64(point)
        try:
            self.outputs = tuple(np.asarray(o) for o in subject.value(copies(self.primals)))
            self.shapes = tuple(o.shape for o in self.outputs)
            self.gradients = self._gradients(cotangents)
        except Exception as error:
            path, line, _ = subject.location
            raise SpecError(f"{path}:{line}: the torch reference raises {type(error).__name__}: {error}") from error

    def _gradients(self, cotangents: Sequence[np.ndarray]) -> tuple[np.ndarray, ...] | None:
        """One for every differentiable argument, zeros where torch sees no connection; None if the shapes do not fit."""
        if self.shapes != tuple(np.shape(c) for c in cotangents):
            return None
        given = self.subject.gradient(copies(cotangents), copies(self.primals), self.outputs)
        return tuple(np.zeros(self.primals[k].shape) if g is None else g for k, g in zip(differentiable(self.subject), given, strict=True))

    def has_gradient(self, i: int, cotangents: Sequence[Any], claimed: np.ndarray | None) -> bool:
        """Whether ``claimed`` is the exact gradient of the reference, to half the digits of its largest entry.

        Torch's float64 may be too far off to tell.
        """
        if claimed is None:
            return False
        reference = Exactly(self.subject, self.primals, ())
        reference.cotangents = list(cotangents)
        try:
            (theirs,), _ = settle(lambda: (reference.gradient()[i],), lambda gs: all(g is None or accurate(lift(g)) for g in gs))
        except (NotExact, Undecided):
            return False
        if theirs is None:
            return False
        largest = max((float(abs(t).mid()) for t in lift(theirs).ravel()), default=0.0)
        return near(claimed, lift(theirs), FORMULA_TOLERANCE, FLOAT_TOLERANCE * largest)[0] == "equal"

    def moves(self, dtype: str, seed: int, bits: int) -> list[np.ndarray]:
        """How far the reference's own exact outputs move with one rounding of the inputs."""
        reference = Exactly(self.subject, self.primals, ())
        inputs = [self.primals[k].astype(dtype) for k in reference.moving]
        with ctx.workprec(bits):
            here = reference.value()
        return unavoidable_error(reference.value_at, inputs, here, seed, bits)(False)

    def exactly(self) -> list[np.ndarray]:
        """The reference's own exact outputs; raises ``NotExact`` where torch code has no exact form."""
        reference = Exactly(self.subject, self.primals, ())
        values, _ = settle(reference.value, lambda ys: all(accurate(lift(y)) for y in ys))
        return [lift(y) for y in values]

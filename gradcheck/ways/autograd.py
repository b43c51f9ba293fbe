"""The autograd way: torch on the spec's reference, in float64 and, where that leaves a doubt, in balls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcheck.compare import accurate
from gradcheck.errors import SpecError
from gradcheck.exact.array import lift
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
        given = self.subject.gradient(list(cotangents), copies(self.primals), self.outputs)
        return tuple(np.zeros(self.primals[k].shape) if g is None else g for k, g in zip(differentiable(self.subject), given, strict=True))

    def exactly(self) -> list[np.ndarray]:
        """The reference's own exact outputs; raises ``NotExact`` where torch code has no exact form."""
        reference = Exactly(self.subject, self.primals, ())
        values, _ = settle(reference.value, lambda ys: all(accurate(lift(y)) for y in ys))
        return [lift(y) for y in values]

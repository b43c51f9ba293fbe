"""Four checkers behind one question: is the gradient of this spec accepted or accused at this point?"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
import torch

from gradcheck.evidence import gather
from gradcheck.findings import Severity
from gradcheck.function_spec import FunctionSpec
from gradcheck.points import Point
from gradcheck.rules import Match, match, rules
from gradcheck.subject import NumpyPair, Subject, house, reference, tensors_of

COURSE_STEP, COURSE_TOLERANCE, COURSE_FLOOR = 1e-5, 1e-6, 1e-8
"""The course rule: |a - n| / max(1e-8, |a| + |n|) < 1e-6 in every entry, n being a central difference of step 1e-5."""


class Answer(StrEnum):
    ACCEPTED = "accepted"
    ACCUSED = "accused"
    OPEN = "no verdict"


@dataclass(frozen=True)
class Slip:
    """A relative error put into a gradient: ``delta`` in every entry, or in one entry of the first gradient only."""

    delta: float = 0.0
    one_entry: bool = False

    def factor(self, shape: tuple[int, ...], argument: int) -> np.ndarray:
        """What the gradient of the ``argument``-th differentiable argument is multiplied by."""
        if not self.one_entry:
            return np.full(shape, 1 + self.delta)
        factor = np.ones(shape)
        if argument == 0 and factor.size:
            factor.reshape(-1)[factor.size // 2] += self.delta
        return factor


NO_SLIP = Slip()

Checker = Callable[[FunctionSpec, Point, Slip], Answer]


@dataclass(frozen=True)
class Slipped:
    """A subject whose gradients have a slip in them."""

    inner: NumpyPair
    slip: Slip
    convention: str = "numpy pair"
    stored: bool = False

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.inner.arguments

    @property
    def differentiable(self) -> tuple[str, ...]:
        return self.inner.differentiable

    @property
    def location(self) -> tuple[str, int | None, int | None]:
        return self.inner.location

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        return self.inner.functions

    def value(self, primals: Sequence[Any]) -> tuple[Any, ...]:
        return self.inner.value(primals)

    def gradient(self, cotangents: Sequence[Any], primals: Sequence[Any], outputs: Sequence[Any]) -> tuple[Any, ...]:
        found = self.inner.gradient(cotangents, primals, outputs)
        return tuple(g * self.slip.factor(np.shape(g), i) for i, g in enumerate(found))


def matches(spec: FunctionSpec, point: Point, slip: Slip = NO_SLIP) -> tuple[list[Match], bool]:
    """What gradcheck's engine finds in the house form, and whether it left anything undecided."""
    subject: Subject = house(spec) if slip == NO_SLIP else Slipped(house(spec), slip)
    evidence = gather(subject, point, reference(spec))
    agreements = [g.agreement for g in evidence.gradients] + [v.agreement for v in evidence.values]
    return match(evidence), "undecided" in agreements or bool(evidence.why_not_exact)


def accusations(found: Sequence[Match]) -> list[str]:
    """The codes that accuse: every error, and accuracy lost (N104)."""
    return [m.code for m in found if rules()[m.code].severity is Severity.ERROR or m.code == "N104"]


def ours(spec: FunctionSpec, point: Point, slip: Slip = NO_SLIP) -> Answer:
    """Gradcheck's engine at one point, on the house forward and vjp."""
    found, undecided = matches(spec, point, slip)
    if accusations(found):
        return Answer.ACCUSED
    return Answer.OPEN if undecided else Answer.ACCEPTED


def by_torch(fast: bool, spec: FunctionSpec, point: Point, slip: Slip = NO_SLIP) -> Answer:
    """``torch.autograd.gradcheck`` with its defaults, on the torch reference.

    Another exception than its own (a reference that refuses the perturbed input, say), or a
    gradient that is not finite and so not right, is no verdict.
    """
    names = list(point.primals)
    variables = [torch.tensor(point.primals[n], dtype=torch.float64, requires_grad=True) for n in spec.differentiable]
    fixed = {n: torch.tensor(v) if isinstance(v, np.ndarray) else v for n, v in point.primals.items() if n not in spec.differentiable}
    factors = [torch.from_numpy(slip.factor(tuple(v.shape), i)) for i, v in enumerate(variables)]

    def function(*tensors: torch.Tensor) -> Any:
        if slip != NO_SLIP:
            tensors = tuple(_Multiplied.apply(t, f) for t, f in zip(tensors, factors, strict=True))
        given = fixed | dict(zip(spec.differentiable, tensors, strict=True))
        return tensors_of(spec.torch(*(given[n] for n in names)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            outputs = [o for o in function(*variables) if o.requires_grad]
            gradients = torch.autograd.grad(outputs, variables, [torch.ones_like(o) for o in outputs], allow_unused=True)
            if not all(g is None or bool(torch.isfinite(g).all()) for g in gradients):
                return Answer.OPEN
            accepted = torch.autograd.gradcheck(function, tuple(variables), fast_mode=fast, raise_exception=False)
        except (RuntimeError, ValueError, IndexError):
            return Answer.OPEN
    return Answer.ACCEPTED if accepted else Answer.ACCUSED


class _Multiplied(torch.autograd.Function):
    """The identity, whose backward multiplies by ``factor``."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(factor)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (factor,) = ctx.saved_tensors
        return gradient * factor, None


def course_rule(spec: FunctionSpec, point: Point, slip: Slip = NO_SLIP) -> Answer:
    """The usual course rule, on the house forward and vjp, entry by entry."""
    subject = Slipped(house(spec), slip)
    primals = list(point.primals.values())
    with np.errstate(all="ignore"):
        outputs = [np.asarray(o) for o in subject.value(primals)]
        cotangents = point.cotangents(tuple(o.shape for o in outputs))
        gradients = subject.gradient(list(cotangents), primals, outputs)
        for name, analytic in zip(spec.differentiable, gradients, strict=True):
            numeric = _central(subject, primals, list(point.primals).index(name), cotangents)
            size = np.maximum(COURSE_FLOOR, np.abs(analytic) + np.abs(numeric))
            if not np.all(np.abs(analytic - numeric) / size < COURSE_TOLERANCE):
                return Answer.ACCUSED
    return Answer.ACCEPTED


def _central(subject: Slipped, primals: Sequence[Any], k: int, cotangents: Sequence[np.ndarray]) -> np.ndarray:
    x = np.asarray(primals[k])
    numeric = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        sides = []
        for step in (COURSE_STEP, -COURSE_STEP):
            moved = x.copy()
            moved[index] += step
            sides.append(subject.value([*primals[:k], moved, *primals[k + 1 :]]))
        numeric[index] = sum(float(np.sum(c * (np.asarray(a) - np.asarray(b)))) for c, a, b in zip(cotangents, *sides, strict=True))
    return numeric / (2 * COURSE_STEP)


FAST: Checker = partial(by_torch, True)
SLOW: Checker = partial(by_torch, False)

CHECKERS: dict[str, Checker] = {"gradcheck": ours, "torch fast": FAST, "torch slow": SLOW, "course rule": course_rule}

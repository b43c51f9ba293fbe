"""Wrong on purpose: every mutant differs from the house form in one thing, which the run must name.

``expects`` is what must be found, errors and warnings, as a code of ``argument``; ``also`` are
by-products of the same slip, each argued for beside the mutant, that show where a point happens
to lie in their reach. Nothing else may be found.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.catalog import load

SPECS = load().specs

Code = tuple[str, str | None]


@dataclass(frozen=True)
class Mutant:
    """``forward`` or ``backward`` replaces the house form's; ``cause`` is a part of the cause to be named."""

    spec: str
    what: str
    forward: Callable[..., Any] | None
    backward: Callable[..., Any] | None
    expects: frozenset[Code]
    also: frozenset[Code]
    cause: str
    reference: bool

    @property
    def id(self) -> str:
        return f"{self.spec}: {self.what}" + (" (forward)" if self.forward else "")


MUTANTS: list[Mutant] = []


def _codes(expects: str | None, argument: str | None) -> frozenset[Code]:
    return frozenset({(expects, argument)} if expects else ())


def mutant(
    spec: str, what: str, *, expects: str | None, argument: str | None, cause: str = "", also: tuple[Code, ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a vjp of ``spec`` that is wrong in the one way ``what``; ``expects=None`` for a valid variant."""

    def register(vjp: Callable[..., Any]) -> Callable[..., Any]:
        MUTANTS.append(Mutant(spec, what, None, vjp, _codes(expects, argument), frozenset(also), cause, True))
        return vjp

    return register


def value_mutant(
    spec: str, what: str, *, expects: str | None, argument: str | None = None, vjp: Callable[..., Any] | None = None, cause: str = "",
    also: tuple[Code, ...] = (), reference: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # fmt: skip
    """Register a wrong forward; its backward is the house's, or ``vjp``, which is right for the wrong forward.

    ``reference=False`` examines it without torch, so that laws alone can tell.
    """

    def register(forward: Callable[..., Any]) -> Callable[..., Any]:
        MUTANTS.append(Mutant(spec, what, forward, vjp, _codes(expects, argument), frozenset(also), cause, reference))
        return forward

    return register


def changed(spec: str, argument: str, change: Callable[..., Any]) -> Callable[..., Any]:
    """The house vjp, its gradient g of ``argument`` replaced by ``change(g, dy, *arguments, y)``."""
    house, names = SPECS[spec].backward, SPECS[spec].differentiable
    at = names.index(argument)

    @functools.wraps(house)
    def vjp(dy: Any, *rest: Any) -> Any:
        gradients = house(dy, *rest)
        if len(names) == 1:
            return change(gradients, dy, *rest)
        return tuple(change(g, dy, *rest) if i == at else g for i, g in enumerate(gradients))

    return vjp


def off(g: np.ndarray, at: int, digit: int) -> np.ndarray:
    """``g`` with a relative error of 10 ** -``digit`` in the entry number ``at`` alone."""
    made = g.copy()
    if g.size:
        made.reshape(-1)[at] *= 1 + 10.0**-digit
    return made


def table(expects: str, rows: list[tuple[Any, ...]], cause: str = "") -> None:
    """Mutants that all expect one code: rows of spec, argument, what, change[, cause]; see ``changed``."""
    for spec, argument, what, change, *more in rows:
        mutant(spec, what, expects=expects, argument=argument, cause=more[0] if more else cause)(changed(spec, argument, change))

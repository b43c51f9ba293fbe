"""Critical points: the Hessian by three ways, and what its eigenvalues make of a point where the gradient is zero."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from flint import acb_mat, arb, arb_mat, ctx

from gradcheck.accuracy import to_float
from gradcheck.bounds import CONFIRM_BITS, FLOAT_TOLERANCE, FORMULA_TOLERANCE, START_BITS, STEP_BITS, WELL_BELOW
from gradcheck.errors import UsageError
from gradcheck.exact.array import lift
from gradcheck.exact.precision import settle
from gradcheck.subject import NumpyPair, label
from gradcheck.ways.analytic import Exactly
from gradcheck.ways.numeric import moved, smallest_exponent

Kind = Literal["minimum", "maximum", "saddle", "degenerate", "not critical"]


@dataclass(frozen=True)
class CriticalPoint:
    """A point of a scalar function of n variables, and what it is.

    ``gradient`` (n,) and ``eigenvalues`` (n,), in rising order, are the exact ones, rounded. ``hessians`` holds (n, n) arrays by
    way: "numeric", from differences of values in balls, and "analytic" and "autograd" where they were given. ``agree`` tells
    whether these are the numeric one. "degenerate" is a Hessian with an eigenvalue that cannot be told from zero: it does not decide.
    """

    kind: Kind
    value: float
    gradient: np.ndarray
    hessians: Mapping[str, np.ndarray]
    eigenvalues: np.ndarray
    agree: bool


def critical_point(
    function: Callable[[Any], Any],
    x: Any,
    *,
    hessian: Callable[[Any], Any] | None = None,
    torch: Callable[[Any], Any] | None = None,
) -> CriticalPoint:
    """What the point ``x`` of a scalar NumPy ``function`` is: a minimum, a maximum, a saddle, degenerate, or not critical.

    ``x``: (n,). ``hessian(x)`` is a hand-written Hessian (n, n), ``torch`` the function over tensors; each adds its way.
    A point counts as critical if one lies within a rounding of it: if Newton's step is no longer than the spacing of
    floats there. Raises ``UsageError`` for an x that is no vector or a function that is not scalar, ``NotExact``
    for code that cannot be run in balls. Source: Nocedal and Wright, Numerical Optimization (2006), theorems 2.2 to 2.4.
    """
    try:
        at = np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"critical_point(): x={x!r} is no vector of numbers: {error}") from error
    if at.ndim != 1 or not at.size or not np.isfinite(at).all():
        raise UsageError(f"critical_point(): x has the shape {at.shape}; give finite numbers, one for every variable")
    subject = NumpyPair(label(function, "function"), function, None, ("x",), ("x",))
    exactly = Exactly(subject, [at], ())
    exponent = smallest_exponent([at])
    found, bits = settle(lambda: _derivatives(exactly, at.size, exponent), _sure, START_BITS - 2 * exponent)
    hessians = {"numeric": to_float(found.hessian)}
    agree = True
    if hessian is not None:
        given = lift(Exactly(NumpyPair("hessian", hessian, None, ("x",), ("x",)), [at], ()).value()[0])
        hessians["analytic"] = to_float(given)
        agree = given.shape == found.hessian.shape and _near(given, found.hessian)
    if torch is not None:
        hessians["autograd"] = _autograd(torch, at)
        agree = agree and _close(hessians["autograd"], hessians["numeric"])
    with ctx.workprec(bits):
        values = _eigenvalues(found.hessian)
    kind = _kind(values) if _critical(found, hessians["numeric"], at) else "not critical"
    return CriticalPoint(
        kind, float(found.value.mid()), to_float(found.gradient), hessians, to_float(np.array(values, dtype=object)), agree
    )


@dataclass(frozen=True)
class _Derivatives:
    """Of a scalar function at a point, as balls that hold the truncation error: the value, (n,) and (n, n)."""

    value: arb
    gradient: np.ndarray
    hessian: np.ndarray


def _derivatives(exactly: Exactly, n: int, exponent: int) -> _Derivatives:
    value = lift(exactly.value()[0])
    if value.size != 1:
        raise UsageError(f"critical_point(): the function returned the shape {value.shape}; only a scalar one has critical points")
    far, near = (_differences(exactly, n, exponent - STEP_BITS - closer) for closer in (0, CONFIRM_BITS))
    gradient, hessian = (_widened(a, b) for a, b in zip(far, near, strict=True))
    return _Derivatives(value.item(), gradient, hessian)


_widened = np.frompyfunc(lambda far, near: near + arb(0, abs(near - far).upper()), 2, 1)
"""The slope at the smaller step, with its change as a bound on what is still to come."""


def _differences(exactly: Exactly, n: int, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Central differences of first and second order, with a step of 2^shift."""
    step, inverse = arb(2) ** shift, arb(2) ** -shift
    here = _scalar(exactly.value())

    @functools.cache
    def at(*ends: tuple[int, int]) -> arb:
        direction = np.full(n, arb(0), dtype=object)
        for i, sign in ends:
            direction[i] += sign
        return _scalar(exactly.at(moved(exactly.primals, {0: direction}, step)))

    gradient, hessian = np.empty(n, dtype=object), np.empty((n, n), dtype=object)
    for i in range(n):
        gradient[i] = (at((i, 1)) - at((i, -1))) * inverse / 2
        hessian[i, i] = (at((i, 1)) - 2 * here + at((i, -1))) * inverse * inverse
    for i, j in itertools.combinations(range(n), 2):
        mixed = at((i, 1), (j, 1)) - at((i, 1), (j, -1)) - at((i, -1), (j, 1)) + at((i, -1), (j, -1))
        hessian[i, j] = hessian[j, i] = mixed * inverse * inverse / 4
    return gradient, hessian


def _scalar(outputs: tuple[Any, ...]) -> arb:
    made: arb = lift(outputs[0]).item()
    return made


def _sure(found: _Derivatives) -> bool:
    """Whether every ball is small beside the largest of its kind."""
    for balls in (found.gradient, found.hessian):
        largest = functools.reduce(arb.max, (abs(b) for b in balls.flat))
        if not largest.is_finite() or any(b.rad() > WELL_BELOW * FORMULA_TOLERANCE * largest for b in balls.flat if not b.contains(0)):
            return False
    return True


def _eigenvalues(hessian: np.ndarray) -> list[arb]:
    """Enclosures, by their middles in rising order; a symmetric matrix has real ones."""
    found = acb_mat(arb_mat(hessian.tolist())).eig(multiple=True)
    return sorted((v.real for v in found), key=lambda v: float(v.mid()))


def _kind(eigenvalues: list[arb]) -> Kind:
    if any(v.contains(0) for v in eigenvalues):
        signs = {v > 0 for v in eigenvalues if not v.contains(0)}
        return "saddle" if len(signs) == 2 else "degenerate"
    signs = {v > 0 for v in eigenvalues}
    return "saddle" if len(signs) == 2 else "minimum" if True in signs else "maximum"


def _critical(found: _Derivatives, hessian: np.ndarray, at: np.ndarray) -> bool:
    """Whether the gradient is zero, or Newton's step to where it is stays within the spacing of floats."""
    if all(g.contains(0) for g in found.gradient):
        return True
    try:
        step = np.linalg.solve(hessian, to_float(found.gradient))
    except np.linalg.LinAlgError:
        return False
    return bool(np.all(np.abs(step) <= np.spacing(np.abs(at))))


def _near(given: np.ndarray, numeric: np.ndarray) -> bool:
    """Whether balls agree, entry by entry, as the terms of a gradient must."""
    largest = functools.reduce(arb.max, (abs(b) for b in numeric.flat))
    return all(abs(a - b) <= FORMULA_TOLERANCE * largest for a, b in zip(given.flat, numeric.flat, strict=True))


def _close(given: np.ndarray, numeric: np.ndarray) -> bool:
    return bool(np.all(np.abs(given - numeric) <= FLOAT_TOLERANCE * np.max(np.abs(numeric))))


def _autograd(function: Callable[[Any], Any], at: np.ndarray) -> np.ndarray:
    import torch

    made: np.ndarray = torch.autograd.functional.hessian(function, torch.tensor(at)).numpy()
    return made

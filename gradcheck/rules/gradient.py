"""G: is the gradient the derivative of the forward?

Every mismatch is explained as far as the evidence goes; G101 is what is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from flint import arb

from gradcheck.bounds import ENTRIES_AGREE, FLOAT_TOLERANCE, FORMULA_TOLERANCE, SHARP
from gradcheck.compare import entry
from gradcheck.entries import positions
from gradcheck.evidence import Evidence, GradientEvidence
from gradcheck.exact.array import lift
from gradcheck.findings import Severity
from gradcheck.rules import Match, rule
from gradcheck.rules.factors import common_factor, digits, names
from gradcheck.rules.region import describe


def _mismatches(evidence: Evidence) -> Iterator[GradientEvidence]:
    """Wrong gradients; not those that are right for the reference where the forward itself is wrong."""
    forward_wrong = any(v.agreement == "different" for v in evidence.values)
    for g in evidence.gradients:
        if g.agreement == "different" and not (forward_wrong and g.like_reference) and not _undefined(g):
            yield g


def _undefined(g: GradientEvidence) -> bool:
    """Every wrong entry is NaN: the matter of N103."""
    if g.wrong is None or g.claimed is None or not g.wrong.any():
        return False
    return not any(g.claimed[tuple(i)].is_finite() for i in np.argwhere(g.wrong))


def _suspect(g: GradientEvidence) -> str:
    if g.like_reference:
        return "the forward: analytic and autograd agree, the numeric derivative of the forward differs"
    if g.like_reference is False and _near_autograd(g):
        return "the backward: numeric and autograd agree"
    return "the backward: it is not the derivative of its own forward"


def _near_autograd(g: GradientEvidence) -> bool:
    if g.autograd is None or g.numeric is None:
        return False
    size = max(abs(g.autograd.value), abs(g.numeric.value))
    return abs(g.autograd.value - g.numeric.value) <= FLOAT_TOLERANCE * size


def _relative(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return None
    size = max(abs(a), abs(b))
    return abs(a - b) / size if size and math.isfinite(size) else (0.0 if a == b else math.inf)


def _measured(g: GradientEvidence) -> dict[str, Any]:
    index = g.worst
    found: dict[str, Any] = {"index": list(index), "kink": g.kink}
    if g.outside is not None:
        numeric, analytic = (float(a.mid()) for a in ((g.outside.lower + g.outside.upper) / 2, g.outside.analytic))
        autograd = None
        found["along_direction"] = True
        found["subgradients"] = [float(g.outside.lower.mid()), float(g.outside.upper.mid())]
    elif g.local is not None and g.claimed is not None and g.claimed.shape == g.shape:
        numeric, analytic = float(g.local.numeric[index].mid()), float(g.claimed[index].mid())
        autograd = float(g.reference[index]) if g.reference is not None and g.reference.shape == g.shape else None
        if g.wrong is not None:
            looked = int(g.local.known.sum())
            found["wrong_entries"] = (
                f"{int(g.wrong.sum())} of {looked}{'' if looked == g.wrong.size else f' looked at, {g.wrong.size} in all'}"
            )
            if g.wrong.any() and g.primal is not None and g.local.known.all():
                found["region"] = describe(g.wrong, g.argument, g.primal)
        if g.local.kink[index]:
            found["subgradients"] = [float(g.local.lower[index].mid()), float(g.local.upper[index].mid())]
    else:
        numeric = g.numeric.value if g.numeric is not None else None  # type: ignore[assignment]
        analytic, autograd = None, g.autograd.value if g.autograd is not None else None
        found["along_direction"] = True
        if g.claimed is not None:
            found["shape"] = list(g.claimed.shape)
    found |= {
        "numeric": numeric,
        "analytic": analytic,
        "autograd": autograd,
        "analytic_error": _relative(analytic, numeric),
        "autograd_error": _relative(autograd, numeric),
    }
    if g.classical is not None:
        found["classical"], found["classical_bound"] = g.classical.value, g.classical.bound
    return found


def _explain(code: str, g: GradientEvidence, message: str, **more: Any) -> Match:
    return Match(
        code,
        g.argument,
        message,
        ("gradient", g.argument),
        suspect=_suspect(g),
        by_forward=g.reference is not None and g.like_reference is not False,
        measured={**_measured(g), **more.pop("measured", {})},
        **more,
    )


def _each(change: Callable[[arb], arb], a: np.ndarray) -> np.ndarray:
    """``change`` of every entry; an array also where ``a`` is 0-d."""
    made = np.empty(a.shape, dtype=object)
    for i in np.ndindex(a.shape):
        made[i] = change(a[i])
    return made


def _divided(ratio: float, v: arb) -> arb:
    return v / ratio


def _tolerance(g: GradientEvidence) -> float:
    return ENTRIES_AGREE * (FORMULA_TOLERANCE if g.numeric is not None and g.numeric.exact else FLOAT_TOLERANCE)


def _fits(a: np.ndarray, g: GradientEvidence) -> bool:
    """Whether ``a`` would be right: every entry between the slopes to the two sides."""
    if g.local is None or a.shape != g.shape:
        return False
    for i in positions(g.local.known):
        v, low, high = (entry(balls, i) for balls in (a, g.local.lower, g.local.upper))
        if not (v.is_finite() and low.is_finite() and high.is_finite()):
            return False
        if (v - high).max(low - v) > _tolerance(g) * (abs(v) + g.local.weight[i]):
            return False
    return True


def _explains(a: np.ndarray, g: GradientEvidence) -> bool:
    """Whether ``a`` would be right where the claimed gradient is not: no explanation may be as wrong as what it explains."""
    return _fits(a, g) and not g.together and not (g.claimed is not None and _fits(g.claimed, g))


def _is_for_ones(a: np.ndarray, g: GradientEvidence) -> bool:
    """Whether ``a`` is the gradient for a cotangent of ones, in every entry that is not at a kink, wrong ones among them."""
    if g.local is None or g.wrong is None or not (g.wrong & ~g.local.kink).any():
        return False
    pairs = [(entry(a, i), entry(g.local.ones, i)) for i in positions(g.local.known & ~g.local.kink)]
    if not all(p.is_finite() and q.is_finite() for p, q in pairs):
        return False
    return not any(abs(p - q) > _tolerance(g) * (abs(p) + abs(q)) for p, q in pairs)


def _at_kinks(g: GradientEvidence) -> bool:
    """Whether every wrong entry is at a kink."""
    return g.wrong is not None and g.local is not None and bool(np.all(g.local.kink[g.wrong]))


def right_gradients(evidence: Evidence) -> dict[str, frozenset[str]]:
    """The arguments whose gradient would have shown an error here and is right, and what stands for a factor of 1."""
    return {
        g.argument: frozenset(names(1.0, evidence))
        for g in evidence.gradients
        if g.agreement == "equal" and not g.kink and g.detects <= SHARP
    }


@rule("G101", "gradient mismatch")
def gradient_mismatch(evidence: Evidence) -> Iterator[Match]:
    """The backward is not the derivative of the forward, in no way that has a name.

    Why: training goes on with a wrong gradient, to worse results. The numeric derivative is a
    central difference in ball arithmetic, exact to some thirty digits, so there is no tolerance to argue about.

    Wrong:
        def tanh_vjp(dy, x, y):
            return dy * (1 - y)

    Right:
        def tanh_vjp(dy, x, y):
            return dy * (1 - y * y)

    Source: Griewank, Walther, Evaluating Derivatives, 2nd edition, chapter 3.
    """
    for g in _mismatches(evidence):
        message = f"the gradient of {g.argument} is not the derivative of the forward"
        yield _explain("G101", g, message, cause="unknown: start from the input that shows it" if g.claimed is not None else "")


@rule("G102", "gradient off by a constant factor")
def gradient_factor(evidence: Evidence) -> Iterator[Match]:
    """The gradient is the right one times a constant: a mean in the forward and a sum in the backward.

    Why: it acts as another learning rate for this parameter alone; with a factor of N it
    changes with the batch size.

    Wrong:
        def mse_vjp(dy, y, t, loss):
            return dy * 2 * (y - t)

    Right:
        def mse_vjp(dy, y, t, loss):
            return dy * 2 * (y - t) / y.size

    Source: torch documentation, argument "reduction" of the losses.
    """
    for g in _mismatches(evidence):
        if g.claimed is None or g.local is None or g.together:
            continue
        smooth = g.local.known & ~g.local.kink
        factor = common_factor(g.claimed[smooth], g.local.numeric[smooth], evidence) if g.claimed.shape == g.shape else None
        if factor is not None and _fits(_each(partial(_divided, factor.ratio), g.claimed), g):
            message = f"the gradient of {g.argument} is {digits(factor.ratio)} times the derivative"
            yield _explain("G102", g, message, signature=factor.names, sure=factor.sure, measured={"factor": factor.ratio})


@rule("G103", "sign of the gradient")
def gradient_sign(evidence: Evidence) -> Iterator[Match]:
    """The gradient has the wrong sign: training climbs.

    Why: a difference written the other way round, or a minus lost from a derivative.

    Wrong:
        def vjp(dy, y, t, loss):
            return dy * (t - y)

    Right:
        def vjp(dy, y, t, loss):
            return dy * (y - t)

    Source: Goodfellow, Bengio, Courville, Deep Learning, section 6.5.
    """
    for g in _mismatches(evidence):
        if g.claimed is not None and _explains(_each(lambda v: -v, g.claimed), g) and not _zero(g.claimed):
            yield _explain(
                "G103", g, f"the gradient of {g.argument} is minus the derivative", cause="a difference or a sign the wrong way round"
            )


def _zero(a: np.ndarray) -> bool:
    return all(v.contains(0) for v in a.ravel())


@rule("G104", "upstream gradient ignored")
def upstream_ignored(evidence: Evidence) -> Iterator[Match]:
    """The backward does not multiply by the cotangent it is given: it assumes 1.

    Why: it is right at the end of a network and wrong anywhere else, also when the loss is
    weighted or averaged further on.

    Wrong:
        def vjp(dy, x, y):
            return np.cos(x)

    Right:
        def vjp(dy, x, y):
            return dy * np.cos(x)

    Source: Griewank, Walther, Evaluating Derivatives, 2nd edition, section 3.2.
    """
    for g in _mismatches(evidence):
        if g.claimed is not None and g.local is not None and _is_for_ones(g.claimed, g):
            message = f"the gradient of {g.argument} is that for an upstream gradient of ones"
            yield _explain("G104", g, message, sure=not _zero(g.claimed), cause="the upstream gradient is not used")


@rule("G105", "gradient transposed")
def gradient_transposed(evidence: Evidence) -> Iterator[Match]:
    """The gradient is the transpose of the derivative.

    Why: with square weights it runs without a complaint.

    Wrong:
        dw = dy.T @ x        # for y = x @ w

    Right:
        dw = x.T @ dy

    Source: Goodfellow, Bengio, Courville, Deep Learning, section 6.5.6.
    """
    for g in _mismatches(evidence):
        if g.claimed is None or g.local is None or g.claimed.ndim != 2 or g.claimed.shape != g.shape[::-1]:
            continue
        if _explains(g.claimed.T, g):
            told = g.claimed.shape != g.shape or not _zero(g.claimed)
            sure = min(g.shape) > 1 and told
            yield _explain(
                "G105", g, f"the gradient of {g.argument} is transposed", sure=sure, cause="two factors of a product in the wrong order"
            )


@rule("G106", "not reduced over a broadcast axis")
def not_reduced(evidence: Evidence) -> Iterator[Match]:
    """The gradient of a broadcast argument keeps the axes over which it must be summed.

    Why: an argument that broadcasts is used once for every entry of the result, and its
    gradient is the sum over all uses.

    Wrong:
        def vjp(dy, x, b, y):        # y = x + b, with b of shape (features,)
            return dy, dy

    Right:
        def vjp(dy, x, b, y):
            return dy, dy.sum(axis=0)

    Source: NumPy documentation, "Broadcasting".
    """
    for g in _mismatches(evidence):
        if g.claimed is None or g.local is None or g.claimed.shape == g.shape:
            continue
        reduced = _sum_to(g.claimed, g.shape)
        if reduced is not None and _fits(reduced, g):
            message = f"the gradient of {g.argument} has shape {g.claimed.shape}; summed to {g.shape} it is right"
            yield _explain(
                "G106", g, message, sure=g.claimed.size > max(reduced.size, 1), cause="the sum over the broadcast axes is missing"
            )


def _sum_to(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """``a`` summed over the axes that broadcasting to it from ``shape`` would have added; None if it could not."""
    if a.ndim < len(shape):
        return None
    extra = a.ndim - len(shape)
    if any(n not in (1, m) for n, m in zip(shape, a.shape[extra:], strict=True)):
        return None
    axes = (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and a.shape[extra + i] != 1))
    return lift(a.sum(axis=axes) if axes else a).reshape(shape)


@rule("G107", "gradient of the wrong shape")
def gradient_shape(evidence: Evidence) -> Iterator[Match]:
    """The gradient has another shape than its argument, or there is another number of gradients.

    Why: an update such as w -= lr * dw then broadcasts, or fails far away.

    Wrong:
        return dy.sum(axis=0, keepdims=True)      # for a bias of shape (features,)

    Right:
        return dy.sum(axis=0)

    Source: NumPy documentation, "Broadcasting".
    """
    failure = evidence.run.failure
    if failure is not None and failure.kind == "count":
        yield Match("G107", None, failure.message, ("gradient", "count"))
    for g in _mismatches(evidence):
        if g.claimed is not None and g.claimed.shape != g.shape:
            yield _explain(
                "G107",
                g,
                f"the gradient of {g.argument} has shape {g.claimed.shape}, the argument {g.shape}",
                cause="an axis too many or too few",
            )


@rule("G109", "not a subgradient at a kink")
def not_a_subgradient(evidence: Evidence) -> Iterator[Match]:
    """At a kink the gradient lies outside the slopes to the two sides.

    Why: any value between the slopes is a valid convention (0, 1/2 or 1 for ReLU at 0); one
    outside is the derivative of nothing.

    Wrong:
        def relu_vjp(dy, x, y):
            return dy * np.where(x > 0, 1, np.where(x == 0, 2, 0))

    Right:
        def relu_vjp(dy, x, y):
            return dy * (x > 0)

    Source: Clarke, Optimization and Nonsmooth Analysis, chapter 2.
    """
    for g in _mismatches(evidence):
        if g.together:
            whose = f"the gradient of {g.argument} is" if len(g.together) == 1 else f"the gradients of {' and '.join(g.together)} are"
            message = f"{whose} in range entry by entry at a kink, but no subgradient as a whole"
            yield _explain("G109", g, message, cause="the case of equality: what ties shares one gradient")
        elif _at_kinks(g):
            message = f"the gradient of {g.argument} lies outside the slopes to the two sides of a kink"
            yield _explain("G109", g, message, cause="the case of equality")


@rule("G111", "eps of forward and backward differ")
def eps_differs(evidence: Evidence) -> Iterator[Match]:
    """The backward is the derivative of the forward with another eps, or without it.

    Why: an eps under a square root or inside a logarithm belongs to the function, and its derivative has it
    too. The difference is of the size of eps over the variance: every usual check passes it, and it decides
    where the variance is small.

    Wrong:
        def vjp(dy, x, y):              # y = (x - mean) / sqrt(var + eps)
            ... / np.sqrt(var)

    Right:
        def vjp(dy, x, y):
            ... / np.sqrt(var + eps)

    Source: Ioffe, Szegedy, Batch Normalization, ICML 2015, section 3.
    """
    for g in _mismatches(evidence):
        if g.variants:
            first = g.variants[0]
            how = "would be right with" if first.part == "backward" else "is the derivative of the forward with"
            where = " of the backward" if first.part == "backward" else ""
            message = f"the gradient of {g.argument} {how} {first.description}{where}"
            names = frozenset(f"{v.part}: {v.description}" for v in g.variants)
            cause = "the eps of the forward is missing or another in the backward"
            yield _explain("G111", g, message, signature=names, cause=cause)


@rule("G112", "zero or missing gradient")
def gradient_missing(evidence: Evidence) -> Iterator[Match]:
    """The backward gives zeros, or None, for an argument that the value depends on.

    Why: the parameter never learns; torch's own gradcheck accepts zeros for a mean over a
    million entries, whose derivatives are below its tolerance.

    Wrong:
        def vjp(dy, x, w, y):
            return dy @ w.T, np.zeros_like(w)

    Right:
        def vjp(dy, x, w, y):
            return dy @ w.T, x.T @ dy

    Source: torch documentation, "Gradcheck mechanics".
    """
    for g in _mismatches(evidence):
        if g.claimed is None:
            yield _explain("G112", g, f"there is no gradient for {g.argument}", cause="the backward returns None for it")
        elif g.claimed.size and all(v == 0 for v in g.claimed.ravel()) and g.claimed.shape == g.shape and not _at_kinks(g):
            yield _explain("G112", g, f"the gradient of {g.argument} is zero", cause="it is never computed, or a mask is empty")


@rule("G113", "second derivative")
def second_derivative(evidence: Evidence) -> Iterator[Match]:
    """The derivative of a gradient, a Hessian-vector product, is wrong: whatever rule of this family tells so, it is reported as G113.

    Why: Newton's method, influence functions, gradient penalties and meta-learning differentiate a backward again. A
    ``torch.autograd.Function`` whose backward saves what it should compute, or leaves autograd, gives a wrong second
    derivative, or zero, without a word. The cause says what the first derivative's rules say of it.

    Wrong:
        def hvp(v, x, g):              # of sum(x^3): the gradient is 3 x^2
            return 3 * x * v

    Right:
        def hvp(v, x, g):
            return 6 * x * v

    Source: Pearlmutter, Fast Exact Multiplication by the Hessian, Neural Computation 6 (1994).
    """
    return iter(())  # see ``shown_as``


@rule("G115", "another convention than the reference at a kink", Severity.NOTE)
def other_convention(evidence: Evidence) -> Iterator[Match]:
    """At a kink the gradient is a valid subgradient, but not the one that torch takes.

    Why: nothing is wrong; two implementations that meet at a kink will differ there.

    Wrong:
        nothing: this is a note

    Right:
        def relu_vjp(dy, x, y):
            return dy * (x > 0)          # torch takes 0 at 0

    Source: torch documentation, "Autograd mechanics", gradients of non-differentiable functions.
    """
    for g in evidence.gradients:
        if g.agreement == "equal" and g.kink and g.like_reference is False and g.reference is not None and np.isfinite(g.reference).all():
            mine = g.analytic.value if g.analytic is not None else None
            measured = {
                "analytic": mine,
                "numeric": g.numeric.value if g.numeric else None,
                "autograd": g.autograd.value if g.autograd else None,
                "along_direction": True,
            }
            yield Match(
                "G115",
                g.argument,
                f"at a kink the gradient of {g.argument} is a valid subgradient, but another one than torch's",
                measured=measured,
            )

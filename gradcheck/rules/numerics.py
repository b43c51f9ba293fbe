"""N: is the arithmetic sound? The float result against its own exact value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.accuracy import Accuracy
from gradcheck.evidence import Evidence
from gradcheck.findings import Severity
from gradcheck.rules import Match, rule


def _accuracies(evidence: Evidence) -> Iterator[tuple[str | None, Accuracy]]:
    """The value's, then the gradients'; what is not finite in the value goes on in the gradients."""
    for accuracy in evidence.forward_accuracy:
        yield None, accuracy
    if _broken(evidence):
        return
    for gradient, accuracies in zip(evidence.gradients, evidence.backward_accuracy, strict=True):
        for accuracy in accuracies:
            yield gradient.argument, accuracy


def _broken(evidence: Evidence) -> bool:
    return any(a.trouble == "not finite" for a in evidence.forward_accuracy)


def _cause(accuracy: Accuracy) -> str:
    """The code for a result that is not finite though the exact one is."""
    if "overflow" in accuracy.flags:
        return "N101"
    if ("divide by zero" in accuracy.flags and np.isinf(accuracy.computed)) or "underflow" in accuracy.flags:
        return "N102"
    return "N103" if np.isnan(accuracy.computed) else "N101"


def _what(argument: str | None) -> str:
    return "the value" if argument is None else f"the gradient of {argument}"


def _measured(accuracy: Accuracy) -> dict[str, Any]:
    return {
        "index": list(accuracy.index), "value": accuracy.computed, "exact": accuracy.exact, "dtype": accuracy.dtype,
        "amplification": accuracy.amplification, "limit": accuracy.limit, "flags": sorted(accuracy.flags),
    }  # fmt: skip


def _not_finite(evidence: Evidence, code: str, how: str) -> Iterator[Match]:
    for argument, accuracy in _accuracies(evidence):
        if accuracy.trouble == "not finite" and _cause(accuracy) == code:
            message = f"{_what(argument)} is {accuracy.computed} in {accuracy.dtype}, {how}; exactly it is {accuracy.exact:.6g}"
            yield Match(code, argument, message, measured=_measured(accuracy))


@rule("N101", "overflow on the way")
def overflow(evidence: Evidence) -> Iterator[Match]:
    """An intermediate result overflows although the final one is an ordinary number.

    Why: exp(x) leaves float16 at 11.09, float32 at 88.72 and float64 at 709.78; inf / inf is NaN,
    and one NaN ends a training run. A result that truly exceeds the dtype is no finding.

    Wrong:
        def softmax(x):
            e = np.exp(x)
            return e / e.sum(axis=-1, keepdims=True)

    Right:
        def softmax(x):
            e = np.exp(x - x.max(axis=-1, keepdims=True))
            return e / e.sum(axis=-1, keepdims=True)

    Source: Blanchard, Higham, Higham, IMA Journal of Numerical Analysis 41 (2021), on softmax and log-sum-exp.
    """
    yield from _not_finite(evidence, "N101", "after an overflow on the way")


@rule("N102", "underflow into a logarithm or a division")
def underflow(evidence: Evidence) -> Iterator[Match]:
    """An intermediate result becomes zero and is then divided by, or its logarithm taken.

    Why: the exact result is an ordinary number; the loss of a confident mistake becomes inf.

    Wrong:
        loss = -np.log(softmax(x)[label])

    Right:
        loss = logsumexp(x) - x[label]

    Source: Blanchard, Higham, Higham, IMA Journal of Numerical Analysis 41 (2021).
    """
    yield from _not_finite(evidence, "N102", "after something became zero on the way")


@rule("N103", "not a number")
def not_a_number(evidence: Evidence) -> Iterator[Match]:
    """The result is NaN though the function has a value there.

    Why: 0 * log(0), 0 / 0 and inf - inf give NaN where the function has a limit or a convention
    (0 log 0 = 0). A NaN spreads to every parameter in one step.

    Wrong:
        def entropy(p):
            return -np.sum(p * np.log(p))

    Right:
        def entropy(p):
            return -np.sum(xlogy(p, p))

    Source: SciPy documentation, scipy.special.xlogy and rel_entr.
    """
    yield from _not_finite(evidence, "N103", "where nothing overflowed")
    for value in evidence.values:
        computed = np.asarray(value.computed)
        if computed.dtype.kind != "f" or _broken(evidence):
            continue
        for index in np.argwhere(np.isnan(computed)):
            i = tuple(int(n) for n in index)
            undefined = value.exact is None or not value.exact[i].is_finite()
            theirs = value.reference[i] if value.reference is not None and value.reference.shape == computed.shape else None
            if undefined and (value.reference is None or (theirs is not None and theirs.is_finite())):
                exact = float(theirs.mid()) if theirs is not None else float("nan")
                message = "the value is NaN" + (f"; the reference has {exact:.6g}" if theirs is not None else " at this input")
                yield Match(
                    "N103", None, message, measured={"index": list(i), "value": float("nan"), "exact": exact, "dtype": computed.dtype.name}
                )
                break
    for gradient in evidence.gradients:
        if gradient.wrong is None or gradient.claimed is None or gradient.computed is None or np.shape(gradient.computed) != gradient.shape:
            continue
        for index in np.argwhere(gradient.wrong):
            i = tuple(int(n) for n in index)
            if not gradient.claimed[i].is_finite() and gradient.local is not None:
                number = float(np.asarray(gradient.computed)[i])
                message = f"the gradient of {gradient.argument} is {number} where the function has slopes"
                yield Match(
                    "N103",
                    gradient.argument,
                    message,
                    measured={
                        "index": list(i),
                        "value": number,
                        "exact": float(gradient.local.numeric[i].mid()),
                        "dtype": evidence.point.dtype,
                    },
                )
                break


@rule("N104", "accuracy lost", Severity.WARNING)
def accuracy_lost(evidence: Evidence) -> Iterator[Match]:
    """The float result is far less accurate than the problem allows: cancellation or absorption.

    Why: the measure is the amplification, the error over the error that no algorithm could avoid
    (the inputs moved by one rounding, the output by one ulp). It is about 1 for a sound evaluation, and above
    30 up to 10^14 for an unstable one; an ill-conditioned problem is not blamed on its algorithm.

    Wrong:
        variance = np.mean(x**2) - np.mean(x) ** 2

    Right:
        variance = np.mean((x - np.mean(x)) ** 2)

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, chapter 1.
    """
    for argument, accuracy in _accuracies(evidence):
        if accuracy.trouble == "inaccurate":
            message = (
                f"{_what(argument)} is {accuracy.computed:.6g} in {accuracy.dtype}, exactly {accuracy.exact:.6g}: "
                f"{accuracy.amplification:.1e} times the unavoidable error (a sound evaluation: at most {accuracy.limit:.0f})"
            )
            yield Match("N104", argument, message, measured=_measured(accuracy))


@rule("N110", "silently changes dtype", Severity.WARNING)
def changes_dtype(evidence: Evidence) -> Iterator[Match]:
    """The result has another floating dtype than the input.

    Why: a float64 constant array turns a float32 network into a float64 one, at half the speed;
    a float16 one turns it into noise.

    Wrong:
        def scale(x):
            return x * np.array([0.5])       # float64

    Right:
        def scale(x):
            return x * 0.5                   # a Python float takes the dtype of x

    Source: NumPy enhancement proposal 50.
    """
    wanted = evidence.point.dtype
    results = [(None, o) for o in evidence.run.outputs] + [(g.argument, g.computed) for g in evidence.gradients if g.computed is not None]
    for argument, result in results:
        if result.dtype.kind == "f" and result.dtype.name != wanted:
            yield Match("N110", argument, f"{_what(argument)} is {result.dtype} for {wanted} input", measured={"dtype": result.dtype.name})

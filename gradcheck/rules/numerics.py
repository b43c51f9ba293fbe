"""N: is the arithmetic sound? The float result against its own exact value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck.accuracy import Accuracy
from gradcheck.compare import entry
from gradcheck.evidence import Evidence, GradientEvidence, ValueEvidence
from gradcheck.findings import Severity
from gradcheck.rules import Match, rule


@dataclass(frozen=True)
class _Broken:
    """A result that is not finite though the function has a value there."""

    argument: str | None
    index: tuple[int, ...]
    number: float
    exact: float
    dtype: str
    flags: frozenset[str]

    @property
    def code(self) -> str:
        """The rule it belongs to, told by the floating-point exceptions on the way."""
        if "overflow" in self.flags:
            return "N101"
        if "underflow" in self.flags or ("divide by zero" in self.flags and np.isinf(self.number)):
            return "N102"
        return "N103" if np.isnan(self.number) else "N101"


def _what(argument: str | None) -> str:
    return "the value" if argument is None else f"the gradient of {argument}"


def _accuracies(evidence: Evidence) -> Iterator[tuple[str | None, Accuracy]]:
    """The value's, then the gradients'; what is not finite in the value goes on in the gradients."""
    yield from ((None, a) for a in evidence.forward_accuracy)
    if not any(a.trouble == "not finite" for a in evidence.forward_accuracy):
        for gradient, found in zip(evidence.gradients, evidence.backward_accuracy, strict=True):
            yield from ((gradient.argument, a) for a in found)


def _broken(evidence: Evidence) -> Iterator[_Broken]:
    for argument, a in _accuracies(evidence):
        if a.trouble == "not finite":
            yield _Broken(argument, a.index, a.computed, a.exact, a.dtype, a.flags)
    forward, backward = (flags - ONLY_IN_FLOATS for flags in evidence.run.flags)
    for value in evidence.values:
        yield from (_Broken(None, *b, value.computed.dtype.name, forward) for b in _undefined_values(value))
    for gradient in evidence.gradients:
        yield from (_Broken(gradient.argument, *b, evidence.point.dtype, forward | backward) for b in _undefined_gradients(gradient))


ONLY_IN_FLOATS = frozenset({"overflow", "underflow"})
"""What exact arithmetic does not know cannot be why a result is undefined in it as well."""


def _digits(number: float, other: float) -> str:
    """``number`` with as many digits as it takes to tell it from ``other``."""
    return next((f"{number:.{n}g}" for n in range(6, 17) if f"{number:.{n}g}" != f"{other:.{n}g}"), repr(number))


def _above(number: float, limit: float) -> str:
    """``number`` with as many digits as it takes to be seen to lie above ``limit`` as it is shown."""
    shown = float(f"{limit:.0f}")
    return next((text for n in range(2, 17) if float(text := f"{number:.{n - 1}e}") > shown), repr(number))


Entry = tuple[tuple[int, ...], float, float]


def _undefined_values(value: ValueEvidence) -> Iterator[Entry]:
    """The first entry without a value even in exact arithmetic, where the reference (if there is one) has one."""
    computed = np.asarray(value.computed)
    if computed.dtype.kind != "f" or (value.reference is not None and value.reference.shape != computed.shape):
        return
    for index in np.argwhere(~np.isfinite(computed)):
        i = tuple(int(n) for n in index)
        if value.exact is not None and (value.exact.shape != computed.shape or entry(value.exact, i).is_finite()):
            continue
        if value.reference is None:
            if np.isnan(computed[i]):
                yield i, float(computed[i]), float("nan")
                return
        elif entry(value.reference, i).is_finite():
            yield i, float(computed[i]), float(entry(value.reference, i).mid())
            return


def _undefined_gradients(g: GradientEvidence) -> Iterator[Entry]:
    """The first entry without a value even in exact arithmetic, where the forward has slopes."""
    if g.wrong is None or g.claimed is None or g.local is None or g.computed is None or g.computed.shape != g.shape:
        return
    for index in np.argwhere(g.wrong):
        i = tuple(int(n) for n in index)
        if not entry(g.claimed, i).is_finite():
            yield i, float(g.computed[i]), float(entry(g.local.numeric, i).mid())
            return


def _matches(evidence: Evidence, code: str, how: str) -> Iterator[Match]:
    for b in _broken(evidence):
        if b.code == code:
            exact = "" if np.isnan(b.exact) else f"; exactly it is {b.exact:.6g}"
            measured = {"index": list(b.index), "value": b.number, "exact": b.exact, "dtype": b.dtype, "flags": sorted(b.flags)}
            yield Match(code, b.argument, f"{_what(b.argument)} is {b.number} in {b.dtype}, {how}{exact}", measured=measured)


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
    yield from _matches(evidence, "N101", "after an overflow on the way")


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
    yield from _matches(evidence, "N102", "after something became zero on the way")


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
    yield from _matches(evidence, "N103", "where nothing overflowed")


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
    for argument, a in _accuracies(evidence):
        if a.trouble == "inaccurate":
            message = (
                f"{_what(argument)} is {_digits(a.computed, a.exact)} in {a.dtype}, exactly {_digits(a.exact, a.computed)}: "
                f"{_above(a.amplification, a.limit)} times the unavoidable error (a sound evaluation: at most {a.limit:.0f})"
            )
            measured = {"index": list(a.index), "value": a.computed, "exact": a.exact, "dtype": a.dtype}
            measured |= {"amplification": a.amplification, "limit": a.limit, "flags": sorted(a.flags)}
            yield Match("N104", argument, message, measured=measured)


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

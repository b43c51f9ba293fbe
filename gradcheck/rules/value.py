"""V: is the value of the forward what the reference says it is?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.evidence import Evidence, ValueEvidence
from gradcheck.rules import Match, rule
from gradcheck.rules.factors import Factor, common_factor, digits

SUSPECT = "the forward: its own exact value and torch's differ"


def _measured(value: ValueEvidence) -> dict[str, Any]:
    assert value.reference is not None
    index = value.index
    mine = float(value.exact[index].mid()) if value.exact is not None else float(np.asarray(value.computed)[index])
    theirs = float(value.reference[index].mid())
    error = (
        abs(mine - theirs) / max(abs(mine), abs(theirs)) if math.isfinite(mine) and math.isfinite(theirs) and (mine or theirs) else math.inf
    )
    return {
        "index": list(index),
        "value": float(np.asarray(value.computed, dtype=np.float64)[index]),
        "exact": mine,
        "reference": theirs,
        "error": error,
        "shape": list(np.shape(value.computed)),
    }


def _different(evidence: Evidence) -> Iterator[ValueEvidence]:
    return (v for v in evidence.values if v.agreement == "different")


@rule("V101", "value mismatch")
def value_mismatch(evidence: Evidence) -> Iterator[Match]:
    """The forward computes another function than the reference.

    Why: a gradient check compares a backward with its own forward, so that a wrong forward with
    a matching backward passes it. Here the exact value of the forward stands against torch's.

    Wrong:
        def softplus(x):
            return np.log(2 + np.exp(x))

    Right:
        def softplus(x):
            return np.logaddexp(0, x)

    Source: the docstring of the spec names the definition.
    """
    for value in _different(evidence):
        yield Match(
            "V101", None, "the value is not that of the reference", ("value", str(value.output)), suspect=SUSPECT, measured=_measured(value)
        )


@rule("V102", "value off by a constant factor")
def value_factor(evidence: Evidence) -> Iterator[Match]:
    """The forward is the reference times a constant: a sum for a mean, another base of the logarithm.

    Why: training still runs, with another learning rate and losses that compare with nothing.

    Wrong:
        def mse(y, t):
            return np.sum((y - t) ** 2)

    Right:
        def mse(y, t):
            return np.mean((y - t) ** 2)

    Source: torch documentation, argument "reduction" of the losses.
    """
    for value in _different(evidence):
        if value.reference is None:
            continue
        mine = value.exact if value.exact is not None else None
        factor = common_factor(mine, value.reference, evidence) if mine is not None else None
        if factor is not None:
            yield _factor_match("V102", None, factor, ("value", str(value.output)), "the value", "the reference", SUSPECT, _measured(value))


def _factor_match(
    code: str, argument: str | None, factor: Factor, group: tuple[str, ...], what: str, of: str, suspect: str, measured: dict[str, Any]
) -> Match:
    return Match(
        code,
        argument,
        f"{what} is {digits(factor.ratio)} times {of}",
        group,
        factor.names,
        factor.sure,
        suspect=suspect,
        measured={**measured, "factor": factor.ratio},
    )


@rule("V103", "law broken")
def law_broken(evidence: Evidence) -> Iterator[Match]:
    """An identity or a bound that the function must keep does not hold.

    Why: laws need no reference and name what is broken: probabilities that do not sum to one, a
    softmax that a shift changes. They are checked in exact arithmetic, so that equal means equal.

    Wrong:
        def softmax(x):
            e = np.exp(x - x.max())
            return e / e.sum()            # over the whole batch

    Right:
        def softmax(x):
            e = np.exp(x - x.max(axis=-1, keepdims=True))
            return e / e.sum(axis=-1, keepdims=True)

    Source: the law stands in the spec, with its title.
    """
    for law in evidence.laws:
        if law.agreement == "different":
            measured = {"law": law.title, "index": list(law.index), "left": law.left, "right": law.right}
            yield Match("V103", None, f'the law "{law.title}" does not hold', ("law", law.title), measured=measured, suspect="the forward")


@rule("V104", "wrong shape or dtype of the value")
def value_shape(evidence: Evidence) -> Iterator[Match]:
    """The output has another shape than the reference's, or none is of a floating dtype.

    Why: a stray axis broadcasts silently in the next operation: (n, 1) - (n,) is an (n, n) array.

    Wrong:
        def logsumexp(x):
            return np.log(np.exp(x).sum(axis=-1, keepdims=True))

    Right:
        def logsumexp(x):
            m = x.max(axis=-1)
            return m + np.log(np.exp(x - m[..., None]).sum(axis=-1))

    Source: NumPy documentation, "Broadcasting".
    """
    outputs, expected = evidence.run.outputs, evidence.expected_shapes
    beside = expected is None and any(o.dtype.kind == "f" for o in outputs)  # such as the indices that a sort gives
    for j, output in enumerate(outputs):
        if output.dtype.kind != "f":
            if beside:
                continue
            yield Match(
                "V104",
                None,
                f"the value has dtype {output.dtype}, not a {'real' if output.dtype.kind == 'c' else 'floating'} one",
                ("shape", str(j)),
                measured={"dtype": str(output.dtype)},
            )
        elif expected is not None and (j >= len(expected) or output.shape != expected[j]):
            wanted = expected[j] if j < len(expected) else "no such output"
            yield Match(
                "V104",
                None,
                f"the value has shape {output.shape}, the reference {wanted}",
                ("shape", str(j)),
                measured={"shape": list(output.shape)},
            )
    if outputs and expected is not None and len(outputs) < len(expected):
        yield Match("V104", None, f"there are {len(outputs)} outputs, the reference has {len(expected)}", ("shape", "count"))

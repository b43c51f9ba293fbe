"""S: does the code leave the world as it was?"""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.evidence import Evidence
from gradcheck.findings import Severity
from gradcheck.rules import Match, rule


@rule("S101", "changes its input")
def changes_input(evidence: Evidence) -> Iterator[Match]:
    """The forward or the backward writes into an array it was given.

    Why: the next layer, or a second look at the same batch, sees other numbers than were stored;
    residual connections and gradient checks break in ways that depend on the order of calls.

    Wrong:
        def relu(x):
            x[x < 0] = 0
            return x

    Right:
        def relu(x):
            return np.maximum(x, 0)

    Source: NumPy documentation, "Copies and views".
    """
    for stage, argument in evidence.run.changed:
        yield Match("S101", argument, f"the {stage} writes into {argument}", measured={"stage": stage})


@rule("S102", "changes the upstream gradient")
def changes_cotangent(evidence: Evidence) -> Iterator[Match]:
    """The backward writes into the upstream gradient it was given.

    Why: where a value is used twice, its gradient reaches two backwards; the first spoils it for
    the second.

    Wrong:
        def vjp(dy, x, y):
            dy[x <= 0] = 0
            return dy

    Right:
        def vjp(dy, x, y):
            return np.where(x > 0, dy, 0)

    Source: torch documentation, "Extending torch.autograd" (never modify the gradient argument in place).
    """
    if evidence.run.changed_cotangent:
        yield Match("S102", None, "the backward writes into the cotangent it was given")


@rule("S104", "not deterministic")
def not_deterministic(evidence: Evidence) -> Iterator[Match]:
    """Two forwards on the same input give different bits.

    Why: a gradient check of a function that changes from call to call compares two different
    functions. Numbers drawn from a generator that can be set back do not count (S105); the time, a
    counter, or a generator that every call seeds anew from the system do.

    Wrong:
        def dropout(x, p):
            return x * (np.random.default_rng().random(x.shape) > p) / (1 - p)

    Right:
        def dropout(x, mask, p):
            return x * mask / (1 - p)

    Source: torch documentation, gradcheck, argument "nondet_tol".
    """
    if evidence.run.differs:
        yield Match("S104", None, "a second forward on the same input gives another value")


@rule("S105", "draws random numbers", Severity.NOTE)
def draws_random_numbers(evidence: Evidence) -> Iterator[Match]:
    """The forward draws from a random generator, and was given the same numbers every time.

    Why: with other numbers it is another function. Every evaluation at a point starts from the states
    that the generators had at first (those of ``random``, ``np.random``, torch and the objects behind the
    code), so that all see one mask; the verdict is about that function. Afterwards the generators are as before.
    Some draws of torch depend on the dtype: the mathematics is judged all the same, the arithmetic is not.

    Wrong:
        def dropout(x, p):
            return x * (np.random.rand(*x.shape) > p) / (1 - p)

    Right:
        def dropout(x, mask, p):
            return x * mask / (1 - p)

    Source: torch documentation, "Reproducibility".
    """
    if evidence.drew and not evidence.run.differs:
        but = "; in exact arithmetic they are others (torch's depend on the dtype), and the arithmetic was not judged"
        yield Match("S105", None, f"the code draws random numbers; every evaluation was given the same ones{but * evidence.drew_others}")

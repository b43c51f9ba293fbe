"""R: does the code run at all?"""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.evidence import Evidence
from gradcheck.rules import Match, rule


@rule("R101", "raises")
def raises(evidence: Evidence) -> Iterator[Match]:
    """The forward or the backward raises an exception on a legal input.

    Why: code that is right for the shape it was tried on often fails for a batch of one, an
    empty array or a 0-d array; in training that is a crash after hours.

    Wrong:
        def forward(x):
            return x / x.sum(axis=1, keepdims=True)   # fails for a 0-d or 1-d x

    Right:
        def forward(x):
            return x / x.sum(axis=-1, keepdims=True)

    Source: NumPy documentation, "Broadcasting" and "Array indexing".
    """
    failure = evidence.run.failure
    if failure is not None and failure.kind == "raises":
        at = f" at line {failure.line}" if failure.line else ""
        yield Match(
            "R101", None, f"the {failure.stage} raises{at}: {failure.message}", measured={"line": failure.line, "stage": failure.stage}
        )


@rule("R104", "returns nothing")
def returns_nothing(evidence: Evidence) -> Iterator[Match]:
    """The forward or the backward returns None.

    Why: a function whose return statement is missing, or inside a loop or an if, gives None;
    the caller fails far from the cause.

    Wrong:
        def forward(x):
            y = np.maximum(x, 0)

    Right:
        def forward(x):
            return np.maximum(x, 0)

    Source: Python language reference, "The return statement".
    """
    failure = evidence.run.failure
    if failure is not None and failure.kind == "nothing":
        yield Match("R104", None, f"{failure.message}; is its return statement missing?", measured={"stage": failure.stage})

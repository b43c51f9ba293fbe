"""The vocabulary of results: findings, verdicts and the report, as plain frozen data.

Everything here can be pickled and written as JSON; nothing here measures or judges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from gradcheck.errors import CheckFailed


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Example:
    """The inputs that show a finding, whole: it replays bit for bit.

    ``arguments`` maps each argument of the function, in order, to a NumPy array or a plain
    option value; ``extras`` holds what a law drew beside them; ``cotangents`` holds one array
    per output, in float64; ``seed`` fixes the direction of the numeric derivative.
    """

    arguments: Mapping[str, Any]
    cotangents: tuple[np.ndarray, ...]
    dtype: str
    seed: int
    extras: Mapping[str, Any] = field(default_factory=dict)

    def digest(self) -> str:
        """Twelve hex digits that name these inputs."""
        h = hashlib.sha256(f"{self.dtype} {self.seed}".encode())
        for name, value in [*self.arguments.items(), *self.extras.items()]:
            h.update(name.encode())
            if isinstance(value, np.ndarray):
                h.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
            else:
                h.update(repr(value).encode())
        for c in self.cotangents:
            h.update(str(c.shape).encode() + np.asarray(c, dtype=np.float64).tobytes())
        return h.hexdigest()[:12]


@dataclass(frozen=True)
class Finding:
    """One defect, with all that a person needs to see it and to reproduce it.

    ``measured`` holds plain numbers, strings and lists. For a gradient finding: ``index`` (of
    the entry shown), ``numeric``, ``analytic``, ``autograd`` (floats, or None where the way was
    not available) and their relative errors ``analytic_error`` and ``autograd_error`` against
    the numeric one. For a value finding: ``index``, ``value``, ``exact``, ``reference``. For a
    numerics finding: ``index``, ``value``, ``exact``, ``amplification``, ``limit``.
    """

    code: str
    rule: str
    severity: Severity
    message: str
    argument: str | None = None
    cause: str = ""
    suspect: str = ""
    line: int | None = None
    example: Example | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)
    reproduce: str = ""
    id: str = ""

    def __repr__(self) -> str:
        return f"<Finding {self.code}{f' {self.argument}' if self.argument else ''}: {self.message}>"

    @property
    def key(self) -> tuple[str, str | None]:
        """What makes two findings of one subject the same defect."""
        return self.code, self.argument


@dataclass(frozen=True)
class Result:
    """What became of one subject: a spec, an exhibit or a submission.

    ``detects`` is the smallest relative error of a gradient that would have been caught.
    ``measurements`` has the keys ``examples`` (points evaluated), ``mathematics`` and
    ``arithmetic`` (each "pass", "fail" or "inconclusive"), ``way`` ("exact" or "float"),
    ``why_not_exact`` (list of str), ``max_error`` (analytic against numeric, relative),
    ``float_errors`` (the median error of "autograd" and "classical" in float64),
    ``amplification`` (largest, by dtype, of "forward" and "backward"), ``kinks`` (points at a
    kink), ``undecided`` (points without a verdict, by reason), ``laws`` (title to verdict),
    ``confidence`` (a sentence), ``expects`` (exhibits: the codes on show) and ``seconds``.
    """

    path: str
    name: str
    line: int | None
    kind: str
    convention: str
    spec: str | None
    verdict: Verdict
    detects: float | None = None
    measurements: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        """Such as ``<Result softmax: fail, G101 x, N101>``: what a failed ``assert`` shows."""
        found = [" ".join(filter(None, f.key)) for f in self.findings]
        way = ["by float differences"] if self.measurements.get("way") == "float" else []
        return f"<Result {self.name}: {', '.join([self.verdict, *found, *way])}>"

    @property
    def passed(self) -> bool:
        return self.verdict is Verdict.PASS

    def __bool__(self) -> bool:
        return self.passed

    def raise_if_failed(self) -> None:
        """Raise ``CheckFailed`` with the report's text unless the verdict is pass."""
        __tracebackhide__ = True
        if not self.passed:
            from gradcheck.report.text import failure_text

            raise CheckFailed(failure_text(self))


@dataclass(frozen=True)
class Report:
    """A whole run. ``environment`` names versions and platform; ``options`` seed and examples."""

    tool: Mapping[str, Any]
    environment: Mapping[str, Any]
    options: Mapping[str, Any]
    subjects: tuple[Result, ...]
    seconds: float = 0.0

    @property
    def findings(self) -> tuple[tuple[Result, Finding], ...]:
        return tuple((s, f) for s in self.subjects for f in s.findings)

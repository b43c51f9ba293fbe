"""Rules: small functions with a code, from evidence to a match or nothing.

A rule's docstring is what ``gradcheck explain CODE`` prints. Its first line says what it is;
then follow why it matters, a wrong and a right sample, and a source.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradcheck.errors import UsageError, did_you_mean
from gradcheck.findings import Severity

if TYPE_CHECKING:
    from gradcheck.evidence import Evidence

FAMILIES = ("robustness", "value", "gradient", "numerics", "side_effects")


@dataclass(frozen=True)
class Match:
    """What a rule saw at one point.

    Matches of one ``group`` are rival explanations of one fact: the one that holds at every
    point of the group is kept, the first in ``ORDER`` if several do. ``signature`` holds what
    must be the same at every point (factors, say); ``sure`` tells that this point alone
    distinguishes the explanation from chance. ``by_forward`` marks a gradient that is right for
    the reference: it follows from a forward that is found wrong, here or at another point.
    """

    code: str
    argument: str | None
    message: str
    group: tuple[str, ...] = ()
    signature: frozenset[str] = frozenset({""})
    sure: bool = True
    cause: str = ""
    suspect: str = ""
    by_forward: bool = False
    measured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str | None]:
        """What makes two matches the same defect of one subject."""
        return self.code, self.argument


@dataclass(frozen=True)
class Rule:
    code: str
    title: str
    severity: Severity
    judge: Callable[[Evidence], Iterable[Match]]

    @property
    def name(self) -> str:
        """The rule's name in words, with dashes."""
        return self.judge.__name__.replace("_", "-")

    @property
    def doc(self) -> str:
        return inspect.getdoc(self.judge) or ""


_rules: dict[str, Rule] = {}


def rule(code: str, title: str, severity: Severity = Severity.ERROR) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a rule; decorates a generator of matches."""

    def register(judge: Callable[..., Any]) -> Callable[..., Any]:
        _rules[code] = Rule(code, title, severity, judge)
        return judge

    return register


@cache
def rules() -> Mapping[str, Rule]:
    """Every rule by code."""
    for family in FAMILIES:
        import_module(f"gradcheck.rules.{family}")
    return dict(sorted(_rules.items()))


def find(code: str) -> Rule:
    """The rule ``code``; raises ``UsageError`` with the nearest codes."""
    known = rules()
    if code.upper() not in known:
        raise UsageError(f"there is no rule {code!r}.{did_you_mean(code.upper(), known)} The codes: {', '.join(known)}.")
    return known[code.upper()]


def codes(words: Iterable[str], where: str) -> tuple[str, ...]:
    """The codes, or prefixes of codes, in ``words`` (each may hold several, with commas between).

    Raises ``UsageError``, which names ``where``, for one that no rule has.
    """
    found = tuple(c.strip().upper() for word in words for c in word.split(",") if c.strip())
    for code in found:
        if not any(known.startswith(code) for known in rules()):
            raise UsageError(f"{where} {code}: no rule has this code.{did_you_mean(code, rules())}")
    return found


ORDER = (
    "R101", "R104", "V104", "V102", "V101", "V103",
    "G112", "G105", "G106", "G107", "G103", "G104", "G111", "G102", "G109", "G101", "G113", "G115",
    "N101", "N102", "N103", "N104", "N110", "S101", "S102", "S104", "S105",
)  # fmt: skip
"""From the most telling explanation to the least, and the order in which findings are shown."""


SECOND_DERIVATIVE = "G113"


def shown_as(code: str, order: int) -> str:
    """The code under which a match is reported: whatever is wrong with a derivative of order 2 is G113, the rest its cause."""
    return SECOND_DERIVATIVE if order == 2 and code[0] == "G" and code != "G115" else code


def rank(code: str) -> int:
    return ORDER.index(code) if code in ORDER else len(ORDER)


def match(evidence: Evidence) -> list[Match]:
    """What every rule sees in ``evidence``."""
    from flint import ctx

    with ctx.workprec(256):
        return [found for entry in rules().values() for found in entry.judge(evidence)]

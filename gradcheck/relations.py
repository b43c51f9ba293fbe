"""What a law says of its two sides: data, judged by rule V103."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Relation:
    """Two arrays of shapes that broadcast, and how they stand to each other in every entry."""

    left: Any
    right: Any
    kind: Literal["equal", "at_most"]


def equal(left: Any, right: Any) -> Relation:
    """``left == right`` in every entry."""
    return Relation(left, right, "equal")


def at_most(left: Any, right: Any) -> Relation:
    """``left <= right`` in every entry."""
    return Relation(left, right, "at_most")

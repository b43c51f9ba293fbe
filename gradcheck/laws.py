"""Laws: identities and bounds of the forward, judged in balls so that equal means equal."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.bounds import FORMULA_TOLERANCE, TIE_BITS
from gradcheck.compare import Agreement, entry, is_null
from gradcheck.exact.array import exact, lift
from gradcheck.exact.errors import NotExact, Undecided
from gradcheck.exact.precision import settle
from gradcheck.exact.standin import Place, places, standing_in
from gradcheck.points import Point
from gradcheck.subject import Subject
from gradcheck.ways.analytic import copies


@dataclass(frozen=True)
class LawEvidence:
    title: str
    agreement: Agreement
    index: tuple[int, ...] = ()
    left: float = math.nan
    right: float = math.nan
    reason: str = ""
    line: int | None = None


def judge_law(subject: Subject, law: Any, point: Point) -> LawEvidence:
    """The law's relations at ``point``, in balls."""

    line, names, where = _read(law.body)
    known = {**point.primals, **point.extras}

    def compute() -> list[Any]:
        given = {n: exact(known[n]) if isinstance(known[n], np.ndarray) and known[n].dtype.kind == "f" else known[n] for n in names}
        with standing_in(where):
            relations = law.body(_Function(subject), **given)
        return list(relations) if isinstance(relations, (tuple, list)) else [relations]

    def sure(relations: list[Any]) -> bool:
        return all(_judge(r)[0] != "undecided" for r in relations)

    try:
        relations, bits = settle(compute, sure)
    except (NotExact, Undecided) as error:
        return LawEvidence(law.title, "undecided", reason=str(error), line=line)
    except Exception as error:
        return LawEvidence(law.title, "undecided", reason=f"it raises {type(error).__name__}: {error}", line=line)
    undecided = False
    for relation in relations:
        agreement, index, left, right = _judge(relation, bits)
        if agreement == "different":
            return LawEvidence(law.title, agreement, index, left, right, line=line)
        undecided |= agreement == "undecided"
    return LawEvidence(law.title, "undecided" if undecided else "equal", line=line)


@functools.lru_cache(maxsize=1024)
def _read(body: Callable[..., Any]) -> tuple[int, list[str], list[Place]]:
    """The line of a law, what it takes beside the function, and where stand-ins go: the same at every point."""
    return inspect.unwrap(body).__code__.co_firstlineno, list(inspect.signature(body).parameters)[1:], places((body,))


class _Function:
    """The subject as a law sees it."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    def __call__(self, *primals: Any) -> Any:
        outputs = self._subject.value(copies(primals))
        return outputs[0] if len(outputs) == 1 else outputs

    def vjp(self, cotangent: Any, *primals: Any) -> Any:
        cotangents = cotangent if isinstance(cotangent, tuple) else (cotangent,)
        outputs = self._subject.value(copies(primals))
        gradients = self._subject.gradient(copies(cotangents), copies(primals), outputs)
        return gradients[0] if len(gradients) == 1 else gradients


def _judge(relation: Any, bits: int = 0) -> tuple[Agreement, tuple[int, ...], float, float]:
    left, right = np.broadcast_arrays(lift(relation.left), lift(relation.right))
    undecided = False
    for i in np.ndindex(left.shape):
        a, b = entry(left, i), entry(right, i)
        excess = abs(a - b) if relation.kind == "equal" else a - b
        allowance = FORMULA_TOLERANCE * (abs(a) + abs(b))
        if excess > allowance:
            return "different", i, float(a.mid()), float(b.mid())
        if not excess <= allowance and not (excess.is_finite() and excess.contains(0) and (bits >= TIE_BITS or is_null(excess))):
            undecided = True
    return ("undecided" if undecided else "equal"), (), math.nan, math.nan

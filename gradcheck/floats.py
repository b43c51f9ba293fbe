"""The float way: what can be said where the code cannot be run in balls.

Every number carries its bound, as a ball: a classical difference that Richardson extrapolation
bounds, and a gradient known to half its digits. What these leave open is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flint import arb

from gradcheck.accuracy import to_float
from gradcheck.bounds import DWARFED, EVENED, FIRST_STEP, FLOAT_TOLERANCE, LARGE_ERROR, MOST_LOOKS, MOST_WRONG
from gradcheck.compare import Agreement, near
from gradcheck.entries import compare, furthest, positions
from gradcheck.exact.array import lift
from gradcheck.exact.balls import ZERO
from gradcheck.gradients import GradientEvidence, like
from gradcheck.localise import NOTHING, Local
from gradcheck.points import Point
from gradcheck.search import looks
from gradcheck.subgradients import NO_SLOPE
from gradcheck.subject import NumpyPair, Subject
from gradcheck.values import ValueEvidence
from gradcheck.ways import Slope
from gradcheck.ways.analytic import FloatRun, copies, differentiable, in_float64
from gradcheck.ways.autograd import Reference
from gradcheck.ways.differences import Difference, Line, each, scaled, slope

UNLIKE = "some entries differ from the outputs at their own places, by less than floats can tell in the sum of all outputs"
FLOAT_KINKS = "several kinks meet at this point, and floats do not tell its subgradients"


def float_values(floats: FloatRun, torch_side: Reference | None) -> tuple[ValueEvidence, ...]:
    """The outputs in the dtype of the point against the reference, to half the digits of the dtype."""
    return tuple(_value(j, c, torch_side) for j, c in enumerate(floats.outputs))


def float_gradients(subject: Subject, point: Point, floats: FloatRun, torch_side: Reference | None) -> tuple[GradientEvidence, ...]:
    """The gradients in float64 against float differences; undecided where float64 does not run."""
    primals = in_float64(point)
    with np.errstate(all="ignore"):
        try:
            here = subject.value(copies(primals))
            claimed = subject.gradient([c.copy() for c in floats.cotangents], copies(primals), copies(here))
        except Exception as error:
            reason = f"in float64 it raises {type(error).__name__}: {error}"
            return tuple(_open(subject.arguments[k], np.shape(primals[k]), reason) for k in differentiable(subject))
        wanted = enumerate(differentiable(subject))
        found = [_gradient_or_open(subject, point, floats, torch_side, primals, here, k, i, claimed[i]) for i, k in wanted]
        return _across(subject, primals, here, floats.cotangents, found)


def _across(
    subject: Subject, primals: Sequence[Any], here: Sequence[Any], cotangents: Sequence[np.ndarray], found: Sequence[GradientEvidence]
) -> tuple[GradientEvidence, ...]:
    """``found``, the first open if the gradients of several kinked arguments do not go together where all move alike."""
    kinked = {subject.arguments.index(g.argument): g for g in found if g.kink and g.agreement == "equal" and g.claimed is not None}
    if len(kinked) < 2:
        return tuple(found)
    line = Line(subject.value, primals, {k: np.ones(g.shape) for k, g in kinked.items()}, here)
    along = slope(line, cotangents)
    total = sum(float(np.sum(to_float(g.claimed))) for g in kinked.values() if g.claimed is not None)
    below, above = _ends(along, 1.0)
    tolerance = FLOAT_TOLERANCE * sum(float(np.sum(np.abs(to_float(g.claimed)))) for g in kinked.values() if g.claimed is not None)
    if below.min(above) - tolerance <= total <= below.max(above) + tolerance:
        return tuple(found)
    first = next(iter(kinked.values()))
    return tuple(replace(g, agreement="undecided", reason=FLOAT_KINKS) if g is first else g for g in found)


def _gradient_or_open(
    subject: Subject, point: Point, floats: FloatRun, torch_side: Reference | None, primals: Sequence[Any], here: Sequence[Any], k: int,
    i: int, given: Any,
) -> GradientEvidence:  # fmt: skip
    try:
        return _gradient(subject, point, floats, torch_side, primals, here, k, i, given)
    except Exception as error:
        return _open(subject.arguments[k], np.shape(primals[k]), f"near the point it raises {type(error).__name__}: {error}")


def _open(argument: str, shape: tuple[int, ...], reason: str) -> GradientEvidence:
    return GradientEvidence(argument, shape, None, None, None, None, None, "undecided", reason)


def _value(j: int, computed: np.ndarray, torch_side: Reference | None) -> ValueEvidence:
    if torch_side is None or j >= len(torch_side.shapes) or torch_side.shapes[j] != computed.shape or computed.dtype.kind != "f":
        return ValueEvidence(j, computed, None, None, None)
    reference = torch_side.outputs[j]
    eps = math.sqrt(float(np.finfo(computed.dtype).eps))
    largest = float(np.max(np.abs(reference), initial=0.0))
    agreement, at = near(lift(computed), lift(reference), eps, eps * largest if np.isfinite(largest) else 0.0)
    return ValueEvidence(j, computed, None, lift(reference), agreement, at)


def _gradient(
    subject: Subject, point: Point, floats: FloatRun, torch_side: Reference | None, primals: Sequence[Any], here: Sequence[Any], k: int,
    i: int, given: Any,
) -> GradientEvidence:  # fmt: skip
    name, shape = subject.arguments[k], np.shape(primals[k])
    gradient = None if given is None else np.asarray(given, dtype=np.float64)
    fits = gradient is not None and gradient.shape == shape
    fitting = gradient if fits else None
    direction = _direction(point.direction(name), fitting) * _evened(scaled(primals[k]), fitting)
    lines = _Lines(subject, primals, here, floats.cotangents, k)
    terms = gradient * direction if gradient is not None and fits else np.zeros(shape)
    whole = lines.along(terms, direction, fits)
    found, total, size = whole.found, whole.total, whole.size
    numeric = Slope("numeric", found.value, found.bound, exact=False)
    reference = torch_side.gradients[i] if torch_side is not None and torch_side.gradients is not None else None
    known = reference is not None and reference.shape == shape
    evidence = GradientEvidence(
        name,
        shape,
        None,
        numeric,
        Slope("analytic", total, FLOAT_TOLERANCE * size, exact=False) if fits else None,
        Slope("autograd", float(np.sum(reference * direction)), math.inf, exact=False) if reference is not None and known else None,
        numeric,
        "undecided",
        kink=found.kink,
        primal=primals[k],
        computed=floats.gradients[i],
        reference=reference,
        like_reference=like(gradient, reference) if gradient is not None and reference is not None and fits and known else None,
    )
    if gradient is None or not fits:
        return _without_shape(replace(evidence, claimed=None if gradient is None else lift(gradient)), lines)
    if whole.outcome == "equal" and (terms != 0).all():
        return replace(evidence, agreement="equal", error=whole.error, detects=whole.detects)
    apart = lines.apart(terms, direction)
    if apart is not None and not apart.wrong.any() and apart.detects <= LARGE_ERROR:
        return replace(evidence, agreement="equal", error=whole.error, detects=apart.detects, kink=apart.kink)
    suspected = apart is not None and 0 < np.mean(apart.wrong) <= 0.5
    if not suspected and (whole.outcome == "equal" or (whole.outcome == "undecided" and terms.size > MOST_LOOKS)):
        masks = [terms == 0] if whole.outcome == "equal" else _groups(terms)
        groups = [whole] if whole.outcome == "equal" else []
        groups += [lines.along(np.where(m, terms, 0.0), np.where(m, direction, 0.0)) for m in masks]
        if all(g.outcome == "equal" for g in groups):
            seen = max((g.detects for g in groups if g.smallest), default=math.inf)
            return replace(evidence, agreement="equal", error=whole.error, detects=seen)
    if terms.size > MOST_LOOKS and whole.outcome == "undecided" and not suspected:
        return replace(evidence, reason=whole.reason)
    single = _entry_by_entry(evidence, lift(gradient), lines, direction, _ends(found, 1.0), apart)
    return replace(single, agreement="undecided", reason=UNLIKE) if suspected and single.agreement == "equal" else single


@dataclass(frozen=True)
class _Apart:
    """Every entry against the output at its own place: those that are ``wrong`` if the function works entry by entry."""

    wrong: np.ndarray
    detects: float
    kink: bool


@dataclass(frozen=True)
class _Along:
    """The claimed slope ``total`` along a direction, the sum of the magnitudes of its terms, the ``smallest``, and the slope found."""

    total: float
    size: float
    smallest: float
    found: Difference

    @property
    def scale(self) -> float:
        return self.size + abs(self.found.value)

    @property
    def difference(self) -> float:
        return abs(self.total - self.found.value)

    @property
    def error(self) -> float:
        return self.difference / self.scale if self.scale else 0.0

    @property
    def detects(self) -> float:
        """The smallest relative error of an entry that would not have passed."""
        shows = (FLOAT_TOLERANCE * self.scale + 2 * self.found.bound) / self.smallest if self.smallest else math.inf
        return min(shows, LARGE_ERROR) if self.rules_out <= LARGE_ERROR else shows

    @property
    def rules_out(self) -> float:
        """The smallest relative error that no entry can have, unless errors cancel: a larger one would have made the difference larger."""
        return (self.difference + 2 * self.found.bound) / self.smallest if self.smallest else math.inf

    @property
    def outcome(self) -> Agreement:
        """Equal if they agree, and an error of LARGE_ERROR in any entry would have shown; zeros, if no slope shows."""
        bound, tolerance = self.found.bound, FLOAT_TOLERANCE * self.scale
        if not math.isfinite(self.difference):
            return "undecided"
        if self.difference > tolerance + 2 * bound and (math.isfinite(bound) or self.found.kink):
            return "different"
        sure = self.rules_out <= LARGE_ERROR if self.smallest else math.isfinite(bound)
        return "equal" if self.difference <= tolerance + bound and sure else "undecided"

    @property
    def reason(self) -> str:
        if not math.isfinite(self.difference):
            return "not finite in float64"
        if self.found.bound > FLOAT_TOLERANCE * self.scale:
            return f"the error bound of the float difference, {self.found.bound:.1e}, is too wide"
        return "too many entries: the smallest could be wrong without being seen beside the others"


def _groups(terms: np.ndarray) -> Iterator[np.ndarray]:
    """Masks of the terms in groups of like size, each at least DWARFED of the largest of its group, and of those that are zero."""
    sizes = np.abs(terms)
    left = sizes > 0
    while left.any():
        group = left & (sizes >= DWARFED * np.max(sizes[left]))
        yield group
        left &= ~group
    if (sizes == 0).any():
        yield sizes == 0


def _without_shape(evidence: GradientEvidence, lines: _Lines) -> GradientEvidence:
    local, _ = lines.localise(np.zeros(evidence.shape))
    if evidence.claimed is None and not any(abs(n) > 0 for n in local.numeric[local.known]):
        return replace(evidence, reason="no gradient was returned")
    return replace(evidence, local=local, agreement="different", reason="shape")


def _entry_by_entry(
    evidence: GradientEvidence, claimed: np.ndarray, lines: _Lines, direction: np.ndarray, sides: tuple[arb, arb], apart: _Apart | None
) -> GradientEvidence:
    """Entries against their ranges; of any meaning only if the slopes to the ``sides`` along ``direction`` are those of the entries."""
    some = lines.looks(claimed, direction, apart)
    local, sums = lines.localise(direction, some)
    found = compare(claimed, local, tolerance=FLOAT_TOLERANCE)
    evidence = replace(evidence, claimed=claimed, local=local, wrong=found.wrong, kink=bool(local.kink.any()))
    if some is None and any(a > b or a < b for a, b in zip(sums, sides, strict=True)):
        return replace(evidence, wrong=None, reason=FLOAT_KINKS)
    if found.wrong.any():
        index = furthest(claimed, local.numeric, found.wrong)
        shown = lines.slope(_unit(claimed.shape, index))
        classical = Slope("numeric", shown.value, shown.bound, exact=False)
        return replace(evidence, classical=classical, agreement="different", worst=index, error=found.error)
    if found.unknown or some is not None:
        return replace(evidence, reason=found.unknown if found.unknown == NO_SLOPE else "the float differences are not sure enough")
    return replace(evidence, agreement="equal", detects=found.seen)


def _direction(random: np.ndarray, claimed: np.ndarray | None) -> np.ndarray:
    """``random`` magnitudes with the signs of the claimed gradient: its terms do not cancel, so that none hides another's error."""
    return random if claimed is None else np.where(claimed != 0, np.copysign(random, claimed), random)


def _evened(scales: np.ndarray, claimed: np.ndarray | None) -> np.ndarray:
    """``scales`` that make terms of like size: entries with large slopes move less, such with small ones more, within EVENED."""
    sizes = np.zeros(0) if claimed is None else np.abs(claimed * scales)
    some = np.isfinite(sizes) & (sizes > 0)
    if not some.any():
        return scales
    target = min(float(np.median(sizes[some])), float(np.min(sizes[some])) * EVENED[1])
    return np.asarray(scales * np.clip(target / np.where(some, sizes, target), *EVENED))


def _unit(shape: tuple[int, ...], index: tuple[int, ...]) -> np.ndarray:
    unit = np.zeros(shape)
    unit[index] = 1.0
    return unit


class _Lines:
    """Lines through a point, along which one primal moves."""

    def __init__(self, subject: Subject, primals: Sequence[Any], here: Sequence[Any], cotangents: Sequence[np.ndarray], k: int) -> None:
        self.subject, self.primals, self.here, self.cotangents, self.k = subject, primals, here, cotangents, k

    def line(self, direction: np.ndarray) -> Line:
        return Line(self.subject.value, self.primals, {self.k: direction}, self.here)

    def slope(self, direction: np.ndarray, wanted: float | None = None, expected: float | None = None) -> Difference:
        """In float64; where that leaves the bound too wide, in longdouble if the platform and the code have it."""
        found = slope(self.line(direction), self.cotangents, wanted, expected)
        if found.kink or found.bound <= (wanted or 0.0):
            return found
        longer = self._longer(direction)
        return found if longer is None else min(found, slope(longer, self.cotangents, wanted), key=lambda d: d.bound)

    def _longer(self, direction: np.ndarray) -> Line | None:
        primals = [p.astype(np.longdouble) if isinstance(p, np.ndarray) and p.dtype.kind == "f" else p for p in self.primals]
        if not isinstance(self.subject, NumpyPair) or np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps:
            return None
        try:
            here = self.subject.value(copies(primals))
        except Exception:  # a library that has only float64
            return None
        return Line(self.subject.value, primals, {self.k: direction}, here) if all(o.dtype == np.longdouble for o in here) else None

    def apart(self, terms: np.ndarray, direction: np.ndarray) -> _Apart | None:
        """The terms against the outputs at their places; None if there is no output at the place of each."""
        if len(self.here) != 1 or np.shape(self.here[0]) != terms.shape or not terms.size:
            return None
        found = each(self.line(direction), self.cotangents[0], FIRST_STEP)
        sizes = np.abs(terms)
        tolerance = FLOAT_TOLERANCE * (sizes + np.maximum(np.abs(found.low), np.abs(found.high)))
        wrong = found.outside(terms) > tolerance + found.bound  # not where nothing is known
        some = sizes > 0
        seen = (tolerance + 2 * found.bound)[some] / sizes[some]
        return _Apart(wrong, float(np.max(seen, initial=0.0)) or math.inf, bool(np.any(found.low < found.high)))

    def looks(self, claimed: np.ndarray, direction: np.ndarray, apart: _Apart | None) -> list[int] | None:
        """The flat positions to look at: all (None), or, of many, some that are wrong and a sample of the others.

        Those that differ from the outputs at their own places, if few do; else bisection finds them.
        """
        terms = to_float(claimed).reshape(-1) * direction.reshape(-1)
        rng = np.random.default_rng(claimed.size)
        if apart is not None and claimed.size > MOST_LOOKS and 0 < np.mean(apart.wrong) <= 0.5:
            return sorted({*map(int, np.flatnonzero(apart.wrong)[:MOST_WRONG]), *(looks(None, claimed.size, rng) or [])})

        def differs(part: range) -> bool:
            mask = np.zeros(claimed.size)
            mask[part.start : part.stop] = 1
            total, size = float(np.sum(terms * mask)), float(np.sum(np.abs(terms) * mask))
            found = self.slope(direction * mask.reshape(direction.shape), FLOAT_TOLERANCE * size if size else None, total)
            return abs(total - found.value) > FLOAT_TOLERANCE * (size + abs(found.value)) + found.bound

        return looks(differs, claimed.size, rng)

    def along(self, terms: np.ndarray, direction: np.ndarray, expected: bool = True) -> _Along:
        """The slope along ``direction`` beside the claimed one, of ``terms``; sought without it unless it is ``expected``."""
        total, sizes = float(np.sum(terms)), np.abs(terms)
        size = float(np.sum(sizes))
        smallest = float(np.min(sizes[sizes > 0], initial=math.inf)) if size else 0.0
        wanted = max(FLOAT_TOLERANCE * size, LARGE_ERROR * smallest / 4)  # a quarter, for the bound counts twice
        return _Along(total, size, smallest, self.slope(direction, wanted or None, total if expected else None))

    def _alone(self, unit: np.ndarray, size: float, own: float) -> tuple[Difference, Difference, float]:
        """The slopes of one entry, for the cotangents and for ones, and how far it moves for t = 1: by less if that leaves the domain."""
        line = self.line(unit * size)
        found = slope(line, self.cotangents)
        if 0 < own < size and not found.kink and not found.bound <= LARGE_ERROR * abs(found.value):
            nearer, size = self._alone(unit, own, own)[0], own
            if nearer.bound < math.inf:
                return nearer, slope(self.line(unit * own), [np.ones_like(c) for c in self.cotangents]), own
        return found, slope(line, [np.ones_like(c) for c in self.cotangents]), size

    def localise(self, direction: np.ndarray, some: list[int] | None = None) -> tuple[Local, tuple[arb, arb]]:
        """Slopes along every coordinate, as balls that hold the error bound, and the sides that they make along ``direction``."""
        shape = np.shape(self.primals[self.k])
        sizes = scaled(self.primals[self.k])
        columns = [np.full(shape, NOTHING, dtype=object) for _ in range(5)] + [np.zeros(shape, dtype=bool)]
        known = np.zeros(shape, dtype=bool)
        known.reshape(-1)[some if some is not None else slice(None)] = True
        ahead = behind = ZERO
        for i in positions(known):
            found, ones, size = self._alone(_unit(shape, i), float(sizes[i]), abs(float(self.primals[self.k][i])))
            for column, value in zip(columns, _entry(found, ones, size), strict=True):
                column[i] = value
            below, above = _ends(found, size)
            first, second = (above, below) if direction[i] > 0 else (below, above)
            ahead, behind = ahead + first * float(direction[i]), behind + second * float(direction[i])
        numeric, lower, upper, weight, one, kinked = columns
        return Local(numeric, lower, upper, weight, one, kinked.astype(bool), known), (behind, ahead)


def _entry(found: Difference, ones: Difference, size: float) -> tuple[Any, ...]:
    numeric, (below, above) = _ball(found.value / size, (found.truncation + found.noise) / size), _ends(found, size)
    if not found.kink:
        return numeric, numeric, numeric, abs(numeric), arb(ones.value / size), False
    return numeric, below.min(above), below.max(above), abs(below).max(abs(above)), arb(ones.value / size), True


def _ends(found: Difference, size: float) -> tuple[arb, arb]:
    """The slopes to the two sides, for an entry that moves by ``size`` for t = 1."""
    error = (found.truncation + found.noise) / size
    below, above = (found.below, found.above) if found.kink else (found.value, found.value)
    return _ball(below / size, error), _ball(above / size, error)


def _ball(value: float, error: float) -> arb:
    return arb(value, error) if math.isfinite(value) and math.isfinite(error) else arb(0, float("inf"))

"""What is measured of a gradient: the three ways along one direction, and every entry if they differ."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from flint import arb, ctx

from gradcheck.accuracy import Accuracy, judge, to_float, unavoidable_error
from gradcheck.along import Along, Moved, agree, all_agree, both_null, hidden_part, is_sure, vanishes
from gradcheck.bounds import (
    CONFIRM_BITS,
    CONSTANT_ROUNDINGS,
    EXACT_AGREEMENT,
    FEW_SHAKES,
    FLOAT_TOLERANCE,
    FORMULA_TOLERANCE,
    MEMBER,
    MOST_LOOKS,
    ROUGHLY,
    SEEN,
    SHAKES,
    START_BITS,
    TRIALS,
    WELL_BELOW,
    half_the_digits,
)
from gradcheck.compare import Agreement, is_lost, is_null
from gradcheck.entries import Entries, compare, detects, furthest, positions
from gradcheck.exact.array import ExactArray, flat, lift
from gradcheck.exact.balls import ZERO
from gradcheck.exact.precision import settle
from gradcheck.localise import Local, localise, slopes
from gradcheck.points import Point
from gradcheck.search import looks
from gradcheck.structure import Blocks, blocks, dense
from gradcheck.subgradients import SEVERAL_KINKS, Meeting, Part, Place, Range, meet
from gradcheck.variants import Variation, variations
from gradcheck.ways import Slope
from gradcheck.ways.analytic import Exactly, FloatRun, in_float64
from gradcheck.ways.autograd import Reference
from gradcheck.ways.differences import classical
from gradcheck.ways.numeric import central, contract, finite_only, sides, smallest_exponent, suspicious

NOT_ALL = "too many entries to look at each, and those that were looked at do not explain the difference"


@dataclass(frozen=True)
class GradientEvidence:
    """The gradient of one argument.

    ``numeric``, ``analytic`` and ``autograd`` are slopes along the point's direction, of the
    exact ways where they could be had; ``classical`` is the numeric slope in float64, along the
    direction or, if entries are wrong, for the entry ``worst``, which is furthest off.
    ``claimed`` is the gradient as the backward gave it (object array, its own shape; None if it
    gave none), ``reference`` autograd's, in float64, ``primal`` the argument itself. ``wrong`` marks entries outside the
    subgradients; ``excused`` is what rounded constants explain of each, ``bits`` the precision of
    ``local``. ``together`` names the arguments whose gradients, each in range at a kink, are no
    subgradient together: ``outside`` has the slope. ``scale`` is the sum of the magnitudes of the terms of the analytic slope, to which
    errors are relative. ``variants`` are the changed constants of the code with which the gradient
    would be right. ``detects`` is the smallest relative error that would have shown.
    """

    argument: str
    shape: tuple[int, ...]
    claimed: np.ndarray | None
    numeric: Slope | None
    analytic: Slope | None
    autograd: Slope | None
    classical: Slope | None
    agreement: Agreement
    reason: str = ""
    worst: tuple[int, ...] = ()
    kink: bool = False
    local: Local | None = None
    primal: np.ndarray | None = None
    wrong: np.ndarray | None = None
    excused: np.ndarray | None = None
    bits: int = 0
    together: tuple[str, ...] = ()
    outside: Range | None = None
    computed: np.ndarray | None = None
    reference: np.ndarray | None = None
    like_reference: bool | None = None
    variants: tuple[Variation, ...] = ()
    scale: float = 0.0
    error: float = 0.0
    detects: float = math.inf


Measured = tuple[GradientEvidence, tuple[Accuracy, ...]]
"""The evidence of one argument, and the accuracy of its float gradient."""


def measure_gradients(
    exactly: Exactly, point: Point, floats: FloatRun, torch_side: Reference | None, parts: frozenset[str], forward_wrong: bool
) -> list[Measured]:
    """The evidence of every differentiable argument: of all at once where they agree so, else of each by itself.

    ``parts`` is as for ``measure_gradient``.
    """
    wanted = range(len(exactly.subject.differentiable))
    excused = "excuses" in parts and exactly.rounded
    known = all_agree(exactly, point) if len(wanted) > 1 and not excused else None
    return [measure_gradient(exactly, point, floats, torch_side, i, parts, forward_wrong, known) for i in wanted]


def measure_gradient(
    exactly: Exactly,
    point: Point,
    floats: FloatRun,
    torch_side: Reference | None,
    i: int,
    parts: frozenset[str],
    forward_wrong: bool,
    known: tuple[Along, int] | None = None,
) -> Measured:
    """The evidence of the ``i``-th differentiable argument.

    ``parts`` may name "arithmetic", "classical" and "excuses"; without them, only the mathematics is looked at. ``known`` is
    what is known along the directions of all arguments, if they agree.
    """
    at = _Argument(exactly, point, i)
    if known is None:
        found, bits = settle(at.along_direction, is_sure, start=START_BITS - at.exponent)
    else:
        bits = known[1]
        with ctx.workprec(bits):
            found = at.part_of(known[0])
    computed, claimed = floats.gradients[i], found.claimed
    sound = _accuracy(at, computed, claimed, floats, bits) if "arithmetic" in parts else ()
    reference = torch_side.gradients[i] if torch_side is not None and torch_side.gradients is not None else None
    if reference is not None and reference.shape != at.shape:
        reference = None
    evidence = GradientEvidence(
        at.name,
        at.shape,
        claimed,
        **_three(at, found, reference),
        classical=at.classical(at.direction) if "classical" in parts else None,
        agreement="undecided",
        kink=known is None and suspicious(found.sides) and at.still_differs(found.sides, bits),
        primal=point.primals[at.name],
        computed=computed,
        reference=reference,
        like_reference=like(claimed, reference) if reference is not None and claimed is not None and claimed.shape == at.shape else None,
    )
    meets = evidence.kink and len(exactly.subject.differentiable) > 1  # see ``across``
    hidden = hidden_part(at, found, bits) if known is None and agree(found, bits) and not meets else None
    if hidden is not None:
        at, found, bits = hidden
        evidence = replace(evidence, **_three(at, found, reference), classical=at.classical(at.direction) if "classical" in parts else None)
    if known is not None and not agree(known[0], bits):  # all of them vanish
        return replace(evidence, agreement="equal"), sound
    if known is not None or (agree(found, bits) and not meets):
        seen = found if known is None else known[0]  # what was measured
        error = float((seen.difference / seen.scale).mid()) if seen.scale > 0 else 0.0
        if both_null(found, bits):
            return replace(evidence, agreement="equal", error=error), sound  # where nothing shows, no error would have
        hides = _hides(at, found, bits) if "excuses" in parts and exactly.rounded else ZERO
        return replace(evidence, agreement="equal", error=error, detects=_seen(found, hides)), sound
    if not evidence.kink and vanishes(at, found, bits):
        return replace(evidence, agreement="equal"), sound
    if torch_side is not None and _doubtful(evidence, forward_wrong):
        evidence = replace(evidence, like_reference=torch_side.has_gradient(i, exactly.cotangents, claimed))
    return _localised(at, evidence, found, bits), sound


def _three(at: _Argument, found: Along, reference: np.ndarray | None) -> dict[str, Any]:
    """The three ways along the direction, as they stand in the evidence."""
    return {
        "numeric": _slope("numeric", found.numeric),
        "analytic": None if found.analytic is None else _slope("analytic", found.analytic),
        "autograd": None if reference is None else _contracted(reference, at.direction),
        "scale": float(found.scale.mid()) if found.scale.is_finite() else math.inf,
    }


def _accuracy(at: _Argument, computed: np.ndarray | None, claimed: np.ndarray | None, floats: FloatRun, bits: int) -> tuple[Accuracy, ...]:
    """The float gradient against its own exact value; nothing where they cannot be compared."""
    exactly, point = at.exactly, at.point
    if computed is None or claimed is None or not computed.shape == claimed.shape == at.shape or computed.dtype.kind != "f":
        return ()
    inputs = [list(point.primals.values())[k] for k in exactly.moving]
    inputs += [np.asarray(c).astype(point.dtype) for c in floats.cotangents]

    def moved(other: Exactly) -> Callable[[], tuple[Any, ...]]:
        return lambda: (other.gradient()[at.i],)

    options = [[moved(other) for other in both] for both in exactly.options_moved]
    unavoidable = unavoidable_error(lambda xs: (exactly.gradients_at(xs)[at.i],), inputs, (claimed,), point.seed, bits, options)
    flags = floats.flags[0] | floats.flags[1]
    return judge((computed,), (ExactArray(claimed),), np.dtype(point.dtype), exactly.backward_steps, flags, unavoidable)


def _hides(at: _Argument, found: Along, bits: int) -> arb:
    """How far rounded constants may move the two ways apart along the direction, if each has constants of its own."""
    with ctx.workprec(bits):
        other = at.shaken(1).along_direction()
    if other.analytic is None or found.analytic is None:
        return ZERO
    return CONSTANT_ROUNDINGS * (abs(other.analytic - found.analytic) + abs(other.numeric - found.numeric))


def _seen(found: Along, hides: arb) -> float:
    """The smallest relative error that would have shown in every entry that is not zero, beside what rounded constants hide."""
    sizes = [a for a in found.sizes if not a.contains(0)]
    if not sizes:
        return math.inf
    return max(SEEN, float((hides / functools.reduce(arb.min, sizes)).mid())) if hides > 0 else SEEN


def _doubtful(evidence: GradientEvidence, forward_wrong: bool) -> bool:
    """Whether a gradient unlike torch's float64 may be torch's exact one all the same."""
    if evidence.like_reference is not False or evidence.claimed is None or evidence.reference is None:
        return False
    return forward_wrong or bool(like(evidence.claimed, evidence.reference, ROUGHLY))


class _Argument(Moved):
    """One differentiable argument."""

    def __init__(self, exactly: Exactly, point: Point, i: int) -> None:
        super().__init__(exactly, point, [i])
        self.i, (self.k,) = i, self.directions
        self.name = exactly.subject.arguments[self.k]
        self.shape: tuple[int, ...] = exactly.primals[self.k].shape
        self.whole = self.direction

    @property
    def direction(self) -> np.ndarray:
        return self.directions[self.k]

    def part_of(self, known: Along) -> Along:
        """What ``known``, along the directions of all arguments, which agree, tells of this one."""
        along = self.compared(ZERO, known.sides)
        assert along.analytic is not None, "arguments agree by their gradients"
        numeric = along.analytic + arb(0, (EXACT_AGREEMENT * known.scale).upper())
        return replace(along, numeric=numeric, scale=along.scale + abs(along.analytic))

    def classical(self, direction: np.ndarray) -> Slope | None:
        """The float slope, for comparison; None where the subject does not run in float64."""
        if not direction.size:
            return None
        cotangents = [to_float(lift(c)) for c in self.exactly.cotangents]
        try:
            return classical(self.exactly.subject.value, in_float64(self.point), self.k, direction, cotangents)
        except Exception:
            return None

    def looks(self, found: Along) -> list[int] | None:
        """The positions within the blocks at which to look: all (None), or wrong ones and a sample of the others."""
        fits = found.claimed is not None and found.claimed.shape == self.shape
        differs = (lambda part: self.differs(found, part)) if fits else None
        return looks(differs, self.blocks.entries.shape[1], np.random.default_rng((self.point.seed, 6)))

    def differs(self, found: Along, part: range) -> bool:
        """Whether the gradient is wrong along the direction with the entries in ``part`` of every block alone."""
        assert found.claimed is not None, "only a gradient can differ"
        direction = np.full(self.shape, ZERO, dtype=object)
        for i in self.blocks.entries[:, part.start : part.stop].flat:
            direction.flat[i] = arb(float(self.direction.flat[i]))
        exactly = self.exactly
        both = sides(exactly.at, exactly.primals, exactly.value(), {self.k: direction}, self.exponent)
        terms = [g * u for g, u in zip(found.claimed.flat, direction.flat, strict=True) if u != 0]
        numeric = central(exactly.cotangents, both)
        scale = sum((abs(t) for t in terms), abs(numeric))
        return not bool(abs(sum(terms, -numeric)) <= FORMULA_TOLERANCE * scale)

    def localised(self, some: list[int] | None) -> Local:
        exactly = self.exactly
        return localise(exactly.at, exactly.primals, exactly.value(), exactly.cotangents, self.k, self.exponent, self.blocks, some)

    @cached_property
    def blocks(self) -> Blocks:
        """Which entries act on which outputs."""
        exactly = self.exactly

        def along(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            both = sides(exactly.at, exactly.primals, exactly.value(), {self.k: direction}, self.exponent - CONFIRM_BITS)
            return flat(both.plus), flat(both.minus)

        shapes = [lift(y).shape for y in exactly.value()]
        return blocks(along, lift(self.whole), shapes, np.random.default_rng((self.point.seed, 5)))

    def as_dense(self) -> _Argument:
        """The argument, every entry of which is taken to act on every output."""
        other = copy.copy(self)
        other.blocks = dense(int(np.prod(self.shape)), sum(lift(y).size for y in self.exactly.value()))
        return other

    def stands_alone(self, claimed: np.ndarray, local: Local, wrong: np.ndarray, excused: np.ndarray, bits: int) -> bool:
        """Whether the ``wrong`` entry that is furthest off has the same slope, and is wrong, when all outputs are looked at.

        Blocks are told by a share of the slopes (KINK_GAP): what acts by less across them is not seen, and may be all of an entry.
        """
        exactly, index = self.exactly, furthest(claimed, local.numeric, wrong)
        place = [int(np.ravel_multi_index(index, self.shape))]
        with ctx.workprec(bits):
            alone = localise(exactly.at, exactly.primals, exactly.value(), exactly.cotangents, self.k, self.exponent, None, place)
            return bool(compare(claimed, alone, excused).wrong[index]) and alone.numeric[index].overlaps(local.numeric[index])

    def linear(self, local: Local, mask: np.ndarray, bits: int) -> np.ndarray:
        """``mask`` if its entries add to the slope along any direction what they add to none: no kink touches them; else nothing."""
        if not mask.any():
            return mask
        exactly, rng = self.exactly, np.random.default_rng((self.point.seed, 8))

        def ahead(direction: np.ndarray) -> arb:
            plus, _, _ = slopes(exactly.at, exactly.primals, exactly.value(), {self.k: lift(direction)}, self.exponent)
            return contract([ExactArray(flat(exactly.cotangents))], [plus])

        with ctx.workprec(bits):
            for _ in range(TRIALS):
                others, own = (rng.uniform(0.5, 2, self.shape) * rng.choice((-1.0, 1.0), self.shape) for _ in range(2))
                added = [local.numeric[i] * own[i] for i in positions(mask)]
                both, without = ahead(others + np.where(mask, own, 0.0)), ahead(others)
                size = sum((abs(a) for a in added), abs(both) + abs(without))
                if not abs(both - without - sum(added, ZERO)) <= FORMULA_TOLERANCE * size:
                    return np.zeros(self.shape, dtype=bool)
        return mask

    def shaken(self, n: int) -> _Argument:
        """The argument, with the rounded constants of the code moved by one rounding, in the ``n``-th way."""
        other = copy.copy(self)
        other.exactly = self.exactly.shaken(n)
        return other

    def explained_by(self, variation: Variation, found: Along) -> bool:
        """Whether the backward is right for the forward with a changed constant."""
        exactly, claimed = self.exactly, found.claimed
        if found.analytic is None or claimed is None:
            return False
        try:
            primals = variation.primals(exactly.primals)
            if variation.part != "forward":
                with variation.active():
                    claimed = lift(exactly.gradient_at(primals, exactly.cotangents, exactly.at(primals))[self.i])
            known = np.array([c.is_finite() for c in claimed.ravel()], dtype=bool).reshape(self.shape)
            direction = lift(np.where(known, self.direction, 0.0))
            with variation.active() if variation.part != "backward" else nullcontext():
                both = sides(exactly.at, primals, exactly.at(primals), {self.k: direction}, self.exponent)
                numeric = central(exactly.cotangents, finite_only(both))
        except (Exception, SystemExit):
            return False
        terms = [p * q for p, q in zip(claimed[known], direction[known], strict=True)]
        scale = sum((abs(t) for t in terms), abs(numeric))
        told = variation.part == "forward" or not numeric.contains(0)
        if not told or not any(slope.is_finite() for slope in flat(both.plus)):
            return False
        both_zero = is_null(numeric) and all(t == 0 for t in terms)
        return both_zero or bool(abs(sum(terms, arb(0)) - numeric) <= FORMULA_TOLERANCE * scale)


def _local_is_sure(local: Local) -> bool:
    return all(
        is_lost(n) or n.rad() <= WELL_BELOW * FORMULA_TOLERANCE * w or is_null(n)
        for n, w in zip(local.numeric[local.known], local.weight[local.known], strict=True)
    )


def _localised(at: _Argument, evidence: GradientEvidence, found: Along, bits: int) -> GradientEvidence:
    """A mismatch, looked at entry by entry before anybody is accused."""
    finer = bits + 4 * CONFIRM_BITS
    blocks, finer = settle(lambda: at.blocks, lambda _: True, start=finer)
    if blocks.entries.shape[1] > MOST_LOOKS and found.difference <= FORMULA_TOLERANCE * found.scale:
        return replace(evidence, agreement="equal", detects=_detects_along(at, found))
    some, finer = settle(lambda: at.looks(found), lambda _: True, start=finer)
    local, bits = settle(lambda: at.localised(some), _local_is_sure, start=finer)
    evidence = replace(evidence, local=local, bits=bits, kink=bool(local.kink.any()) or evidence.kink)
    if found.claimed is None:
        moves = any(n.is_finite() and not n.contains(0) for n in local.numeric.ravel())
        return replace(evidence, agreement="different" if moves else "equal", reason="no gradient was returned")
    if found.claimed.shape != at.shape:
        return replace(evidence, agreement="different", reason="shape")
    excused, verdict = _judged(at, found.claimed, local, bits, some)
    if verdict.wrong.any() and len(blocks.entries) > 1 and not at.stands_alone(found.claimed, local, verdict.wrong, excused, bits):
        return _localised(at.as_dense(), evidence, found, bits)
    wrong, worst = verdict.wrong, verdict.error
    evidence = replace(evidence, excused=excused)
    nothing = wrong & np.array([not g.is_finite() for g in found.claimed.flat], dtype=bool).reshape(at.shape)
    apart = nothing if nothing.any() else wrong & at.linear(local, wrong & ~local.kink, bits) if evidence.kink else nothing
    if apart.any():  # whatever the kinks of the other entries may allow
        wrong, meeting = apart, Meeting()
    else:
        meeting = _meet(at.exactly, at.point, [evidence]) if evidence.kink and local.known.all() else _bent(at, found, local, bits)
    if meeting.reason:
        return replace(evidence, agreement="undecided", reason=meeting.reason)
    if meeting.mixture:
        return replace(evidence, agreement="equal", wrong=np.zeros(at.shape, dtype=bool), detects=_detects_among(found.claimed, local))
    if wrong.any():
        with ctx.workprec(bits):
            variants = tuple(v for v in variations(at.exactly.subject, at.exactly.primals) if at.explained_by(v, found))
        index = furthest(found.claimed, local.numeric, wrong)
        unit = np.zeros(at.shape)
        unit[index] = 1.0
        shown = at.classical(unit)
        return replace(evidence, agreement="different", wrong=wrong, worst=index, error=worst, variants=variants, classical=shown)
    if verdict.unknown or some is not None:
        return replace(evidence, agreement="undecided", reason=verdict.unknown or NOT_ALL)
    if meeting.outside is not None:
        return _apart(evidence, meeting.outside, (at.name,))
    alone = detects(found.claimed, local, excused)
    seen = max(alone, _detects_among(found.claimed, local)) if meeting.searched else alone
    return replace(evidence, agreement="equal", wrong=wrong, error=worst, detects=seen)


def _detects_among(claimed: np.ndarray, local: Local) -> float:
    """The smallest relative error of an entry that would have shown among gradients nearby, known to MEMBER of the largest."""
    sizes = [abs(float(g.mid())) for g in claimed.flat if g != 0]
    largest = max((float(w.mid()) for w in local.weight[local.known] if w.is_finite()), default=0.0)
    return MEMBER * max(largest, *sizes) / min(sizes) if sizes else math.inf


def _apart(evidence: GradientEvidence, outside: Range, arguments: tuple[str, ...]) -> GradientEvidence:
    """Entries that are each in range at a kink, and no subgradient together (with those of other arguments)."""
    assert evidence.local is not None, "a kink was localised"
    kinks = np.argwhere(evidence.local.kink)
    worst = tuple(int(n) for n in kinks[0]) if len(kinks) else (0,) * len(evidence.shape)
    return replace(evidence, agreement="different", wrong=evidence.local.kink, worst=worst, together=arguments, outside=outside)


def _detects_along(at: _Argument, found: Along) -> float:
    """The smallest relative error of any entry that would have shown in the sum along the direction."""
    assert found.claimed is not None, "only a gradient has terms"
    terms = [size for size in found.sizes if size != 0]
    return float((FORMULA_TOLERANCE * found.scale / functools.reduce(arb.min, terms)).mid()) if terms else math.inf


def _bent(at: _Argument, found: Along, local: Local, bits: int) -> Meeting:
    """Whether the slope along the direction is not the sum of those along the coordinates: that of no smooth function.

    The median of three equal numbers has no slope along any coordinate, and no kink along any direction.
    """
    with ctx.workprec(bits):
        terms = [n * u for n, u in zip(local.numeric.flat, lift(at.direction).flat, strict=True)]
        coordinates, size = sum(terms, arb(0)), sum((abs(t) for t in terms), arb(0))

        def apart(slope: arb) -> bool:
            return bool(abs(coordinates - slope) > FORMULA_TOLERANCE * (size + abs(slope)))

        return Meeting(reason=SEVERAL_KINKS if apart(found.numeric) and apart(at.limit()) else "")


def _meet(exactly: Exactly, point: Point, found: Sequence[GradientEvidence]) -> Meeting:
    parts, names = [], exactly.subject.arguments
    for g in found:
        if g.claimed is not None and g.local is not None and g.excused is not None:
            parts.append(Part(names.index(g.argument), g.claimed, g.local, g.excused))
    with ctx.workprec(max(g.bits for g in found)):
        exponent = smallest_exponent(list(point.primals.values()))
        return meet(Place(exactly.at, exactly.primals, exactly.value(), exactly.cotangents, exponent), parts, point.seed)


def across(exactly: Exactly, point: Point, found: Sequence[GradientEvidence]) -> tuple[GradientEvidence, ...]:
    """``found``, the gradients of all arguments, with those that are no subgradient together marked at the first.

    At a tie of ``x`` with ``y`` in ``abs(x - y)`` each may have any slope up to 1, but both must be opposite.
    """
    kinked = [g for g in found if g.kink and g.agreement == "equal" and g.local is not None and g.local.known.all()]
    outside = _meet(exactly, point, kinked).outside if len(kinked) > 1 else None
    if outside is None:
        return tuple(found)
    first = _apart(kinked[0], outside, tuple(g.argument for g in kinked))
    return tuple(first if g is kinked[0] else g for g in found)


def _judged(at: _Argument, claimed: np.ndarray, local: Local, bits: int, some: list[int] | None) -> tuple[np.ndarray, Entries]:
    """Which entries are wrong, with what rounded constants excuse: that by which the difference moves when they do."""
    excused = np.full(at.shape, ZERO, dtype=object)
    verdict = compare(claimed, local, excused)
    if not verdict.wrong.any() or not at.exactly.rounded:
        return excused, verdict
    most = half_the_digits(at.exactly.rounded)
    with ctx.workprec(bits):
        for n in range(1, (FEW_SHAKES if compare(claimed, local, excused, most).wrong.any() else SHAKES) + 1):
            other = at.shaken(n)
            moved = lift(other.exactly.gradient()[at.i]) - other.localised(some).numeric
            excused = _larger(excused, abs(moved - (claimed - local.numeric)))
        excused = lift(np.asarray(excused * CONSTANT_ROUNDINGS, dtype=object))
    return excused, compare(claimed, local, excused, most=most)


_larger = np.frompyfunc(arb.max, 2, 1)


def _contracted(reference: np.ndarray, direction: np.ndarray) -> Slope:
    with np.errstate(all="ignore"):
        return Slope("autograd", float(np.sum(reference * direction)), math.inf, False)


def _slope(way: str, ball: arb) -> Slope:
    return Slope(way, float(ball.mid()) if ball.is_finite() else math.nan, float(ball.rad()) if ball.is_finite() else math.inf, True)


def like(claimed: np.ndarray, reference: np.ndarray, share: float = FLOAT_TOLERANCE) -> bool | None:
    """Whether a gradient (balls or floats) is autograd's but for rounding, to ``share`` of its largest entry (half the digits).

    None where autograd's is not finite, or too small to have digits.
    """
    mine = to_float(claimed) if claimed.dtype == object else claimed
    largest = np.max(np.abs(reference), initial=np.max(np.abs(mine), initial=0.0))
    if not np.isfinite(reference).all() or largest < np.finfo(np.float64).smallest_normal:
        return None
    return bool(np.all(np.abs(mine - reference) <= share * largest))

"""Evidence: all that was measured of a subject at a point. Rules read it; they measure nothing."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from flint import arb, ctx

from gradcheck import accuracy
from gradcheck.accuracy import Accuracy, to_float
from gradcheck.bounds import CONFIRM_BITS, CONSTANT_ROUNDINGS, FLOAT_TOLERANCE, FORMULA_TOLERANCE
from gradcheck.exact.array import ExactArray, lift
from gradcheck.exact.errors import NotExact, Undecided
from gradcheck.exact.precision import START_BITS, TIE_BITS, settle
from gradcheck.localise import Local, localise
from gradcheck.points import Point
from gradcheck.subject import Subject
from gradcheck.variants import Variation, variations
from gradcheck.ways import Slope
from gradcheck.ways.analytic import Exactly, FloatRun, run
from gradcheck.ways.numeric import Sides, central, classical, kinks, sides, smallest_exponent, suspicious

Agreement = Literal["equal", "different", "undecided"]


@dataclass(frozen=True)
class ValueEvidence:
    """One output of the forward.

    ``exact`` and ``reference`` are object arrays of balls (the latter float64 of torch, or
    torch's own exact value where the two seemed to differ); ``agreement`` is theirs.
    """

    output: int
    computed: np.ndarray
    exact: np.ndarray | None
    reference: np.ndarray | None
    agreement: Agreement | None
    index: tuple[int, ...] = ()


@dataclass(frozen=True)
class GradientEvidence:
    """The gradient of one argument.

    ``numeric``, ``analytic`` and ``autograd`` are slopes along the point's direction, of the
    exact ways where they could be had; ``classical`` is the numeric slope in float64, along the
    direction or, if entries are wrong, for the entry ``worst``, which is furthest off.
    ``claimed`` is the gradient as the backward gave it (object array, its own shape; None if it
    gave none), ``reference`` autograd's, in float64. ``wrong`` marks entries outside the
    subgradients. ``variants`` names changed constants of the forward for which the backward
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
    wrong: np.ndarray | None = None
    computed: np.ndarray | None = None
    reference: np.ndarray | None = None
    like_reference: bool | None = None
    variants: tuple[str, ...] = ()
    error: float = 0.0
    detects: float = math.inf


@dataclass(frozen=True)
class LawEvidence:
    title: str
    agreement: Agreement
    index: tuple[int, ...] = ()
    left: float = math.nan
    right: float = math.nan
    reason: str = ""
    line: int | None = None


@dataclass(frozen=True)
class Evidence:
    """``why_not_exact`` is empty if everything was done in balls."""

    subject: Subject
    point: Point
    run: FloatRun
    values: tuple[ValueEvidence, ...] = ()
    gradients: tuple[GradientEvidence, ...] = ()
    laws: tuple[LawEvidence, ...] = ()
    forward_accuracy: tuple[Accuracy, ...] = ()
    backward_accuracy: tuple[tuple[Accuracy, ...], ...] = ()
    expected_shapes: tuple[tuple[int, ...], ...] | None = None
    why_not_exact: str = ""


ALL = frozenset({"reference", "gradients", "laws"})


def gather(
    subject: Subject, point: Point, reference: Subject | None = None, laws: Sequence[Any] = (), parts: frozenset[str] = ALL
) -> Evidence:
    """Run the three ways at ``point``. Never raises for what the subject does.

    ``parts`` names what to measure beside the value; shrinking asks for no more than it needs.
    """
    floats = run(subject, point)
    if floats.failure is not None and floats.failure.stage == "forward":
        return Evidence(subject, point, floats)
    torch_side = _Reference(reference, point, floats.cotangents) if reference is not None and "reference" in parts else None
    exactly = Exactly(subject, list(point.primals.values()), floats.cotangents)
    try:
        return _gather(subject, point, floats, exactly, torch_side, laws if "laws" in parts else (), "gradients" in parts)
    except (NotExact, Undecided) as error:
        why = str(error) if isinstance(error, NotExact) else f"a comparison that no precision decides: {error}"
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    from gradcheck.floats import gather_floats

    return gather_floats(subject, point, floats, torch_side, why)


def _gather(
    subject: Subject, point: Point, floats: FloatRun, exactly: Exactly, torch_side: _Reference | None, laws: Sequence[Any], gradients: bool
) -> Evidence:
    values, bits = settle(exactly.value, lambda ys: all(_accurate(lift(y)) for y in ys))
    objects = [lift(y) for y in values]
    dtype = np.dtype(point.dtype)
    steps = exactly.steps
    wanted = _differentiable(subject, exactly.primals)
    inputs = [np.asarray(list(point.primals.values())[k]) for k in wanted]
    unavoidable = _movement(_value_of(exactly, wanted), inputs, values, point, bits)
    shaped = tuple(np.shape(c) == o.shape for c, o in zip(floats.outputs, objects, strict=True))
    forward: tuple[Accuracy, ...] = ()
    if all(shaped) and all(c.dtype.kind == "f" for c in floats.outputs):
        forward = accuracy.judge(floats.outputs, values, dtype, steps, floats.flags[0], unavoidable)
    compared = _compare_values(floats, objects, torch_side, unavoidable)
    shapes = torch_side.shapes if torch_side is not None else None
    if floats.failure is not None:
        return Evidence(subject, point, floats, compared, (), (), forward, (), shapes)
    measured = [_gradient(exactly, point, floats, torch_side, k, i) for i, k in enumerate(wanted)] if gradients else []
    lawful = tuple(judge_law(subject, law, point) for law in laws)
    return Evidence(
        subject, point, floats, compared, tuple(m for m, _ in measured), lawful, forward, tuple(a for _, a in measured), shapes
    )  # fmt: skip


def _movement(
    recompute: accuracy.Recompute, inputs: Sequence[np.ndarray], here: Sequence[Any], point: Point, bits: int
) -> Callable[[bool], Any]:
    """The error that no algorithm could avoid, worked out when it is asked for; see ``accuracy.movement``."""

    @functools.cache
    def unavoidable(worst: bool) -> list[np.ndarray]:
        with ctx.workprec(bits):
            return accuracy.movement(recompute, inputs, here, np.random.default_rng((point.seed, 3)), worst)

    return unavoidable


def _differentiable(subject: Subject, primals: Sequence[Any]) -> list[int]:
    return [k for k, name in enumerate(subject.arguments) if name in subject.differentiable]


def _accurate(data: np.ndarray) -> bool:
    """Good to 100 bits, or an exact number, or a zero that no sensible precision resolves."""
    return all(a.rel_accuracy_bits() >= 100 or a.is_exact() or not a.is_finite() or _is_null(a) for a in data.ravel())


def _is_null(a: arb) -> bool:
    return bool(a.contains(0)) and ctx.prec >= TIE_BITS


def _value_of(exactly: Exactly, wanted: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    def recompute(inputs: Sequence[Any]) -> Sequence[Any]:
        primals = list(exactly.primals)
        for k, x in zip(wanted, inputs, strict=True):
            primals[k] = x
        return exactly.at(primals)

    return recompute


def _gradient_of(exactly: Exactly, wanted: Sequence[int], which: int) -> Callable[[Sequence[Any]], Sequence[Any]]:
    def recompute(inputs: Sequence[Any]) -> Sequence[Any]:
        primals = list(exactly.primals)
        for k, x in zip(wanted, inputs, strict=False):
            primals[k] = x
        return (exactly.gradient_at(primals, inputs[len(wanted) :], exactly.at(primals))[which],)

    return recompute


class _Reference:
    """Torch's value and gradient in float64, and in balls where the floats leave a doubt."""

    def __init__(self, subject: Subject, point: Point, cotangents: Sequence[np.ndarray]) -> None:
        self.subject, self.point = subject, point
        self.primals = [p.astype(np.float64) if isinstance(p, np.ndarray) and p.dtype.kind == "f" else p for p in point.primals.values()]
        self.outputs = tuple(np.asarray(o) for o in subject.value(self._copies()))
        self.shapes = tuple(o.shape for o in self.outputs)
        self.gradients: tuple[Any, ...] | None = None
        if self.shapes == tuple(np.shape(c) for c in cotangents):
            self.gradients = tuple(subject.gradient(list(cotangents), self._copies(), self.outputs))

    def _copies(self) -> list[Any]:
        return [p.copy() if isinstance(p, np.ndarray) else p for p in self.primals]

    def exactly(self) -> list[np.ndarray]:
        """The reference's own exact outputs; raises ``NotExact`` where torch code has no exact form."""
        reference = Exactly(self.subject, self.primals, ())
        values, _ = settle(reference.value, lambda ys: all(_accurate(lift(y)) for y in ys))
        return [lift(y) for y in values]


SMALLEST = 2.0**-1074
"""The smallest float64: values closer than this are one and the same float."""

QUICK_ULPS = 64
"""The float64 reference within so many ulps of the exact value needs no second look; a formula
that is wrong by less than 1e-14 of its value is below FORMULA_TOLERANCE."""


def _compare_values(
    floats: FloatRun, objects: Sequence[np.ndarray], torch_side: _Reference | None, unavoidable: Callable[[bool], Any]
) -> tuple[ValueEvidence, ...]:
    if torch_side is None:
        return tuple(ValueEvidence(j, c, o, None, None) for j, (c, o) in enumerate(zip(floats.outputs, objects, strict=True)))
    if torch_side.shapes != tuple(o.shape for o in objects):
        return tuple(ValueEvidence(j, c, o, None, None) for j, (c, o) in enumerate(zip(floats.outputs, objects, strict=True)))
    found = []
    exact_reference: list[np.ndarray] | None = None
    for j, (c, o, t) in enumerate(zip(floats.outputs, objects, torch_side.outputs, strict=True)):
        near, at = _near(o, lift(t), QUICK_ULPS * 2.0**-52, 0.0)
        if near == "equal":
            found.append(ValueEvidence(j, c, o, lift(t), "equal"))
            continue
        try:
            exact_reference = exact_reference or torch_side.exactly()
            allowed = CONSTANT_ROUNDINGS * lift(unavoidable(False)[j])
            agreement, at = _near(o, exact_reference[j], FORMULA_TOLERANCE, allowed)
            found.append(ValueEvidence(j, c, o, exact_reference[j], agreement, at))
        except (NotExact, Undecided):
            largest = float(np.max(np.abs(t), initial=0.0))
            agreement, at = _near(o, lift(t), FLOAT_TOLERANCE, FLOAT_TOLERANCE * largest if np.isfinite(largest) else 0.0)
            found.append(ValueEvidence(j, c, o, lift(t), agreement, at))
    return tuple(found)


def _near(a: np.ndarray, b: np.ndarray, relative: float, absolute: Any) -> tuple[Agreement, tuple[int, ...]]:
    """Whether two object arrays agree in every entry, and the entry furthest off if they do not."""
    worst, where, unknown = 0.0, (), False
    allowed = np.broadcast_to(lift(absolute), a.shape)
    for i in np.ndindex(a.shape):
        p, q = a[i], b[i]
        if not p.is_finite() or not q.is_finite():
            unknown = True
            continue
        difference, allowance = abs(p - q), relative * (abs(p) + abs(q)) + (allowed[i] if allowed[i].is_finite() else 0) + SMALLEST
        if difference <= allowance:
            continue
        if difference > allowance:
            share = float((difference / (abs(p) + abs(q))).mid())
            if share > worst or not where:
                worst, where = share, i
                if a.ndim == 0:
                    return "different", ()
        else:
            unknown = True
    if where or worst:
        return "different", where
    return ("undecided" if unknown else "equal"), ()


@dataclass(frozen=True)
class _Directional:
    claimed: np.ndarray | None
    numeric: arb
    analytic: arb | None
    scale: arb
    both: Sides
    suspicious: bool


def _gradient(
    exactly: Exactly, point: Point, floats: FloatRun, torch_side: _Reference | None, k: int, i: int
) -> tuple[GradientEvidence, tuple[Accuracy, ...]]:
    name = exactly.subject.arguments[k]
    shape = exactly.primals[k].shape
    direction = point.direction(name)
    balls = lift(direction)
    exponent = smallest_exponent(list(point.primals.values()))

    def compute() -> _Directional:
        y = exactly.value()
        g = exactly.gradient()[i]
        both = sides(exactly.at, exactly.primals, y, k, balls, exponent)
        c = central(exactly.cotangents, both)
        claimed = None if g is None else lift(g)
        if claimed is None or claimed.shape != shape:
            return _Directional(claimed, c, None, abs(c), both, suspicious(both))
        terms = [p * q for p, q in zip(claimed.ravel(), balls.ravel(), strict=True)]
        total = functools.reduce(operator.add, terms, arb(0))
        return _Directional(claimed, c, total, functools.reduce(operator.add, (abs(t) for t in terms), abs(c)), both, suspicious(both))

    def sure(d: _Directional) -> bool:
        if d.analytic is None:
            return True
        difference = d.analytic - d.numeric
        if not difference.is_finite() or difference.rad() <= 2.0**-20 * FORMULA_TOLERANCE * d.scale:
            return True
        return _is_null(d.numeric) and _is_null(d.analytic)

    found, bits = settle(compute, sure, start=START_BITS - exponent)
    kink = found.suspicious and _stays(exactly, k, balls, exponent, bits, found.both)
    computed = floats.gradients[i]
    like = None
    reference = torch_side.gradients[i] if torch_side is not None and torch_side.gradients is not None else None
    if torch_side is not None and torch_side.gradients is not None and reference is None:
        reference = np.zeros(shape)
    if reference is not None and found.claimed is not None and found.claimed.shape == reference.shape:
        like = _like(found.claimed, reference)
    with_float = _classical(exactly.subject, point, k, direction, floats.cotangents)
    common = {
        "argument": name,
        "shape": shape,
        "claimed": found.claimed,
        "numeric": _slope("numeric", found.numeric),
        "analytic": None if found.analytic is None else _slope("analytic", found.analytic),
        "autograd": None
        if reference is None or reference.shape != shape
        else Slope("autograd", float(np.sum(reference * direction)), math.inf, False),
        "classical": with_float,
        "kink": kink,
        "computed": computed,
        "reference": reference,
        "like_reference": like,
    }
    accurate: tuple[Accuracy, ...] = ()
    wanted = _differentiable(exactly.subject, exactly.primals)
    inputs = [np.asarray(list(point.primals.values())[j]) for j in wanted] + [np.asarray(c).astype(point.dtype) for c in floats.cotangents]
    unavoidable = _movement(_gradient_of(exactly, wanted, i), inputs, (ExactArray(found.claimed),), point, bits)
    if (
        found.claimed is not None
        and computed is not None
        and np.shape(computed) == found.claimed.shape == shape
        and computed.dtype.kind == "f"
    ):
        accurate = accuracy.judge(
            (computed,),
            (ExactArray(found.claimed),),
            np.dtype(point.dtype),
            exactly.steps * 3,
            floats.flags[1] | floats.flags[0],
            unavoidable,
        )

    if found.analytic is not None and found.analytic.is_finite() and found.numeric.is_finite():
        difference = abs(found.analytic - found.numeric)
        if difference <= FORMULA_TOLERANCE * found.scale or _is_null_at(found, bits):
            detects = (
                float((found.scale * FORMULA_TOLERANCE / abs(found.analytic)).mid())
                if found.analytic != 0 and not found.analytic.contains(0)
                else math.inf
            )
            error = float((difference / found.scale).mid()) if found.scale > 0 else 0.0
            return GradientEvidence(**common, agreement="equal", error=error, detects=detects), accurate
    return _localised(exactly, point, found, common, k, balls, exponent, bits, unavoidable), accurate


def _classical(subject: Subject, point: Point, k: int, direction: np.ndarray, cotangents: Sequence[np.ndarray]) -> Slope | None:
    """The float slope, for comparison; None where the subject does not run in float64."""
    if not direction.size:
        return None
    try:
        return classical(lambda ps: subject.value(_typed(ps)), _floats(point), k, direction, cotangents)
    except Exception:
        return None


def _is_null_at(found: _Directional, bits: int) -> bool:
    return bits >= TIE_BITS and found.analytic is not None and bool(found.analytic.contains(0)) and bool(found.numeric.contains(0))


def _stays(exactly: Exactly, k: int, balls: np.ndarray, exponent: int, bits: int, first: Sides) -> bool:
    """Whether the two sides still differ as much when the step shrinks."""
    with ctx.workprec(bits + 2 * CONFIRM_BITS):
        return bool(kinks(first, sides(exactly.at, exactly.primals, exactly.value(), k, balls, exponent - CONFIRM_BITS)).any())


def _localised(
    exactly: Exactly,
    point: Point,
    found: _Directional,
    common: dict[str, Any],
    k: int,
    balls: np.ndarray,
    exponent: int,
    bits: int,
    unavoidable: Callable[[bool], Any],
) -> GradientEvidence:
    """A mismatch, looked at entry by entry before anybody is accused."""

    def compute() -> Local:
        return localise(exactly.at, exactly.primals, exactly.value(), exactly.cotangents, k, exponent)

    def sure(local: Local) -> bool:
        return all(
            not n.is_finite() or n.rad() <= 2.0**-20 * FORMULA_TOLERANCE * w or _is_null(n)
            for n, w in zip(local.numeric.ravel(), local.weight.ravel(), strict=True)
        )

    local, bits = settle(compute, sure, start=bits + 4 * CONFIRM_BITS)
    common = {**common, "local": local, "kink": bool(local.kink.any()) or common["kink"]}
    if found.claimed is None:
        some = any(n.is_finite() and not n.contains(0) for n in local.numeric.ravel())
        return GradientEvidence(**common, agreement="different" if some else "equal", reason="no gradient was returned")
    if found.claimed.shape != common["shape"]:
        return GradientEvidence(**common, agreement="different", reason="shape")
    moves = unavoidable(False)[0]
    wrong, unknown, worst = np.zeros(common["shape"], dtype=bool), False, 0.0
    for i in np.ndindex(common["shape"]):
        g, low, high, weight = found.claimed[i], local.lower[i], local.upper[i], local.weight[i]
        if not low.is_finite() or not high.is_finite():
            unknown = True
            continue
        allowance = FORMULA_TOLERANCE * (weight + abs(g)) + (CONSTANT_ROUNDINGS * moves[i] if moves[i].is_finite() else 0)
        outside = (g - high).max(low - g)
        if not g.is_finite() or outside > allowance:
            wrong[i] = True
            worst = max(worst, float((outside / (weight + abs(g))).mid()) if g.is_finite() else math.inf)
        elif not outside <= allowance and not outside.contains(0):
            unknown = True
    if wrong.any():
        with ctx.workprec(bits):
            matching = tuple(
                v.description for v in variations(exactly.subject, exactly.primals) if _explains(v, exactly, found, k, balls, exponent)
            )
        at = furthest(found.claimed, local.numeric, wrong)
        unit = np.zeros(common["shape"])
        unit[at] = 1.0
        common["classical"] = _classical(exactly.subject, point, k, unit, [to_float(lift(c)) for c in exactly.cotangents])
        return GradientEvidence(**common, agreement="different", wrong=wrong, worst=at, error=worst, variants=matching)
    if unknown:
        return GradientEvidence(**common, agreement="undecided", reason="the point lies on the edge of the domain")
    return GradientEvidence(**common, agreement="equal", wrong=wrong)


def furthest(claimed: np.ndarray, numeric: np.ndarray, wrong: np.ndarray) -> tuple[int, ...]:
    """The wrong entry with the largest difference; one that is not finite goes first."""
    best, where = -1.0, ()
    for index in np.argwhere(wrong):
        i = tuple(int(n) for n in index)
        difference = float(abs(claimed[i] - numeric[i]).mid())
        difference = difference if math.isfinite(difference) else math.inf
        if difference > best:
            best, where = difference, i
    return where


def _explains(variation: Variation, exactly: Exactly, found: _Directional, k: int, direction: np.ndarray, exponent: int) -> bool:
    """Whether the backward is right for the forward with a changed constant."""
    if found.analytic is None:
        return False
    try:
        with variation.active():
            primals = variation.primals(exactly.primals)
            at = variation.evaluate or exactly.at
            both = sides(at, primals, at(primals), k, direction, exponent)
    except Exception:
        return False
    return bool(abs(central(exactly.cotangents, both) - found.analytic) <= FORMULA_TOLERANCE * found.scale)


def _slope(way: str, ball: arb) -> Slope:
    return Slope(way, float(ball.mid()) if ball.is_finite() else math.nan, float(ball.rad()) if ball.is_finite() else math.inf, True)


def _floats(point: Point) -> list[Any]:
    return [p.astype(np.float64) if isinstance(p, np.ndarray) and p.dtype.kind == "f" else p for p in point.primals.values()]


def _typed(primals: Sequence[Any]) -> list[Any]:
    return [p.copy() if isinstance(p, np.ndarray) else p for p in primals]


def _like(claimed: np.ndarray, reference: np.ndarray) -> bool:
    """Whether a gradient is autograd's but for rounding: to half the digits of its largest entry."""
    mine = to_float(claimed)
    if not np.isfinite(mine).all() or not np.isfinite(reference).all():
        return False
    return bool(np.all(np.abs(mine - reference) <= FLOAT_TOLERANCE * np.max(np.abs(reference), initial=np.max(np.abs(mine), initial=0.0))))


class _Function:
    """The subject as a law sees it."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    def __call__(self, *primals: Any) -> Any:
        outputs = self._subject.value(primals)
        return outputs[0] if len(outputs) == 1 else outputs

    def vjp(self, cotangent: Any, *primals: Any) -> Any:
        cotangents = cotangent if isinstance(cotangent, tuple) else (cotangent,)
        gradients = self._subject.gradient(cotangents, primals, self._subject.value(primals))
        return gradients[0] if len(gradients) == 1 else gradients


def judge_law(subject: Subject, law: Any, point: Point) -> LawEvidence:
    """The law's relations at ``point``, in balls."""
    import inspect

    from gradcheck.exact.array import exact
    from gradcheck.exact.standin import places, standing_in

    line = law.body.__code__.co_firstlineno
    known = {**point.primals, **point.extras}
    names = list(inspect.signature(law.body).parameters)[1:]
    where = places((law.body,))

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
    undecided = False
    for relation in relations:
        agreement, index, left, right = _judge(relation, bits)
        if agreement == "different":
            return LawEvidence(law.title, agreement, index, left, right, line=line)
        undecided |= agreement == "undecided"
    return LawEvidence(law.title, "undecided" if undecided else "equal", line=line)


def _judge(relation: Any, bits: int = 0) -> tuple[Agreement, tuple[int, ...], float, float]:
    left, right = np.broadcast_arrays(lift(relation.left), lift(relation.right))
    undecided = False
    for i in np.ndindex(left.shape):
        a, b = left[i], right[i]
        excess = abs(a - b) if relation.kind == "equal" else a - b
        allowance = FORMULA_TOLERANCE * (abs(a) + abs(b))
        if excess > allowance:
            return "different", i, float(a.mid()), float(b.mid())
        if not excess <= allowance and not (excess.is_finite() and excess.contains(0) and (bits >= TIE_BITS or _is_null(excess))):
            undecided = True
    return ("undecided" if undecided else "equal"), (), math.nan, math.nan

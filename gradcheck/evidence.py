"""Evidence: all that was measured of a subject at a point. Rules read it; they measure nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.accuracy import Accuracy, judge, unavoidable_error
from gradcheck.bounds import START_BITS
from gradcheck.compare import accurate
from gradcheck.exact.array import lift
from gradcheck.exact.errors import NotExact, Undecided
from gradcheck.exact.precision import settle
from gradcheck.floats import float_gradients, float_values
from gradcheck.function_spec import Law
from gradcheck.gradients import GradientEvidence, across, measure_gradients
from gradcheck.laws import LawEvidence, judge_law
from gradcheck.points import Point
from gradcheck.state import Generators, kept, same_draws
from gradcheck.subject import Subject
from gradcheck.values import ValueEvidence, compare_values
from gradcheck.ways.analytic import Exactly, FloatRun, run
from gradcheck.ways.autograd import Reference
from gradcheck.ways.numeric import smallest_exponent


@dataclass(frozen=True)
class Evidence:
    """``why_not_exact`` is empty if everything was done in balls.

    ``drew`` tells that the code draws random numbers, and was given the same ones every time; ``drew_others`` that
    they are others in balls than in floats, so that the arithmetic was not judged.
    """

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
    drew: bool = False
    drew_others: bool = False


ALL = frozenset({"reference", "gradients", "laws", "arithmetic", "classical", "excuses"})
"""What may be measured at a point: the value and its side effects are always. "excuses" is what rounded constants would hide."""


def gather(
    subject: Subject, point: Point, reference: Subject | None = None, laws: Sequence[Law] = (), parts: frozenset[str] = ALL
) -> Evidence:
    """Run the three ways at ``point``. Never raises for what the subject does.

    ``parts`` names what to measure beside the value; shrinking asks for no more than it needs.
    Raises ``SpecError`` if the reference cannot be evaluated.
    """
    with kept(subject.functions) as behind, same_draws(behind) as generators:
        found = _gather(subject, point, reference, laws, parts, generators)
    return replace(found, drew=True) if generators.drew else found


def _gather(
    subject: Subject, point: Point, reference: Subject | None, laws: Sequence[Law], parts: frozenset[str], generators: Generators
) -> Evidence:
    floats = run(subject, point)
    if (floats.failure is not None and floats.failure.stage == "forward") or any(o.dtype.kind == "c" for o in floats.outputs):
        return Evidence(subject, point, floats)
    torch_side = Reference(reference, point, floats.cotangents) if reference is not None and "reference" in parts else None
    found = Evidence(subject, point, floats, expected_shapes=torch_side.shapes if torch_side is not None else None)
    try:
        return _exactly(found, torch_side, laws, parts, generators)
    except NotExact as error:
        why = str(error)
    except Undecided as error:
        why = f"a comparison that no precision decides: {error}"
    except Exception as error:  # the code under test may stumble over exact arrays in any way
        why = f"in exact arithmetic it raises {type(error).__name__}: {error}"
    values = float_values(floats, torch_side)
    gradients = float_gradients(subject, point, floats, torch_side) if floats.failure is None and "gradients" in parts else ()
    return replace(found, values=values, gradients=gradients, backward_accuracy=((),) * len(gradients), why_not_exact=why)


def _exactly(found: Evidence, torch_side: Reference | None, laws: Sequence[Law], parts: frozenset[str], generators: Generators) -> Evidence:
    subject, point, floats = found.subject, found.point, found.run
    exactly = Exactly(subject, list(point.primals.values()), floats.cotangents, point.dtype)
    start = START_BITS - smallest_exponent(list(point.primals.values()))
    values, bits = settle(exactly.value, lambda ys: all(accurate(lift(y)) for y in ys), start)
    if generators.elsewhere():
        found, parts = replace(found, drew_others=True), parts - {"arithmetic"}
    objects = [lift(y) for y in values]
    inputs = [list(point.primals.values())[k] for k in exactly.moving]
    options = [[other.value for other in both] for both in exactly.options_moved]
    unavoidable = unavoidable_error(exactly.value_at, inputs, values, point.seed, bits, options)
    comparable = all(c.shape == o.shape and c.dtype.kind == "f" for c, o in zip(floats.outputs, objects, strict=True))
    sound: tuple[Accuracy, ...] = ()
    if comparable and "arithmetic" in parts:
        sound = judge(floats.outputs, values, np.dtype(point.dtype), exactly.steps, floats.flags[0], unavoidable, subject.stored)
    compared = compare_values(floats, objects, torch_side, unavoidable, point, bits, exactly.rounded)
    found = replace(found, values=compared, forward_accuracy=sound)
    if floats.failure is not None:
        return found
    wrong = any(v.agreement == "different" for v in found.values)
    measured = measure_gradients(exactly, point, floats, torch_side, parts, wrong) if "gradients" in parts else []
    return replace(
        found,
        gradients=across(exactly, point, [evidence for evidence, _ in measured]),
        backward_accuracy=tuple(sound for _, sound in measured),
        laws=tuple(judge_law(subject, law, point) for law in laws) if "laws" in parts else (),
    )


__all__ = ["ALL", "Evidence", "GradientEvidence", "LawEvidence", "ValueEvidence", "gather"]

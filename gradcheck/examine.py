"""One subject, from generated points to a result: explore, diagnose, shrink, judge."""

from __future__ import annotations

import hashlib
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from gradcheck.bounds import CANCELS, EXACT_MISS, LARGE_ERROR, SEEN
from gradcheck.diagnosis import Sightings, again
from gradcheck.evidence import ALL, Evidence, gather
from gradcheck.exact.array import Work
from gradcheck.findings import Finding, Result, Severity, Verdict
from gradcheck.function_spec import Exhibit, FunctionSpec
from gradcheck.points import Point, points
from gradcheck.rules import Match, match, rules, shown_as
from gradcheck.rules.gradient import right_gradients
from gradcheck.state import generators_kept, kept
from gradcheck.subject import Subject
from gradcheck.ways.analytic import run


class Budget(NamedTuple):
    """What shrinking may cost: ``looks`` at points for a finding, and operations on ``balls`` (some microseconds each) for a subject."""

    looks: int
    balls: int


SHRINK_BUDGET = Budget(looks=300, balls=2**23)
"""A minute at most: somebody is to find the mistakes by the examples."""

EXHIBIT_POINTS = 8
"""An exhibit is looked at on so many points at a time, though on no more than a function is: what it must show, it shows soon."""

LONGER_SEARCH = 8
"""One that has not shown all it should is searched on up to so many times the points of a function."""

CLASSICAL_SHARE = 12
"""One point of so many gets a classical float difference too: it decides nothing, and its median error is known from few."""


@dataclass(frozen=True)
class Settings:
    """How to examine: points per subject, the seed of Hypothesis, and the codes that count."""

    examples: int = 100
    seed: int = 0
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def counts(self, code: str) -> bool:
        """Whether findings of ``code`` are wanted; prefixes such as "G" or "N10" work."""
        return (not self.select or code.startswith(self.select)) and not (self.ignore and code.startswith(self.ignore))

    @property
    def parts(self) -> frozenset[str]:
        """What has to be measured over many points for the codes that count: without any N, no arithmetic.

        The best conditioned of many points is hidden from by no rounded constant.
        """
        needed = ALL - {"excuses"}
        return needed if any(self.counts(code) for code in rules() if code[0] == "N") else needed - {"arithmetic"}


@dataclass
class Tally:
    """What adds up over the points of one subject."""

    examples: int = 0
    exact: int = 0
    kinks: int = 0
    error: float = 0.0
    others: dict[str, list[float]] = field(default_factory=dict)
    decided: dict[str, int] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)
    why_not_exact: Counter[str] = field(default_factory=Counter)
    detects: dict[str, float] = field(default_factory=dict)
    amplification: dict[str, dict[str, float]] = field(default_factory=lambda: {"forward": {}, "backward": {}})
    laws: dict[str, str] = field(default_factory=dict)
    values: Counter[str] = field(default_factory=Counter)

    def add(self, e: Evidence) -> None:
        self.examples += 1
        if e.why_not_exact:
            self.why_not_exact[e.why_not_exact] += 1
        elif e.run.failure is None:
            self.exact += 1
        self.kinks += any(g.kink for g in e.gradients)
        for v in e.values:
            if v.agreement is not None:
                self.values[v.agreement] += 1
        for g in e.gradients:
            if g.agreement == "undecided":
                self.undecided[g.reason or "not decided"] += 1
                continue
            self.decided[g.argument] = self.decided.get(g.argument, 0) + 1
            if math.isfinite(g.error):
                self.error = max(self.error, g.error)
            if g.numeric is not None and not g.kink and g.agreement == "equal" and 0 < g.scale < math.inf:
                for other in (g.autograd, g.classical):
                    if other is not None and math.isfinite(other.value):
                        apart = abs(other.value - g.numeric.value) / g.scale
                        self.others.setdefault("autograd" if other is g.autograd else "classical", []).append(apart)
            if g.agreement == "equal":
                self.detects[g.argument] = min(self.detects.get(g.argument, math.inf), g.detects)
        for stage, accuracies in (("forward", e.forward_accuracy), ("backward", [a for row in e.backward_accuracy for a in row])):
            for a in accuracies:
                self.amplification[stage][a.dtype] = max(self.amplification[stage].get(a.dtype, 0.0), a.amplification)
        for law in e.laws:
            if law.agreement == "undecided":
                self.undecided[f"the law {law.title!r}: {law.reason or 'not decided'}"] += 1
                self.laws.setdefault(law.title, "inconclusive")
            elif self.laws.get(law.title) != "fail":
                self.laws[law.title] = "fail" if law.agreement == "different" else "pass"

    def float_errors(self) -> dict[str, float]:
        """The median relative error, against the numeric way, of autograd and of the classical difference."""
        return {way: statistics.median(errors) for way, errors in self.others.items()}


@generators_kept()
def examine(
    subject: Subject,
    spec: FunctionSpec,
    reference: Subject | None,
    settings: Settings,
    *,
    kind: str = "spec",
    exhibit: Exhibit | None = None,
    laws: Sequence[Any] = (),
) -> Result:
    """Check ``subject`` against ``spec`` on generated points and report what was found."""
    started = time.perf_counter()
    tally, sightings = Tally(), Sightings()
    memory: dict[str, list[Match]] = {}

    def look(point: Point, parts: frozenset[str] = settings.parts) -> tuple[Evidence, list[Match]]:
        evidence = gather(subject, point, reference, laws, parts)
        return evidence, match(evidence)

    def visit(point: Point) -> None:
        evidence, matches = look(point, settings.parts - ({"classical"} if tally.examples % CLASSICAL_SHARE else set()))
        memory[_digest(point)] = matches
        tally.add(evidence)
        sightings.add(point, matches, right_gradients(evidence))

    strategy = points(spec)
    examples = settings.examples if exhibit is None else min(EXHIBIT_POINTS, settings.examples)
    explore(strategy, visit, examples, settings.seed)
    for further in range(1, LONGER_SEARCH * settings.examples // examples):
        if exhibit is None or set(exhibit.expects) <= {shown_as(m.code, subject.order) for _, m, _ in sightings.conclusions()}:
            break
        explore(strategy, visit, examples, settings.seed + further)
    found, made = [], Work.made
    for point, m, cause in sightings.conclusions():
        if not settings.counts(shown_as(m.code, subject.order)):
            continue
        if exhibit is None and rules()[m.code].severity is not Severity.NOTE:  # of the others nobody has to find the mistake
            left = SHRINK_BUDGET._replace(balls=SHRINK_BUDGET.balls - (Work.made - made))
            point, m = _shrink(strategy, m, look, memory, settings, left) or (point, m)
        found.append(finding(subject, point, m, cause))
    return conclude(
        subject, tally, found, kind=kind, spec=spec.name, family=spec.family, exhibit=exhibit, seconds=time.perf_counter() - started
    )


def _digest(point: Point) -> str:
    return point.example(()).digest()


def explore(strategy: Any, body: Callable[[Point], None], examples: int, seed: int, shrink: bool = False) -> None:
    """Run ``body`` on generated points; every setting is explicit, so that no profile matters."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, Verbosity

    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    configured = hypothesis.settings(
        max_examples=examples, database=None, backend="hypothesis", deadline=None, derandomize=False, phases=phases, print_blob=False,
        report_multiple_bugs=False, stateful_step_count=1, suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet,
    )  # fmt: skip

    def test(point: Point) -> None:
        body(point)

    def run_all() -> None:
        seeded: Any = hypothesis.seed(seed)(hypothesis.given(strategy)(test))  # type: ignore[no-untyped-call]
        seeded = configured(seeded)
        seeded()

    with _nothing_stored(), _drawn_afresh():
        if not hypothesis.currently_in_test_context():
            run_all()
            return
        # Hypothesis refuses a test within a test of the same thread; ours is none of the user's.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(run_all).result()


@contextmanager
def _drawn_afresh() -> Iterator[None]:
    """Every point by choices of its own: neither constants out of the source of whatever is imported, nor parts of the point before.

    The constants would make the points depend on more than the seed. The parts, two arguments that are copies of each other, would
    be five in six of all points: ties are what domains draw, in their share.
    """
    from hypothesis.internal.conjecture.engine import ConjectureRunner
    from hypothesis.internal.conjecture.providers import HypothesisProvider

    habits: tuple[tuple[Any, str], ...] = ((HypothesisProvider, "_maybe_draw_constant"), (ConjectureRunner, "generate_mutations_from"))
    broken = [(owner, name, getattr(owner, name)) for owner, name in habits if hasattr(owner, name)]
    for owner, name, _ in broken:
        setattr(owner, name, lambda *args, **kwargs: None)
    try:
        yield
    finally:
        for owner, name, habit in broken:
            setattr(owner, name, habit)


@contextmanager
def _nothing_stored() -> Iterator[None]:
    """Keep Hypothesis from writing its caches into the user's folder, and leave its home as it was."""
    from hypothesis import configuration

    before = getattr(configuration, "__hypothesis_home_directory", None)
    with TemporaryDirectory(prefix="gradcheck-") as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(before)


def _shrink(
    strategy: Any,
    first: Match,
    look: Callable[[Point, frozenset[str]], tuple[Evidence, list[Match]]],
    memory: dict[str, list[Match]],
    settings: Settings,
    budget: Budget,
) -> tuple[Point, Match] | None:
    """The smallest point at which the defect of ``first`` shows, and its match there."""
    defect: type[Exception] = type(f"Defect{first.code}", (Exception,), {})
    parts = _parts(first)
    looks, made = 0, Work.made
    best: list[tuple[Point, Match]] = []

    def body(point: Point) -> None:
        nonlocal looks
        digest = _digest(point)
        if digest not in memory:
            if looks >= budget.looks or Work.made - made >= budget.balls:
                raise _Enough
            looks += 1
            memory[digest] = look(point, parts)[1]
        seen = again(memory[digest], first)
        if seen is not None:
            best[:] = [(point, seen)]
            raise defect

    with suppress(defect, _Enough):
        explore(strategy, body, settings.examples, settings.seed, shrink=True)
    return best[0] if best else None


class _Enough(BaseException):
    """The budget is spent. No ``Exception``, which Hypothesis would take for another failure and shrink as well."""


def _parts(m: Match) -> frozenset[str]:
    """What has to be measured to see ``m`` again."""
    found = {"laws"} if m.code == "V103" else {"gradients"} if m.argument is not None or m.code[0] == "G" else set()
    if m.code[0] == "N":
        found.add("arithmetic")
    return frozenset(found if m.code in ("N101", "N102", "N104", "N110") or m.code[0] in "SR" else found | {"reference"})


def finding(subject: Subject, point: Point, m: Match, cause: str, replayable: bool = True) -> Finding:
    """The finding that ``m`` at ``point`` makes; ``cause`` is what held at every point."""
    entry, cause = rules()[shown_as(m.code, subject.order)], cause or m.cause
    if entry.code != m.code:
        cause = f"{rules()[m.code].title}{cause and f': {cause}'}"
    _, forward_line, backward_line = subject.location
    backward = (
        m.code[0] == "G" or m.code == "S102" or m.measured.get("stage") == "backward" or (m.argument is not None and m.code[0] == "N")
    )
    line = m.measured.get("line") or (backward_line if backward else forward_line)
    if m.code != "V103":
        point = replace(point, extras={})
    example = point.example(_shapes(subject, point))
    identity = _short(f"{subject.name} {m.code} {m.argument} {example.digest()}") if replayable else ""
    measured = {k: v for k, v in m.measured.items() if k != "line"}
    return Finding(
        entry.code, entry.title, entry.severity, m.message, m.argument, cause, m.suspect, line, example, measured,
        f"gradcheck replay {identity}" if replayable else "", identity,
    )  # fmt: skip


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _shapes(subject: Subject, point: Point) -> tuple[tuple[int, ...], ...]:
    with kept(subject.functions):
        return tuple(o.shape for o in run(subject, point).outputs)


def conclude(
    subject: Subject,
    tally: Tally,
    found: Iterable[Finding],
    *,
    kind: str,
    spec: str | None,
    family: str = "given",
    exhibit: Exhibit | None = None,
    seconds: float = 0.0,
) -> Result:
    """The verdict, and the measurements that stand behind it."""
    findings = tuple(found)
    codes = {f.code for f in findings if f.severity is not Severity.NOTE}
    errors = {f.code for f in findings if f.severity is Severity.ERROR}
    open_arguments = [a for a in subject.differentiable if not tally.decided.get(a)]
    mathematics = "fail" if any(c[0] in "VGR" for c in errors) else "inconclusive" if open_arguments or _open(tally) else "pass"
    measured_arithmetic = any(tally.amplification.values())
    arithmetic = "fail" if any(c.startswith("N1") for c in codes) else "pass" if measured_arithmetic else "inconclusive"
    verdict = Verdict.FAIL if errors else Verdict.INCONCLUSIVE if mathematics == "inconclusive" else Verdict.PASS
    if exhibit is not None:
        verdict = Verdict.PASS if codes == set(exhibit.expects) else Verdict.FAIL
    detects = max((d for d in tally.detects.values() if math.isfinite(d)), default=math.inf)
    way = "exact" if not tally.why_not_exact else "float" if not tally.exact else "exact and float"
    path, line, _ = subject.location
    measurements: dict[str, Any] = {
        "family": family, "examples": tally.examples, "mathematics": mathematics, "arithmetic": arithmetic, "way": way,
        "why_not_exact": [f"{why} ({n} point{'s'[: n > 1]})" for why, n in tally.why_not_exact.most_common(5)],
        "max_error": tally.error, "float_errors": tally.float_errors(), "amplification": tally.amplification, "kinks": tally.kinks,
        "undecided": dict(tally.undecided), "laws": tally.laws, "seconds": seconds,
        "confidence": _confidence(subject, way, detects, tally, open_arguments),
    }  # fmt: skip
    if exhibit is not None:
        measurements |= {"expects": sorted(exhibit.expects), "found": sorted(codes), "exhibit": exhibit.title}
    return Result(
        path,
        subject.name,
        line,
        kind,
        subject.convention,
        spec,
        verdict,
        detects if math.isfinite(detects) else None,
        measurements,
        findings,
    )


def _open(tally: Tally) -> bool:
    """Whether the value was never compared for sure, or some law never decided."""
    values_open = bool(tally.values) and not tally.values["equal"] and not tally.values["different"]
    return values_open or "inconclusive" in tally.laws.values()


def _confidence(subject: Subject, way: str, detects: float, tally: Tally, open_arguments: Sequence[str]) -> str:
    if not subject.differentiable:
        return "there is no gradient to check; the value was compared with the reference and with its own exact value"
    if open_arguments:
        return f"undecided for {', '.join(open_arguments)}"
    if not tally.detects:
        return "no gradient was found right"
    if not math.isfinite(detects):
        return "every gradient is zero at every point, and was found right: there is no entry that an error could be relative to"
    return f"a relative error of {detects:.1e} in a gradient would have been caught; {_chance(way, detects)}"


def _chance(way: str, detects: float) -> str:
    """Which way decided, and the chance of a miss at one point."""
    in_balls, in_floats = (
        "in ball arithmetic",
        "by float differences, whose error bound holds for 99.9% of slopes, as measured on the catalog",
    )
    how = {"exact": in_balls, "float": in_floats}.get(way, f"{in_balls} where the code allows it, elsewhere {in_floats}")
    chance = EXACT_MISS if way == "exact" and detects <= SEEN else min(1.0, CANCELS * detects / LARGE_ERROR)
    cancel = f"the chance that errors of {LARGE_ERROR:.0%} in several entries cancel along the random direction is below {chance:.0e}"
    return f"decided {how}; {cancel}"

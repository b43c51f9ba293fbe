"""One HTML page that holds everything: no network, no fonts or scripts of others.

The template is ``templates/report.html.j2``; what it shows is prepared here, as text and lengths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from gradcheck.findings import Finding, Report, Result, Verdict
from gradcheck.report import arrays, view

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

ERROR_AXIS = (-32.0, 0.0)
"""Decades of the bars of relative errors."""

AMPLIFICATION_AXIS = (0.0, 16.0)
"""Decades of the bars of amplifications."""


@dataclass(frozen=True)
class Measure:
    """A number, and how long its bar is, in percent of a logarithmic axis; None for no bar."""

    text: str
    length: float | None
    note: str = ""
    worst: bool = True


@dataclass(frozen=True)
class Input:
    """An argument of an example: its name, dtype and shape, and its entries in full."""

    name: str
    kind: str
    text: str
    folded: bool

    @property
    def short(self) -> bool:
        return "\n" not in self.text and not self.folded


@dataclass(frozen=True)
class Shown:
    """A finding as the page shows it; ``anchor`` is where table rows link to."""

    anchor: str
    finding: Finding
    title: str
    subject: str
    entry: str
    place: str
    suspect: str
    way: str
    rows: list[tuple[view.Row, Measure | None]]
    inputs: list[Input]
    command: str
    snippet: str


@dataclass(frozen=True)
class Subject:
    """A row of the table of subjects."""

    name: str
    kind: str
    place: str
    verdict: str
    ways: list[Measure]
    mathematics: str
    arithmetic: str
    amplification: list[Measure]
    detects: Measure
    points: str
    seconds: str
    reason: str
    links: list[tuple[str, str]]


def render(report: Report) -> str:
    """The page as text."""
    shown: dict[tuple[int, int], Shown] = {}
    for i, (result, finding) in enumerate(view.counted(report), start=1):
        shown[id(result), id(finding)] = _shown(result, finding, f"finding-{i}")
    families = [(family, [_subject(result, shown) for result in results]) for family, results in view.groups(report)]
    exhibits = [(result, [_shown(result, f, "") for f in result.findings]) for result in view.exhibits(report)]
    laws = [(result, result.measurements["laws"]) for result in report.subjects if result.measurements.get("laws")]
    return _template().render(
        report=report,
        counts=view.count(report),
        headline=view.headline(report),
        tally=view.tally(report, verdicts=False),
        shares=_shares(report),
        findings=list(shown.values()),
        families=families,
        exhibits=exhibits,
        laws=laws,
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("gradcheck.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for function in (view.label, view.clean, view.exhibit_line, view.place, view.seconds, breakable):
        environment.filters[function.__name__] = function
    return environment.get_template("report.html.j2")


def breakable(name: str) -> Markup:
    """``name``, escaped, with leave to break after each underscore."""
    from markupsafe import Markup, escape

    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))


def _shares(report: Report) -> list[tuple[str, int, float, float]]:
    """For each verdict that occurs: its name, count, and where its share starts and how wide it is, in percent."""
    counts = view.count(report)
    found, start = [], 0.0
    for verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.SKIPPED, Verdict.PASS):
        n = counts.verdicts[verdict]
        if n:
            width = 100 * n / counts.subjects
            found.append((str(verdict), n, round(start, 3), round(width, 3)))
            start += width
    return found


def _subject(result: Result, shown: dict[tuple[int, int], Shown]) -> Subject:
    m = result.measurements
    return Subject(
        name=view.clean(view.label(result)),
        kind="" if result.kind == "spec" else view.clean(f"{result.kind}, {result.convention}"),
        place=view.clean(view.place(result)),
        verdict=str(result.verdict),
        ways=_ways(result),
        mathematics=str(m.get("mathematics", "")),
        arithmetic=str(m.get("arithmetic", "")),
        amplification=_by_dtype(result),
        detects=measure(result.detects, ERROR_AXIS),
        points=view.points(result),
        seconds=view.seconds(m.get("seconds")),
        reason=view.clean(view.how(result) or ("" if result.passed or result.findings else view.reason(result))),
        links=[(f.code, shown[id(result), id(f)].anchor) for f in result.findings],
    )


def _ways(result: Result) -> list[Measure]:
    """The three ways, each by its error against the numeric one."""
    note = ", float only" if result.measurements.get("way") == "float" else ""
    known = [(way, value) for way, value in view.ways(result) if way == "analytic" or value is not None]
    return [measure(value, ERROR_AXIS, way + (note if way == "analytic" else "")) for way, value in known]


def _by_dtype(result: Result) -> list[Measure]:
    """The worst amplification in each dtype; the worst of all is marked."""
    largest: dict[str, view.Amplification] = {}
    for one in view.amplifications(result):
        before = largest.get(one.dtype)
        if before is None or view.badness(one.value) > view.badness(before.value):
            largest[one.dtype] = one
    worst = max(largest.values(), key=lambda a: view.badness(a.value), default=None)
    return [
        replace(
            measure(one.value, AMPLIFICATION_AXIS, f"{view.short_dtype(one.dtype)} {one.part}".strip()),
            worst=one is worst,
        )
        for one in largest.values()
    ]


def measure(value: float | None, axis: tuple[float, float], note: str = "") -> Measure:
    """``value`` on the logarithmic ``axis``, given as decades; inf fills it, NaN has no bar."""
    if value is None or math.isnan(value):
        return Measure(view.brief(value), None, note)
    if math.isinf(value):
        length = 100.0
    elif value <= 0:
        length = 0.0
    else:
        low, high = axis
        length = min(100.0, max(0.0, 100 * (math.log10(value) - low) / (high - low)))
    return Measure(view.brief(value), round(length, 1), note)


def _shown(result: Result, finding: Finding, anchor: str) -> Shown:
    example = finding.example
    return Shown(
        anchor=anchor,
        finding=finding,
        title=view.clean(view.title(finding)),
        subject=view.clean(view.label(result)),
        entry=view.clean(view.entry(finding)),
        place=view.clean(view.place(result, finding)),
        suspect=view.clean(view.suspect(finding)),
        way=view.clean(view.way(result, finding)),
        rows=[(row, None if row.error is None else measure(row.error, ERROR_AXIS)) for row in view.rows(finding)],
        inputs=_inputs(finding),
        command=view.clean(view.command(finding)),
        snippet=view.clean(arrays.snippet(example)) if example else "",
    )


def _inputs(finding: Finding) -> list[Input]:
    example = finding.example
    if example is None:
        return []
    return [
        Input(
            view.clean(name),
            arrays.kind(value),
            view.clean("\n".join(arrays.shown(value, whole=True))),
            getattr(value, "size", 0) > arrays.SHOWN,
        )
        for name, value in view.inputs(example)
    ]

"""What every format says in the same words: titles, places, counts, numbers, exhibits."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcheck.findings import Example, Finding, Report, Result, Severity, Verdict

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")

_SHORT = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64"}


@dataclass(frozen=True)
class Counts:
    """How the run went. Exhibits count apart; what they are there to show is no finding."""

    subjects: int
    verdicts: Mapping[Verdict, int]
    severities: Mapping[Severity, int]
    exhibits: int
    exhibits_wrong: int

    @property
    def findings(self) -> int:
        return sum(self.severities.values())

    @property
    def bad(self) -> int:
        """Subjects that fail or err, and exhibits in which not just the expected was found."""
        return self.verdicts[Verdict.FAIL] + self.verdicts[Verdict.ERROR] + self.exhibits_wrong


@dataclass(frozen=True)
class Amplification:
    """The largest amplification in one dtype; ``part`` is "forward", "backward" or empty."""

    dtype: str
    part: str
    value: float


@dataclass(frozen=True)
class Row:
    """One measured number: its label, the number in text, its relative error, and a remark."""

    label: str
    value: str
    error: float | None = None
    remark: str = ""


def clean(text: object) -> str:
    """``text`` with control characters, lone surrogates and direction marks made visible.

    Messages may quote the code under test; they must neither steer a terminal nor break XML.
    """
    return _CONTROL.sub(lambda m: f"\\x{ord(m[0]):02x}" if m[0] < "\u0100" else f"\\u{ord(m[0]):04x}", str(text))


def title(finding: Finding) -> str:
    """The name of the finding's rule, in words."""
    return finding.rule if " " in finding.rule else finding.rule.replace("-", " ").replace("_", " ")


def label(result: Result) -> str:
    """The name of a subject; exhibits and submissions say of which spec where that is not plain."""
    if result.kind == "exhibit" and result.spec and not result.name.startswith(result.spec):
        return f"{result.spec}: {result.name}"
    return result.name


def family(result: Result) -> str:
    """What the subject is listed under: the spec's family (one file each), or the submission's file."""
    given = result.measurements.get("family")
    if given:
        return str(given)
    return Path(result.path).stem if result.kind in ("spec", "exhibit") else relative(result.path)


def relative(path: str) -> str:
    """``path`` as seen from the working directory when it lies inside, with forward slashes."""
    if not path or path.startswith("<"):
        return path
    full, here = Path(os.path.abspath(path)), Path.cwd()
    return full.relative_to(here).as_posix() if full.is_relative_to(here) else path


def place(result: Result, finding: Finding | None = None) -> str:
    """``file:line`` of a finding, or of the subject."""
    line = (finding.line if finding else None) or result.line
    return f"{relative(result.path)}:{line}" if line else relative(result.path)


def groups(report: Report) -> list[tuple[str, list[Result]]]:
    """The subjects that are no exhibits, by family, in the order of the report."""
    found: dict[str, list[Result]] = {}
    for result in report.subjects:
        if result.kind != "exhibit":
            found.setdefault(family(result), []).append(result)
    return list(found.items())


def exhibits(report: Report) -> list[Result]:
    return [result for result in report.subjects if result.kind == "exhibit"]


def codes(result: Result) -> list[str]:
    """The codes found in a subject, each once, in order."""
    return list(dict.fromkeys(finding.code for finding in result.findings))


def expects(result: Result) -> list[str]:
    """The codes that an exhibit is there to show."""
    given = result.measurements.get("expects") or ()
    return [given] if isinstance(given, str) else [str(code) for code in given]


def exhibit_line(result: Result) -> str:
    """``on show: found N101``, or what was expected and what was found instead."""
    found = ", ".join(codes(result)) or "nothing"
    if result.passed:
        return f"on show: found {found}"
    wanted = ", ".join(expects(result)) or "a finding"
    return f"on show: expected {wanted}, found {found}"


def counted(report: Report) -> Iterator[tuple[Result, Finding]]:
    """Every finding but those that an exhibit is there to show; the most severe first."""
    pairs = [
        (result, finding)
        for result, finding in report.findings
        if result.kind != "exhibit" or (not result.passed and finding.code not in expects(result))
    ]
    yield from sorted(pairs, key=lambda pair: rank(pair[1]))


def rank(finding: Finding) -> int:
    """A key to sort by, the most severe first."""
    return list(Severity).index(finding.severity)


def count(report: Report) -> Counts:
    judged = [result for result in report.subjects if result.kind != "exhibit"]
    shows = exhibits(report)
    found = [finding for _, finding in counted(report)]
    return Counts(
        subjects=len(judged),
        verdicts={v: sum(r.verdict is v for r in judged) for v in Verdict},
        severities={s: sum(f.severity is s for f in found) for s in Severity},
        exhibits=len(shows),
        exhibits_wrong=sum(not r.passed for r in shows),
    )


def headline(report: Report) -> str:
    """The outcome in a few words, without a full stop."""
    counts = count(report)
    if not report.subjects:
        return "Nothing was checked"
    total, passed = counts.subjects, counts.verdicts[Verdict.PASS]
    failed, erred = counts.verdicts[Verdict.FAIL], counts.verdicts[Verdict.ERROR]
    if failed or erred:
        parts = [f"{failed} of {subjects(total)} {'fails' if failed == 1 else 'fail'}"] if failed else []
        if erred:
            whole = "" if failed else f" of {subjects(total)}"
            parts.append(f"{erred}{whole} could not be judged for an error")
        return ", ".join(parts)
    if counts.exhibits_wrong:
        return f"{counts.exhibits_wrong} of {plural(counts.exhibits, 'exhibit')} did not show just what was expected"
    if total == 0:
        return f"{plural(counts.exhibits, 'exhibit')} on show, as expected"
    if passed == total:
        return "The only subject passes" if total == 1 else f"All {total} subjects pass"
    return f"{passed} of {subjects(total)} {'passes' if passed == 1 else 'pass'}, none {'fails'}"


def tally(report: Report, verdicts: bool = True) -> str:
    """The counts in one line: verdicts (if wanted), findings, exhibits."""
    counts = count(report)
    parts = []
    if verdicts:
        parts.append(", ".join(f"{n} {verdict}" for verdict, n in counts.verdicts.items() if n))
    if counts.findings:
        kinds = ", ".join(plural(n, str(s)) for s, n in counts.severities.items() if n)
        parts.append(f"{plural(counts.findings, 'finding')} ({kinds})")
    if counts.exhibits:
        right = counts.exhibits - counts.exhibits_wrong
        state = "as expected" if not counts.exhibits_wrong else f"{right} as expected"
        parts.append(f"{plural(counts.exhibits, 'exhibit')} on show, {state}")
    return "; ".join(part for part in parts if part)


def subjects(n: int) -> str:
    return plural(n, "subject")


def plural(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


_POINTS = re.compile(r" \((\d+) points?\)$")


def how(result: Result) -> str:
    """``decided by float differences, because ...``; empty for what was decided in balls, or not at all."""
    m = result.measurements
    if result.verdict not in (Verdict.PASS, Verdict.FAIL) or m.get("way") not in ("float", "exact and float"):
        return ""
    reasons = _reasons(result)
    counts = [_POINTS.search(why) for why in reasons]
    where = ""
    if m["way"] != "float" and reasons and all(counts):
        where = f" at {sum(int(found[1]) for found in counts if found)} of {plural(m.get('examples', 0), 'point')}"
    because = "; ".join(_POINTS.sub("", why) for why in reasons)
    return f"decided by float differences{where}" + (f", because {because}" if because else "")


def way(result: Result, finding: Finding) -> str:
    """How ``finding`` was decided, if floats may have: it is about a gradient or a value."""
    return how(result) if finding.code[0] in "GV" else ""


def _reasons(result: Result) -> list[str]:
    """Why the subject did not run in balls, where it did not."""
    given = result.measurements.get("why_not_exact") or ()
    return [given] if isinstance(given, str) else [str(why) for why in given]


def reason(result: Result) -> str:
    """Why a subject has neither passed nor failed, in a sentence; empty when nothing says so."""
    m = result.measurements
    given = m.get("reason")
    if given:
        return str(given)
    undecided = m.get("undecided")
    parts: list[str] = []
    if isinstance(undecided, Mapping) and undecided:
        cases = [f"{why} ({plural(n, 'point')})" if isinstance(n, int) else f"{why} ({n})" for why, n in undecided.items()]
        parts.append(f"undecided: {', '.join(cases)}")
    if _reasons(result):
        parts.append(f"not exact: {'; '.join(_reasons(result))}")
    return ". ".join(parts) or next((f.message for f in result.findings), "")


def number(value: Any) -> float | None:
    """``value`` as a float, if it is a number or a string that says one."""
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def brief(value: float | None) -> str:
    """Two significant digits: ``0.012``, ``2.2e-16``, ``inf``; a hyphen for none."""
    if value is None:
        return "-"
    return re.sub(r"e([+-])0*(\d)", lambda m: f"e{m[1].replace('+', '')}{m[2]}", f"{value:.2g}")


def full(value: Any) -> str:
    """A measured value with all its digits."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return repr(float(value))
    return clean(value)


def seconds(value: Any) -> str:
    """A duration for a narrow column: ``0.012``, ``1.2``, ``120``."""
    s = number(value)
    if s is None:
        return "-"
    return f"{s:.0f}" if s >= 99.5 else f"{s:.1f}" if s >= 0.95 else f"{s:.2f}"


def short_dtype(dtype: str) -> str:
    return _SHORT.get(dtype, dtype)


def ways(result: Result) -> list[tuple[str, float | None]]:
    """The error of each way against the numeric one: analytic at its worst, the float ways as a rule (median)."""
    others = result.measurements.get("float_errors") or {}
    return [("analytic", number(result.measurements.get("max_error")))] + [(w, number(others.get(w))) for w in ("autograd", "classical")]


def amplifications(result: Result) -> list[Amplification]:
    """All largest amplifications of a subject, whether listed by dtype first or by direction."""
    found: list[Amplification] = []
    table = result.measurements.get("amplification")
    for outer, inner in table.items() if isinstance(table, Mapping) else ():
        for key, value in inner.items() if isinstance(inner, Mapping) else [("", inner)]:
            size = number(value)
            if size is None:
                continue
            dtype, part = (key, outer) if outer in ("forward", "backward") else (outer, key)
            found.append(Amplification(str(dtype), str(part), size))
    return found


def worst(result: Result) -> Amplification | None:
    """The worst amplification of all."""
    return max(amplifications(result), key=lambda a: badness(a.value), default=None)


def amplified(result: Result) -> str:
    """The worst amplification and its dtype: ``2.4 f32``; a hyphen for none."""
    found = worst(result)
    return f"{brief(found.value)} {short_dtype(found.dtype)}" if found else "-"


def points(result: Result) -> str:
    """How many points were evaluated."""
    found = number(result.measurements.get("examples"))
    return "-" if found is None else f"{found:.0f}"


def badness(value: float) -> tuple[bool, float]:
    """A key to sort by; NaN is worse than anything."""
    return math.isnan(value), value


_STOP = frozenset(("a", "an", "is", "it", "its", "of", "own", "the"))


def suspect(finding: Finding) -> str:
    """The suspect, and why it is one, unless the message has said so."""
    who, _, why = finding.suspect.partition(": ")
    telling = set(re.findall(r"\w+", why)) - _STOP
    return who if telling <= set(re.findall(r"\w+", finding.message)) else finding.suspect


def inputs(example: Example) -> list[tuple[str, Any]]:
    """Arguments, what a law drew beside them, and cotangents, by name."""
    several = len(example.cotangents) > 1
    cotangents = [(f"cotangent {i}" if several else "cotangent", c) for i, c in enumerate(example.cotangents)]
    return [*example.arguments.items(), *example.extras.items(), *cotangents]


def entry(finding: Finding) -> str:
    """Where in the array: ``argument x, entry [0, 1]``, as far as it is known."""
    parts = [f"argument {finding.argument}"] if finding.argument else []
    index = finding.measured.get("index")
    if isinstance(index, list | tuple) and len(index):
        parts.append(f"entry [{', '.join(str(i) for i in index)}]")
    elif isinstance(index, int):
        parts.append(f"entry [{index}]")
    return ", ".join(parts)


def rows(finding: Finding) -> list[Row]:
    """The numbers side by side: the three ways, or value against exact, or what a rule measured."""
    m = finding.measured
    if "numeric" in m or "analytic" in m:
        numeric = "not available" if m.get("numeric") is None else str(m.get("way") or "central difference")
        ways = [Row("numeric", full(m.get("numeric")), None, numeric)]
        for way in ("analytic", "autograd"):
            given = m.get(way)
            missing = "not available" if given is None else ""
            ways.append(Row(way, full(given), number(m.get(f"{way}_error")), missing))
        known = {"numeric", "analytic", "autograd", "analytic_error", "autograd_error", "index", "way"}
    elif "value" in m or "exact" in m:
        exact = number(m.get("exact"))
        ways = [Row("value", full(m.get("value")), _apart(number(m.get("value")), exact))]
        if "exact" in m:
            ways.append(Row("exact", full(m["exact"])))
        if m.get("reference") is not None:
            ways.append(Row("reference", full(m["reference"]), _apart(number(m["reference"]), exact), "torch"))
        known = {"value", "exact", "reference", "index"}
    else:
        ways, known = [], {"index"}
    size, limit = number(m.get("amplification")), number(m.get("limit"))
    if size is not None:
        remark = "times the error that no algorithm could avoid"
        remark += "" if limit is None else f"; limit {brief(limit)}"
        ways.append(Row("amplification", brief(size), None, remark))
        known |= {"amplification", "limit"}
    # A flag that is down, or a list without entries, tells nothing.
    rest = {key: value for key, value in m.items() if key not in known and _any(value) not in ("", "-", "no")}
    return ways + [Row(key.replace("_", " "), _any(value)) for key, value in rest.items()]


def _apart(value: float | None, exact: float | None) -> float | None:
    if value is None or exact is None or not math.isfinite(exact):
        return None
    if value == exact:
        return 0.0
    return abs(value - exact) / abs(exact) if exact else math.inf


def _any(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{clean(k)}: {_any(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_any(v) for v in value) + "]" if value else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return full(value)


def command(finding: Finding) -> str:
    """The command that shows the finding again; empty for a finding without an id."""
    return finding.reproduce or (f"gradcheck replay {finding.id}" if finding.id else "")

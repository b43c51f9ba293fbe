"""JUnit XML, for the test views of build servers: one test case per subject."""

from __future__ import annotations

from pathlib import PurePosixPath
from xml.etree import ElementTree as ET

from gradcheck.findings import Report, Result, Verdict
from gradcheck.report import view
from gradcheck.report.text import failure_text


def render(report: Report) -> str:
    """The report as XML. Failing subjects carry their text; the undecided are skipped, with a reason."""
    suites = ET.Element("testsuites", name="gradcheck", time=_time(report.seconds))
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for name, results in _suites(report):
        cases = [_case(result) for result in results]
        tally = {
            "tests": len(cases),
            "failures": sum(case.find("failure") is not None for case in cases),
            "errors": sum(case.find("error") is not None for case in cases),
            "skipped": sum(case.find("skipped") is not None for case in cases),
        }
        spent = sum(view.number(result.measurements.get("seconds")) or 0.0 for result in results)
        suite = ET.SubElement(suites, "testsuite", name=view.clean(name), time=_time(spent))
        suite.attrib.update({key: str(n) for key, n in tally.items()})
        suite.extend(cases)
        totals = {key: totals[key] + n for key, n in tally.items()}
    suites.attrib.update({key: str(n) for key, n in totals.items()})
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def classname(result: Result) -> str:
    """``spec.activation``, ``exhibit.activation``, ``submission.alice.layers``: dotted, for trees."""
    path = PurePosixPath(view.family(result).replace("\\", "/"))
    stem = path.with_suffix("") if path.suffix == ".py" else path
    parts = [part.replace(".", "_") for part in stem.parts if part not in ("/", ".", "..")]
    return view.clean(".".join([result.kind, *parts]))


def _suites(report: Report) -> list[tuple[str, list[Result]]]:
    shows = view.exhibits(report)
    return [*view.groups(report), *([("on show", shows)] if shows else [])]


def _case(result: Result) -> ET.Element:
    spent = _time(view.number(result.measurements.get("seconds")) or 0.0)
    case = ET.Element("testcase", name=view.clean(view.label(result)), classname=classname(result), time=spent)
    case.set("file", view.clean(view.relative(result.path)))
    if result.line:
        case.set("line", str(result.line))
    match result.verdict:
        case Verdict.FAIL:
            first = min(result.findings, key=view.rank, default=None)
            message = f"{first.code} {view.title(first)}: {first.message}" if first else _why(result)
            if result.kind == "exhibit":
                message = view.exhibit_line(result)
            kind = ", ".join(view.codes(result)) or "failure"
            _add(case, "failure", message, failure_text(result), kind)
        case Verdict.ERROR:
            _add(case, "error", _why(result), failure_text(result), "error")
        case Verdict.INCONCLUSIVE | Verdict.SKIPPED:
            _add(case, "skipped", f"{result.verdict}: {_why(result)}")
        case Verdict.PASS:
            text = view.exhibit_line(result) if result.kind == "exhibit" else failure_text(result)
            if result.findings:
                ET.SubElement(case, "system-out").text = view.clean(text)
    return case


def _add(case: ET.Element, tag: str, message: str, text: str = "", kind: str = "") -> None:
    element = ET.SubElement(case, tag, message=view.clean(message))
    if kind:
        element.set("type", kind)
    if text:
        element.text = view.clean(text)


def _why(result: Result) -> str:
    return view.reason(result) or "no reason was recorded"


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"

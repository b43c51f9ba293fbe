"""SARIF 2.1.0, for code hosts and editors that show findings at their line."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gradcheck.findings import Finding, Report, Result, Verdict
from gradcheck.report import view
from gradcheck.report.model import layout, plain

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_EXHIBIT = "exhibit"


def render(report: Report) -> str:
    """The report as a SARIF log with one run; what exhibits are there to show is left out."""
    rules: dict[str, dict[str, Any]] = {}
    results: list[dict[str, Any]] = []
    pairs = list(view.counted(report))
    for result, finding in pairs:
        rule = rules.setdefault(finding.code, _rule(finding.code, view.title(finding)))
        results.append(_result(result, finding, list(rules).index(rule["id"])))
    for result in view.exhibits(report):
        if not result.passed and not any(shown is result for shown, _ in pairs):
            rules.setdefault(_EXHIBIT, _rule(_EXHIBIT, "exhibit without its finding"))
            results.append(_silent_exhibit(result, list(rules).index(_EXHIBIT)))
    driver = {
        "name": str(report.tool.get("name", "gradcheck")),
        "version": str(report.tool.get("version", "0")),
        "rules": list(rules.values()),
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report)],
        "results": results,
        "properties": {"environment": plain(report.environment), "options": plain(report.options)},
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return layout(log)


def _rule(code: str, title: str) -> dict[str, Any]:
    return {
        "id": code,
        "name": "".join(word.capitalize() for word in title.split()) or code,
        "shortDescription": {"text": title or code},
        "help": {"text": f"gradcheck explain {code}"},
    }


def _result(result: Result, finding: Finding, index: int) -> dict[str, Any]:
    parts = [finding.message]
    parts += [f"Likely cause: {finding.cause}"] if finding.cause else []
    parts += [f"Suspect: {view.suspect(finding)}"] if finding.suspect else []
    way = view.way(result, finding)
    parts += [f"Way: {way}"] if way else []
    command = view.command(finding)
    parts += [f"Reproduce: {command}"] if command else []
    name = view.label(result)
    key = "\0".join([view.relative(result.path), name, finding.code, finding.argument or ""])
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": str(finding.severity),
        "message": {"text": view.clean(f"{name}: " + "\n".join(parts))},
        "locations": [_location(result, finding.line or result.line)],
        "partialFingerprints": {"gradcheck/v1": hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:32]},
        "properties": {
            "id": finding.id,
            "subject": view.clean(name),
            "kind": result.kind,
            "argument": finding.argument,
            "measured": plain(finding.measured),
        },
    }


def _silent_exhibit(result: Result, index: int) -> dict[str, Any]:
    return {
        "ruleId": _EXHIBIT,
        "ruleIndex": index,
        "level": "error",
        "message": {"text": view.clean(f"{view.label(result)}: {view.exhibit_line(result)}")},
        "locations": [_location(result, result.line)],
    }


def _location(result: Result, line: int | None) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": _artifact(result.path)}
    if line and line > 0:
        physical["region"] = {"startLine": line}
    logical = {"name": view.clean(view.label(result)), "kind": "function"}
    return {"physicalLocation": physical, "logicalLocations": [logical]}


def _artifact(path: str) -> dict[str, str]:
    """A URI below the working directory, the source root, or else an absolute one."""
    near = view.relative(path) or "unknown"
    if Path(near).is_absolute():
        return {"uri": "file://" + quote(Path(near).as_posix(), safe="/", errors="surrogateescape")}
    return {"uri": quote(Path(near).as_posix(), safe="/", errors="surrogateescape"), "uriBaseId": "%SRCROOT%"}


def _invocation(report: Report) -> dict[str, Any]:
    notes = [
        {
            "level": "error" if result.verdict is Verdict.ERROR else "warning",
            "message": {"text": view.clean(f"{view.label(result)}: {result.verdict}: {view.reason(result)}")},
            "locations": [_location(result, result.line)],
        }
        for result in report.subjects
        if result.verdict in (Verdict.ERROR, Verdict.INCONCLUSIVE)
    ]
    return {"executionSuccessful": True, "toolExecutionNotifications": notes}

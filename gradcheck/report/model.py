"""A report as plain data, and back: the JSON that other tools build on (``schema_version`` 1).

The JSON Schema is ``docs/report.schema.json``. Numbers that JSON does not have are the strings
``"nan"``, ``"inf"`` and ``"-inf"``; the inputs of findings replay bit for bit.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any, cast

import numpy as np

from gradcheck.errors import UsageError
from gradcheck.findings import Example, Finding, Report, Result
from gradcheck.report.arrays import decode, encode
from gradcheck.report.view import command, count, title

SCHEMA_VERSION = 1
LINE = 100
"""JSON objects that fit in this many columns stay on one line."""


def render(report: Report) -> str:
    """The report as JSON text, ending in a newline; objects that fit in a line stay on one."""
    return layout(to_dict(report))


def to_dict(report: Report) -> dict[str, Any]:
    """The report as dicts, lists, strings, finite numbers, booleans and None."""
    counts = count(report)
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": plain(report.tool),
        "environment": plain(report.environment),
        "options": plain(report.options),
        "summary": {
            "subjects": counts.subjects,
            "verdicts": {str(verdict): n for verdict, n in counts.verdicts.items()},
            "findings": {str(severity): n for severity, n in counts.severities.items()},
            "exhibits": {"shown": counts.exhibits, "as_expected": counts.exhibits - counts.exhibits_wrong},
            "seconds": plain(report.seconds),
        },
        "subjects": [_subject(result) for result in report.subjects],
    }


def _subject(result: Result) -> dict[str, Any]:
    return {
        "path": result.path,
        "name": result.name,
        "line": result.line,
        "kind": result.kind,
        "convention": result.convention,
        "spec": result.spec,
        "verdict": str(result.verdict),
        "detects": plain(result.detects),
        "measurements": plain(result.measurements),
        "findings": [_finding(finding) for finding in result.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "code": finding.code,
        "rule": finding.rule,
        "title": title(finding),
        "severity": str(finding.severity),
        "argument": finding.argument,
        "message": finding.message,
        "suspect": finding.suspect,
        "cause": finding.cause,
        "line": finding.line,
        "example": None if finding.example is None else example_to_dict(finding.example),
        "measured": plain(finding.measured),
        "reproduce": command(finding),
    }


def plain(value: Any) -> Any:
    """``value`` in JSON's terms; what JSON cannot say becomes a string, arrays become lists."""
    if value is None or isinstance(value, bool | np.bool_):
        return None if value is None else bool(value)
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(plain(k)): plain(v) for k, v in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((plain(v) for v in value), key=repr)
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return str(value)


def example_to_dict(example: Example) -> dict[str, Any]:
    """``example`` as JSON data; the inverse of ``example_from_dict``, bit for bit."""
    return {
        "dtype": example.dtype,
        "seed": example.seed,
        "arguments": {name: encode(value) for name, value in example.arguments.items()},
        "extras": {name: encode(value) for name, value in example.extras.items()},
        "cotangents": [encode(c) for c in example.cotangents],
        "digest": example.digest(),
    }


def example_from_dict(data: Mapping[str, Any]) -> Example:
    """The inputs that ``example_to_dict`` wrote; raises ``UsageError`` if they cannot be rebuilt."""
    try:
        return Example(
            arguments={name: decode(value) for name, value in data["arguments"].items()},
            cotangents=tuple(decode(c) for c in data["cotangents"]),
            dtype=data["dtype"],
            seed=data["seed"],
            extras={name: decode(value) for name, value in data.get("extras", {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"the example cannot be rebuilt ({error!r}); write the report again.") from error


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON report; raises ``UsageError`` if ``path`` is not one of this schema version."""
    try:
        data = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        hint = "Write one with 'gradcheck run --report json:PATH'."
        raise UsageError(f"{path}: cannot read the report: {error.strerror or error}. {hint}") from error
    except ValueError as error:
        raise UsageError(f"{path}: not a JSON report: {error}.") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != SCHEMA_VERSION or not isinstance(data.get("subjects"), list):
        raise UsageError(f"{path}: not a gradcheck report of schema version {SCHEMA_VERSION} (it says {version!r}).")
    return cast(dict[str, Any], data)


def find(data: Mapping[str, Any], id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The subject and the finding called ``id``; the start of an id suffices where it is unique.

    Raises ``UsageError`` when there is none, with the nearest ids, or when there are several.
    """
    every = [(subject, finding) for subject in data["subjects"] for finding in subject["findings"] if finding.get("id")]
    ids = list(dict.fromkeys(finding["id"] for _, finding in every))
    matches = [id] if id in ids else [known for known in ids if id and known.startswith(id)]
    if len(matches) > 1:
        raise UsageError(f"several findings begin with {id!r}: {', '.join(matches[:8])}. Give more of the id.")
    if not matches:
        near = get_close_matches(id, ids, n=3, cutoff=0.3) or ids[:3]
        hint = f"The nearest are {', '.join(near)}." if near else "The report has no findings."
        raise UsageError(f"there is no finding {id!r} in the report. {hint}")
    return next(pair for pair in every if pair[1]["id"] == matches[0])


def layout(value: Any) -> str:
    """JSON text of plain data, ending in a newline; raises ``ValueError`` for non-finite numbers."""
    return _layout(value, "") + "\n"


def _layout(value: Any, indent: str) -> str:
    if not isinstance(value, dict | list) or not value:
        return _dumps(value)
    if isinstance(value, list) and not any(isinstance(v, dict | list) for v in value):
        return _dumps(value)
    line = _dumps(value)
    if len(indent) + len(line) <= LINE:
        return line
    inner = indent + "  "
    if isinstance(value, list):
        body = [_layout(v, inner) for v in value]
        return "[\n" + ",\n".join(inner + text for text in body) + f"\n{indent}]"
    rows = [f"{_dumps(key)}: {_layout(v, inner)}" for key, v in value.items()]
    return "{\n" + ",\n".join(inner + text for text in rows) + f"\n{indent}}}"


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)

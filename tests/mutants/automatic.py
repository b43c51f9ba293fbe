"""The catalog's own vjps, mutated one place at a time: what the checker says of each.

``PYTHONPATH=tests python -m mutants.automatic`` tries all of them on all cores and writes ``reports/mutants.json``; with names, theirs.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradcheck.catalog import load
from gradcheck.evidence import ALL, gather
from gradcheck.examine import explore
from gradcheck.findings import Severity
from gradcheck.function_spec import FunctionSpec
from gradcheck.mutation import Mutant, mutants
from gradcheck.points import Point, points
from gradcheck.rules import match, rank, rules
from gradcheck.subject import house, reference

RECORD = Path(__file__).resolve().parents[2] / "reports" / "mutants.json"
SEED = 0
FIRST, LATER = 10, 400
"""Points at which the mathematics alone is looked at, and at which, if that found nothing, the arithmetic is looked at too."""


class Found(Exception):
    """A finding, which ends the search."""


def every() -> list[tuple[str, Mutant]]:
    return [(name, m) for name, spec in load().specs.items() if spec.backward is not None for m in mutants(spec.backward)]


def finding(spec: FunctionSpec, mutant: Mutant) -> str:
    """The first code of an error or a warning in the mutant; "" if there is none."""
    for examples, parts in ((FIRST, ALL - {"excuses", "arithmetic", "laws", "classical"}), (LATER, ALL - {"excuses", "laws", "classical"})):
        code = _search(spec, mutant, examples, parts)
        if code:
            return code
    return ""


def _search(spec: FunctionSpec, mutant: Mutant, examples: int, parts: frozenset[str]) -> str:
    subject, other = replace(house(spec), backward=mutant.function), reference(spec)

    def visit(point: Point) -> None:
        seen = [m.code for m in match(gather(subject, point, other, (), parts)) if rules()[m.code].severity is not Severity.NOTE]
        if seen:
            raise Found(min(seen, key=rank))

    try:
        explore(points(spec), visit, examples, SEED)
    except Found as found:
        return str(found)
    return ""


def _task(name: str) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    spec = load().specs[name]
    assert spec.backward is not None
    codes = {m.change: finding(spec, m) for m in mutants(spec.backward)}
    found = Counter(code for code in codes.values() if code)
    return {"tried": len(codes), "found": dict(sorted(found.items())), "not found": [change for change, code in codes.items() if not code]}


def main(names: list[str]) -> None:
    """Try the mutants of the specs ``names`` (default: all), and put what was found of each into the record."""
    known = {name for name, _ in every()}
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    wanted = names or sorted(known)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, row in zip(wanted, pool.map(_task, wanted), strict=True):
            record[name] = row
            print(f"{name}: {row}", flush=True)
    record = {name: row for name, row in sorted(record.items()) if name in known}
    print(f"{sum(row['tried'] for row in record.values())} tried, {sum(len(row['not found']) for row in record.values())} not found")
    lines = (f"{json.dumps(name)}: {json.dumps(row)}" for name, row in record.items())
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

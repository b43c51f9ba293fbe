"""The catalog's own vjps, mutated one place at a time: what the checker says of each.

``PYTHONPATH=tests python -m mutants.automatic`` tries all of them on all cores and writes ``reports/mutants.json``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradcheck.catalog import load
from gradcheck.evidence import ALL, gather
from gradcheck.examine import _explore
from gradcheck.findings import Severity
from gradcheck.function_spec import FunctionSpec
from gradcheck.mutation import Mutant, mutants
from gradcheck.points import Point, points
from gradcheck.rules import match, rank, rules
from gradcheck.subject import house, reference

ROOT = Path(__file__).resolve().parents[2]
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
        _explore(points(spec), visit, examples, SEED)
    except Found as found:
        return str(found)
    return ""


def _task(name: str) -> list[dict[str, Any]]:
    import torch

    torch.set_num_threads(1)
    spec = load().specs[name]
    assert spec.backward is not None
    rows = []
    for m in mutants(spec.backward):
        started = time.perf_counter()
        row = {"spec": name, "kind": m.kind, "change": m.change, "code": finding(spec, m)}
        rows.append({**row, "seconds": round(time.perf_counter() - started, 2)})
    return rows


def main(names: list[str]) -> None:
    wanted = names or list(dict.fromkeys(name for name, _ in every()))
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, some in zip(wanted, pool.map(_task, wanted), strict=True):
            rows += some
            missed = [(r["kind"], r["change"]) for r in some if not r["code"]]
            print(f"{name}: {len(some)} in {sum(r['seconds'] for r in some):.1f} s, not found {missed}", flush=True)
    print(Counter(r["code"] for r in rows))
    (ROOT / "reports" / "mutants.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

"""The whole catalog through the command line, in two processes, as a user runs it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COMMAND = (sys.executable, "-c", "from gradcheck.cli import main; main()", "run")
JOBS = 2


@dataclass(frozen=True)
class Run:
    """One ``gradcheck run``: wall and CPU seconds (children included), its exit status, and verdicts that are not pass."""

    examples: int
    jobs: int
    subjects: int
    seconds: float
    cpu_seconds: float
    status: int
    not_passed: tuple[str, ...]


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(examples: int, names: Sequence[str] = ()) -> Run:
    """Run ``names`` (the whole catalog, if there are none) in a temporary folder and read its report."""
    with tempfile.TemporaryDirectory() as folder:
        before, started = _children(), time.perf_counter()
        words = [*COMMAND, *names, "--jobs", str(JOBS), "--examples", str(examples)]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
        seconds, cpu = time.perf_counter() - started, _children() - before
        written = Path(folder, "reports", "latest.json")
        if not written.exists():
            raise RuntimeError(f"gradcheck run wrote no report (exit status {done.returncode}):\n{done.stderr[-2000:]}")
        subjects = json.loads(written.read_text())["subjects"]
    failed = tuple(f"{s['name']} ({s['verdict']})" for s in subjects if s["verdict"] != "pass")
    return Run(examples, JOBS, len(subjects), seconds, cpu, done.returncode, failed)

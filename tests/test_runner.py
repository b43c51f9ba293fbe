"""Many subjects at once: order, isolation from one another, and what a bad one costs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from gradcheck import runner
from gradcheck.catalog import load
from gradcheck.examine import Settings
from gradcheck.findings import Verdict
from gradcheck.runner import OutOfTime, limited


def _verdicts(project: Any) -> dict[str, str]:
    return {s["name"]: s["verdict"] for s in project.latest()["subjects"]}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_worker_that_dies_costs_its_subject_only(project: Any, page: Callable[..., str], jobs: int) -> None:
    project.specs("a.py", page("first"), page("dies", forward="os._exit(0)"), page("last", vjp="return x * dy"))
    result = project.run("a.py", jobs=jobs, examples=3)
    assert result.exit_code == 3, result.output
    assert _verdicts(project) == {"first": "pass", "dies": "error", "last": "fail"}
    assert "the worker process died while it ran this" in result.output
    assert "a.py:21" in result.output


def test_the_only_subject_dies(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("dies", forward="os._exit(0)"))
    assert project.run("a.py", jobs=1, examples=3).exit_code == 3
    assert _verdicts(project) == {"dies": "error"}


def test_processes_do_not_matter(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("right"), page("half", vjp="return x * dy"), page("other", vjp="return 2 * x"))

    def results(jobs: int) -> list[Any]:
        assert project.run("a.py", jobs=jobs).exit_code == 1
        subjects = project.latest()["subjects"]
        for s in subjects:
            s["measurements"].pop("seconds")
        return subjects

    assert results(0) == results(2)


def test_an_endless_loop_costs_its_subject_only(project: Any, page: Callable[..., str]) -> None:
    project.specs("a.py", page("first"))
    project.run("a.py", examples=1)
    project.specs("b.py", page("loops", forward="while x is not None: pass"), page("last"))
    result = project.run("b.py", "--timeout", "2", examples=1)
    assert result.exit_code == 2, result.output
    assert _verdicts(project) == {"loops": "error", "last": "pass"}
    assert "not finished after 2 s, at line 13" in result.output


def test_limited_restores_the_timer() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(OutOfTime), limited(0.05):
        time.sleep(5)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    with limited(0):
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_tasks_come_in_the_order_of_the_catalog(project: Any, page: Callable[..., str]) -> None:
    exhibit = '\n\n@b.exhibit("half", expects="G102", part="vjp")\ndef _(dy, x, y):\n    return x * dy\n'
    path = str(project.specs("a.py", page("b", more=exhibit), page("a")))
    catalog = load([path])
    tasks = runner.of_catalog(catalog, [path], [])
    assert [(t.spec, t.exhibit) for t in tasks] == [("b", None), ("a", None), ("b", 0)]
    assert [t.spec for t in runner.of_catalog(catalog, [path], ["a", "a"])] == ["a"]
    seen: list[str] = []
    results = runner.run(tasks, Settings(10), 0, lambda r: seen.append(r.name))
    assert [r.name for r in results] == seen == ["b", "a", "b: half"]
    assert all(r.verdict is Verdict.PASS for r in results)


def test_the_report_says_how_to_run_it_again() -> None:
    made = runner.report([], Settings(7, 3, ("G",), ("N",)), ["a.py"], None, 1.5)
    assert made.options == {"examples": 7, "seed": 3, "select": ["G"], "ignore": ["N"], "specs": ["a.py"], "subject": None}
    assert {"python", "numpy", "torch", "hypothesis", "python-flint", "cores"} <= set(made.environment)
    assert made.environment["cores"] == os.cpu_count()

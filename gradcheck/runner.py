"""Many subjects, through a pool of worker processes that load the catalog and torch once."""

from __future__ import annotations

import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gradcheck import __version__
from gradcheck.catalog import Catalog, Problem, load
from gradcheck.config import Config
from gradcheck.errors import SpecError
from gradcheck.examine import Settings, examine
from gradcheck.findings import Report, Result, Verdict
from gradcheck.function_spec import Exhibit, FunctionSpec
from gradcheck.subject import bind, house, implementations, locate, on_show, reference


@dataclass(frozen=True)
class Task:
    """One subject to examine, by name, so that a worker can find it again.

    ``exhibit`` numbers the exhibit of the spec on show; ``module`` and ``entry`` name an
    implementation of somebody else's.
    """

    sources: tuple[str, ...]
    spec: str
    exhibit: int | None = None
    module: str | None = None
    entry: int = 0
    named: tuple[tuple[str, Any], ...] = ()


def of_catalog(catalog: Catalog, sources: Sequence[str], names: Sequence[str]) -> list[Task]:
    """The specs called ``names`` (all, if there are none) and their exhibits."""
    chosen = [catalog.find(name) for name in names] or list(catalog.specs.values())
    specs = [Task(tuple(sources), s.name) for s in chosen]
    return specs + [Task(tuple(sources), s.name, exhibit=i) for s in chosen for i in range(len(s.exhibits))]


def of_subject(catalog: Catalog, sources: Sequence[str], names: Sequence[str], module: str, config: Config) -> list[Task]:
    """What ``module`` implements, out of ``names`` (all, if there are none).

    Raises ``SpecError`` for a module that does not import or binds a spec that does not exist.
    """
    named = tuple(config.subjects.items())
    found = implementations(module, config.subjects)
    for name in names:
        catalog.find(name)
    for spec, _, _ in found:
        catalog.find(spec)
    return [
        Task(tuple(sources), spec, module=module, entry=i, named=named)
        for i, (spec, _, _) in enumerate(found)
        if not names or spec in names
    ]


@lru_cache(maxsize=4)
def _catalog(sources: tuple[str, ...]) -> Catalog:
    return load(sources)


def perform(task: Task, settings: Settings) -> Result:
    """Examine one subject here and now; an error of ours becomes a result with verdict error."""
    started = time.perf_counter()
    spec = _catalog(task.sources).find(task.spec)
    try:
        if task.module is not None:
            _, forward, backward = implementations(task.module, dict(task.named))[task.entry]
            return examine(bind(spec, forward, backward), spec, reference(spec), settings, kind="submission", laws=spec.laws)
        if task.exhibit is not None:
            return examine_exhibit(spec, spec.exhibits[task.exhibit], settings)
        return examine_spec(spec, settings)
    except SpecError as error:
        return lost(task, str(error), SPEC, time.perf_counter() - started)
    except Exception as error:
        return lost(task, f"gradcheck itself failed: {type(error).__name__}: {error}", OURS, time.perf_counter() - started)


def examine_spec(spec: FunctionSpec, settings: Settings) -> Result:
    """The spec's own forward and vjp."""
    return examine(house(spec), spec, reference(spec), settings, laws=spec.laws)


def examine_exhibit(spec: FunctionSpec, exhibit: Exhibit, settings: Settings) -> Result:
    """An exhibit; only one that is on show for breaking a law pays for checking the laws."""
    laws = spec.laws if "V103" in exhibit.expects else []
    return examine(on_show(spec, exhibit), spec, reference(spec), settings, kind="exhibit", exhibit=exhibit, laws=laws)


SPEC, OURS = "spec", "gradcheck"
"""Whose fault an error is: it decides the exit status."""


def lost(task: Task, reason: str, fault: str = OURS, seconds: float = 0.0) -> Result:
    """The result of a task that could not be carried out, through the ``fault`` of the spec or of gradcheck."""
    spec = _catalog(task.sources).find(task.spec)
    name, path, line = task.spec, spec.path, spec.line
    kind = "exhibit" if task.exhibit is not None else "submission" if task.module else "spec"
    if task.exhibit is not None:
        name = f"{task.spec}: {spec.exhibits[task.exhibit].title}"
        path, found = locate(spec.exhibits[task.exhibit].body)
        line = found or line
    measurements = {"reason": reason, "fault": fault, "seconds": seconds}
    return Result(path, name, line, kind, kind, task.spec, Verdict.ERROR, None, measurements)


def unusable(problem: Problem) -> Result:
    """The result that stands for a spec file, or a spec, that could not be loaded."""
    name = os.path.basename(problem.path)
    return Result(problem.path, name, problem.line, "spec", "spec", None, Verdict.ERROR, None, {"reason": problem.message, "fault": SPEC})


def run(tasks: Sequence[Task], settings: Settings, jobs: int, seen: Callable[[Result], None] = lambda result: None) -> list[Result]:
    """The results of ``tasks``, in their order; ``seen`` is called with each as it comes.

    ``jobs`` processes work at them; with 1, this process does. A worker that dies costs the
    task that killed it, and no other.
    """
    if jobs <= 1 or len(tasks) <= 1:
        results = []
        for task in tasks:
            results.append(perform(task, settings))
            seen(results[-1])
        return results
    found: dict[int, Result] = {}
    waiting = list(range(len(tasks)))
    while waiting:
        with pool(min(jobs, len(waiting))) as executor:
            for i, result in _collect(executor, tasks, waiting, settings):
                found[i] = result
                seen(result)
        left = [i for i in waiting if i not in found]
        if left and jobs == 1:
            found[left[0]] = lost(tasks[left[0]], "the worker process died while it ran this")
            seen(found[left[0]])
            left = left[1:]
        waiting, jobs = left, 1
    return [found[i] for i in range(len(tasks))]


def pool(jobs: int) -> Executor:
    """Worker processes, each started afresh, since torch does not survive a fork."""
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_start)


def _start() -> None:
    import torch

    torch.set_num_threads(1)


def _collect(executor: Executor, tasks: Sequence[Task], waiting: Sequence[int], settings: Settings) -> Iterator[tuple[int, Result]]:
    """Results as they come; ends early when the pool breaks, with the rest still to do."""
    futures: dict[Future[Result], int] = {executor.submit(perform, tasks[i], settings): i for i in waiting}
    while futures:
        done, _ = wait(futures, return_when=FIRST_COMPLETED)
        for future in done:
            i = futures.pop(future)
            try:
                yield i, future.result()
            except BrokenProcessPool:
                return


def report(results: Sequence[Result], settings: Settings, sources: Sequence[str], module: str | None, seconds: float) -> Report:
    """The results with all that is needed to run the same again."""
    options = {
        "examples": settings.examples, "seed": settings.seed, "select": list(settings.select), "ignore": list(settings.ignore),
        "specs": list(sources), "subject": module,
    }  # fmt: skip
    return Report({"name": "gradcheck", "version": __version__}, environment(), options, tuple(results), seconds)


def environment() -> dict[str, Any]:
    """Versions and platform, without importing what is not needed to read them."""
    found = {"python": platform.python_version(), "platform": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()}
    for name in ("numpy", "scipy", "torch", "hypothesis", "python-flint"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found

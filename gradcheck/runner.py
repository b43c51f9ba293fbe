"""Many subjects, through a pool of worker processes that load the catalog and torch once."""

from __future__ import annotations

import gc
import multiprocessing
import os
import platform
import re
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gradcheck import __version__
from gradcheck.catalog import Catalog, Problem, load
from gradcheck.config import Config, nearest
from gradcheck.errors import SpecError
from gradcheck.examine import Settings, examine
from gradcheck.findings import Report, Result, Verdict
from gradcheck.function_spec import Exhibit, FunctionSpec
from gradcheck.subject import Bound, Unbound, bind, house, locate, on_show, provided, reference


@dataclass(frozen=True)
class Task:
    """One subject to examine, by name, so that a worker can find it again.

    ``exhibit`` numbers the exhibit of the spec on show; ``module`` and ``entry`` name an
    implementation of somebody else's. ``name`` and ``place``, a file and a line, are the subject's.
    """

    sources: tuple[str, ...]
    spec: str
    name: str
    place: tuple[str, int | None]
    exhibit: int | None = None
    module: str | None = None
    entry: int = 0
    named: tuple[tuple[str, Any], ...] = ()


def of_catalog(catalog: Catalog, sources: Sequence[str], names: Sequence[str]) -> list[Task]:
    """The specs called ``names`` (all of ``catalog``, if there are none) and their exhibits."""
    chosen = [catalog.find(name) for name in dict.fromkeys(names)] or list(catalog.specs.values())
    specs = [Task(tuple(sources), s.name, s.name, locate(s.forward)) for s in chosen]
    return specs + [
        Task(tuple(sources), s.name, f"{s.name}: {e.title}", locate(e.body), exhibit=i) for s in chosen for i, e in enumerate(s.exhibits)
    ]


def of_subject(
    catalog: Catalog, sources: Sequence[str], names: Sequence[str], module: str, config: Config
) -> tuple[list[Task], list[Problem]]:
    """What ``module`` implements, out of ``names`` (all, if there are none), and what it binds in vain.

    Raises ``SpecError`` for a module that does not import, or a name that no spec has.
    """
    for name in names:
        catalog.find(name)
    tasks: list[Task] = []
    problems: list[Problem] = []
    for i, entry in enumerate(_provided(module, tuple(config.subjects.items()))):
        spec = entry.spec if isinstance(entry, Unbound) else entry[0]
        if names and spec not in names:
            continue
        if isinstance(entry, Unbound):
            problems.append(Problem(*_configured(spec), entry.reason, spec))
            continue
        name, place = getattr(entry[1], "__name__", spec), locate(entry[1])
        try:
            catalog.find(spec)
        except SpecError as error:
            problems.append(Problem(*place, str(error), name))
        else:
            tasks.append(Task(tuple(sources), spec, name, place, module=module, entry=i, named=tuple(config.subjects.items())))
    return tasks, problems


def _provided(module: str, named: tuple[tuple[str, Any], ...]) -> list[Bound | Unbound]:
    try:
        return provided(module, dict(named))
    except SpecError as error:
        raise SpecError(f"--subject {error}") from error


def _configured(spec: str) -> tuple[str, int | None]:
    """The ``pyproject.toml`` that holds here, and its line that names the subject for ``spec``."""
    path = nearest() or Path("pyproject.toml")
    with suppress(OSError, UnicodeDecodeError):
        lines = path.read_text(encoding="utf-8").splitlines()
        table = next((i for i, line in enumerate(lines) if line.replace(" ", "").startswith("[tool.gradcheck.subjects")), 0)
        entry = re.compile(rf"""\s*(\[.*\.)?["']?{re.escape(spec)}["']?\s*[]=]""")
        return str(path), next((i + 1 for i in range(table, len(lines)) if entry.match(lines[i])), None)
    return str(path), None


@lru_cache(maxsize=4)
def _catalog(sources: tuple[str, ...]) -> Catalog:
    return load(sources, some=False)


class OutOfTime(BaseException):
    """The time for one subject is up; an ``except Exception`` in the code under test does not stop it."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise ``OutOfTime`` after ``seconds`` (0: never), where there are timers and this is the main thread."""
    if not seconds or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def perform(task: Task, settings: Settings, timeout: float = 0) -> Result:
    """Examine one subject here and now; an error of ours becomes a result with verdict error."""
    started = time.perf_counter()
    try:
        with limited(timeout):
            return _perform(task, settings)
    except OutOfTime as error:
        at = _interrupted(task, error)
        fault, reason = SPEC, f"not finished after {timeout:g} s{at}; if it is no endless loop, give it more time with --timeout"
    except SpecError as error:
        fault, reason = SPEC, str(error)
    except (Exception, SystemExit) as error:
        fault, reason = OURS, f"gradcheck itself failed: {type(error).__name__}: {error}"
    return lost(task, reason, fault, time.perf_counter() - started)


def _perform(task: Task, settings: Settings) -> Result:
    spec = _catalog(task.sources).find(task.spec)
    if task.module is not None:
        entry = _provided(task.module, task.named)[task.entry]
        if isinstance(entry, Unbound):
            raise SpecError(entry.reason)
        _, forward, backward = entry
        return examine(bind(spec, forward, backward), spec, reference(spec), settings, kind="submission", laws=spec.laws)
    if task.exhibit is not None:
        return examine_exhibit(spec, spec.exhibits[task.exhibit], settings)
    return examine_spec(spec, settings)


def _interrupted(task: Task, error: BaseException) -> str:
    """Where in the file of the subject its time was up."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == task.place[0]]
    return f", at line {lines[-1]}" if lines else ""


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
    kind = "exhibit" if task.exhibit is not None else "submission" if task.module is not None else "spec"
    family = _catalog(task.sources).find(task.spec).family
    measurements = {"family": family, "reason": reason, "fault": fault, "seconds": seconds}
    path, line = task.place
    return Result(path, task.name, line, kind, kind, task.spec, Verdict.ERROR, None, measurements)


def unusable(problem: Problem, kind: str = "spec") -> Result:
    """The result that stands for what could not be loaded: a spec (file), or a "submission"."""
    name = problem.name or os.path.basename(problem.path)
    return Result(problem.path, name, problem.line, kind, kind, None, Verdict.ERROR, None, {"reason": problem.message, "fault": SPEC})


def run(
    tasks: Sequence[Task], settings: Settings, jobs: int, seen: Callable[[Result], None] = lambda result: None, timeout: float = 0
) -> list[Result]:
    """The results of ``tasks``, in their order; ``seen`` is called with each as it comes.

    ``jobs`` processes work at them; with 0, this process does. A worker that dies costs the
    task that killed it, and no other; so does a task that takes more than ``timeout`` seconds.
    """
    _catalog.cache_clear()
    if jobs == 0:
        results = []
        for task in tasks:
            results.append(perform(task, settings, timeout))
            seen(results[-1])
        return results
    found: dict[int, Result] = {}
    waiting = list(range(len(tasks)))
    while waiting:
        executor = pool(min(jobs, len(waiting)))
        try:
            for i, result in _collect(executor, tasks, waiting, settings, timeout):
                found[i] = result
                seen(result)
        except BaseException:
            _abandon(executor)
            raise
        executor.shutdown()
        left = [i for i in waiting if i not in found]
        if left and jobs == 1:
            died = "the worker process died while it ran this: os._exit, a crash of native code, or no memory left"
            found[left[0]] = lost(tasks[left[0]], died)
            seen(found[left[0]])
            left = left[1:]
        waiting, jobs = left, 1
    return [found[i] for i in range(len(tasks))]


def pool(jobs: int) -> ProcessPoolExecutor:
    """Worker processes, each started afresh, since torch does not survive a fork."""
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_start)


def _abandon(executor: ProcessPoolExecutor) -> None:
    """End the workers without waiting for what they do."""
    workers = list((getattr(executor, "_processes", None) or {}).values())
    executor.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()


def _start() -> None:
    # Ctrl-C reaches the whole process group; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(1)
    gc.freeze()  # what is imported stays: nothing for the collector to look through again and again


def _collect(
    executor: Executor, tasks: Sequence[Task], waiting: Sequence[int], settings: Settings, timeout: float
) -> Iterator[tuple[int, Result]]:
    """Results as they come; ends early when the pool breaks, with the rest still to do."""
    futures: dict[Future[Result], int] = {}
    with suppress(BrokenProcessPool):
        for i in waiting:
            futures[executor.submit(perform, tasks[i], settings, timeout)] = i
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

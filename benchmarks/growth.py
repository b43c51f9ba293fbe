"""How the cost of one check grows with the number of inputs, for every engine that is installed."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.engines import OURS, QUADRATIC, Engine, Task, ask, installed
from benchmarks.problems import PROBLEMS, RIGHT, Problem

SIZES = (10, 100, 1000, 10_000, 100_000)
LARGEST = dict.fromkeys(QUADRATIC, 1000)
"""Where the engines that evaluate the function for every input stop."""

BASIS = "2 forwards + 1 backward"
REPEATS = 5
PATIENCE = 20.0
"""Seconds that all sizes of one engine may take before the next size is left out."""


@dataclass(frozen=True)
class Cost:
    """One check: CPU seconds (the least of some), calls, and the peak of Python's own memory in bytes (ours only)."""

    problem: str
    engine: str
    size: int
    seconds: float
    forwards: int
    backwards: int
    passed: bool | None
    peak: int | None


def measure(problems: Iterable[Problem] = PROBLEMS, sizes: Sequence[int] = SIZES, repeats: int = REPEATS) -> list[Cost]:
    """Every engine on every problem at growing sizes, on one torch thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [
            cost for problem in problems for name, engine in _engines().items() for cost in _grow(problem, name, engine, sizes, repeats)
        ]
    finally:
        torch.set_num_threads(threads)


def _engines() -> dict[str, Engine]:
    return {BASIS: _basis, **installed()}


def _basis(task: Task, forward: Callable[..., Any], vjp: Callable[..., Any]) -> bool:
    y = forward(task.x)
    forward(task.x)
    vjp(np.ones_like(y), task.x)
    return True


def floor(size: int) -> float:
    """Seconds that arb needs for the three tanh of a check of ``size`` inputs, and nothing else, with 64 bits."""
    from flint import arb, ctx

    with ctx.workprec(64):
        numbers = [arb(float(a)) for a in np.random.default_rng(size).standard_normal(size)]
        times = []
        for _ in range(REPEATS):
            started = time.process_time()
            for _ in range(3):
                for a in numbers:
                    a.tanh()
            times.append(time.process_time() - started)
    return min(times)


def _grow(problem: Problem, name: str, engine: Engine, sizes: Sequence[int], repeats: int) -> Iterable[Cost]:
    spent = 0.0
    for size in sizes:
        if size > LARGEST.get(name, max(sizes)) or spent > PATIENCE:
            return
        task = Task(problem, RIGHT, np.random.default_rng(size).standard_normal(size))
        ask(engine, task)  # warms up: imports, compilation
        times = []
        for _ in range(repeats):
            started = time.process_time()
            passed, forwards, backwards = ask(engine, task)
            times.append(time.process_time() - started)
            spent += times[-1]
            if spent > PATIENCE:
                break
        yield Cost(problem.name, name, size, min(times), forwards, backwards, passed, _peak(engine, task) if name in OURS else None)


def _peak(engine: Engine, task: Task) -> int:
    tracemalloc.start()
    try:
        ask(engine, task)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def exponent(costs: Sequence[Cost], value: Callable[[Cost], float]) -> float:
    """The power of N with which ``value`` grows between the two largest sizes; NaN for fewer than two."""
    if len(costs) < 2:
        return math.nan
    first, last = costs[-2], costs[-1]
    return math.log(value(last) / value(first)) / math.log(last.size / first.size)

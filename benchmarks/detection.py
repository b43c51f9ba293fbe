"""Two tables: which wrong gradients each engine finds, and which right ones it accuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.engines import QUADRATIC, Engine, Task, ask, installed
from benchmarks.problems import ELEMENTWISE, HARD, RIGHT, SLIPS, Hard, Slip

SIZES = (100, 1000, 8000)
ALARM_SIZE = 100
LARGEST_DENSE = 1000


@dataclass(frozen=True)
class Share:
    """Of ``trials``: how many gradients were accused, and how many got no verdict."""

    engine: str
    case: str
    size: int
    trials: int
    accused: int
    undecided: int


def detection(trials: int, sizes: Sequence[int] = SIZES) -> list[Share]:
    """Wrong gradients of tanh, all entrywise."""
    normal = Hard(ELEMENTWISE, lambda rng, n: rng.standard_normal(n))
    return [
        _share(engine, name, slip.name, normal, slip, size, trials)
        for size in sizes
        for name, engine in installed().items()
        if not (name in QUADRATIC and size > LARGEST_DENSE)
        for slip in SLIPS
    ]


def alarms(trials: int, size: int = ALARM_SIZE) -> list[Share]:
    """Right gradients where checkers stumble."""
    engines = installed().items()
    return [_share(engine, name, hard.problem.name, hard, RIGHT, size, trials) for name, engine in engines for hard in HARD]


def _share(engine: Engine, name: str, case: str, hard: Hard, slip: Slip, size: int, trials: int) -> Share:
    rng = np.random.default_rng(0)
    tasks = [Task(hard.problem, slip, hard.draw(rng, size), seed) for seed in range(trials)]
    verdicts = [ask(engine, task)[0] for task in tasks]
    return Share(name, case, size, trials, sum(v is False for v in verdicts), sum(v is None for v in verdicts))

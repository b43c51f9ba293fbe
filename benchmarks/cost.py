"""Cost: one check of a function of 20 inputs, beside torch.autograd.gradcheck on the same function."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import gradcheck
from gradcheck.evidence import gather
from gradcheck.points import Point
from gradcheck.rules import match
from gradcheck.subject import NumpyPair, TorchCallable

INPUTS = 20
YARDSTICK = "torch.autograd.gradcheck, fast"


@dataclass(frozen=True)
class Cost:
    """The median CPU seconds of one check, and their ratio to the median of the yardstick."""

    name: str
    seconds: float
    ratio: float
    ours: bool


def tanh(x: np.ndarray) -> np.ndarray:
    return np.tanh(x)


def tanh_vjp(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return dy / np.cosh(x) ** 2


def checks() -> dict[str, Callable[[], Any]]:
    """Every check to time, by name, at the same point; each returns something true if all is well."""
    x = np.linspace(-1, 1, INPUTS)
    point = Point({"x": x}, origin="given")
    tensor = torch.tensor(x, requires_grad=True)
    pair = NumpyPair("tanh", tanh, tanh_vjp, ("x",), ("x",))
    callable_ = TorchCallable("tanh", torch.tanh, ("x",), ("x",))
    return {
        "engine (gather and match), NumPy pair": lambda: not match(gather(pair, point)),
        "engine (gather and match), torch callable": lambda: not match(gather(callable_, point)),
        "gradcheck.check, NumPy pair": lambda: gradcheck.check(tanh, tanh_vjp, x),
        "gradcheck.check, torch callable": lambda: gradcheck.check(torch.tanh, tensor),
        YARDSTICK: lambda: torch.autograd.gradcheck(torch.tanh, (tensor,), fast_mode=True),
        "torch.autograd.gradcheck, slow": lambda: torch.autograd.gradcheck(torch.tanh, (tensor,)),
    }


def measure(rounds: int) -> list[Cost]:
    """Every check once per round, one after the other; the first, untimed round warms up and asserts that all pass.

    CPU seconds, since a busy machine interrupts long checks more often than short ones; none of them waits for anything.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        todo = checks()
        for name, check in todo.items():
            if not check():
                raise RuntimeError(f"{name}: a right gradient did not pass")
        times: dict[str, list[float]] = {name: [] for name in todo}
        for _ in range(rounds):
            for name, check in todo.items():
                started = time.process_time()
                check()
                times[name].append(time.process_time() - started)
    finally:
        torch.set_num_threads(threads)
    yardstick = times[YARDSTICK]
    return [
        Cost(name, statistics.median(spent), statistics.median(spent) / statistics.median(yardstick), not name.startswith("torch."))
        for name, spent in times.items()
    ]

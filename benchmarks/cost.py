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
from gradcheck.along import agrees
from gradcheck.points import Point
from gradcheck.subject import NumpyPair
from gradcheck.ways.analytic import Exactly

INPUTS = 20
YARDSTICK = "torch.autograd.gradcheck, fast"
EXACT = "exact check of the mathematics"


@dataclass(frozen=True)
class Cost:
    """The median CPU seconds of one check, and their ratio to the median of the yardstick."""

    name: str
    seconds: float
    ratio: float


def tanh(x: np.ndarray) -> np.ndarray:
    return np.tanh(x)


def tanh_vjp(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return dy / np.cosh(x) ** 2


class Tanh(torch.autograd.Function):
    """The same forward and backward, written for torch."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return torch.tanh(x)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return dy / torch.cosh(x) ** 2


def exact_check(pair: NumpyPair, point: Point) -> bool:
    """What torch.autograd.gradcheck decides, decided in balls: value, both sides and backward, along one direction."""
    exactly = Exactly(pair, list(point.primals.values()), point.cotangents(((INPUTS,),)))
    return agrees(exactly, point, 0)


def checks() -> dict[str, Callable[[], Any]]:
    """Every check to time, by name, at the same point; each returns something true if all is well."""
    x = np.linspace(-1, 1, INPUTS)
    point = Point({"x": x}, origin="given")
    tensor = torch.tensor(x, requires_grad=True)
    pair = NumpyPair("tanh", tanh, tanh_vjp, ("x",), ("x",))
    return {
        EXACT: lambda: exact_check(pair, point),
        "gradcheck.check, mathematics alone": lambda: gradcheck.check(tanh, tanh_vjp, x, select="G"),
        "gradcheck.check, mathematics and arithmetic": lambda: gradcheck.check(tanh, tanh_vjp, x),
        "gradcheck.check, the torch Function": lambda: gradcheck.check(Tanh, tensor),
        YARDSTICK: lambda: torch.autograd.gradcheck(Tanh.apply, (tensor,), fast_mode=True),
        "torch.autograd.gradcheck, slow": lambda: torch.autograd.gradcheck(Tanh.apply, (tensor,)),
        "torch.autograd.gradcheck, fast, torch's own tanh": lambda: torch.autograd.gradcheck(torch.tanh, (tensor,), fast_mode=True),
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
    return [Cost(name, statistics.median(spent), statistics.median(spent) / statistics.median(yardstick)) for name, spent in times.items()]

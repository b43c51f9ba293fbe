"""Gradient checkers behind one question: does this gradient pass? Ours, and those of other libraries where they are installed."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.problems import Problem, Slip
from gradcheck.floats import float_gradients
from gradcheck.gradients import measure_gradient
from gradcheck.points import Point
from gradcheck.subject import NumpyPair
from gradcheck.ways.analytic import Exactly, FloatRun

RELATIVE = 1e-6
"""What a library that only gives a numeric derivative is held to: the course rule."""


class Counted:
    """A function that counts how often it is called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        return self.function(*args)


@dataclass(frozen=True)
class Task:
    """One gradient to check: forward and backward of ``problem`` with a ``slip``, in NumPy, at ``x``; calls are counted."""

    problem: Problem
    slip: Slip
    x: np.ndarray
    seed: int = 0

    def forward(self, xp: Any) -> Callable[[Any], Any]:
        return lambda x: self.problem.forward(xp, x)

    def vjp(self, xp: Any) -> Callable[[Any, Any], Any]:
        return lambda dy, x: self.slip.apply(xp, self.problem.vjp(xp, dy, x))


Engine = Callable[[Task, Counted, Counted], bool | None]
"""From a task, and its counted NumPy forward and vjp, to whether it passes; None without a verdict."""


def exact(task: Task, forward: Counted, vjp: Counted) -> bool | None:
    pair, point, cotangents = _pair(task, forward, vjp)
    run = FloatRun(cotangents=cotangents, gradients=(None,))
    found, _ = measure_gradient(Exactly(pair, [task.x], cotangents), point, run, None, 0, frozenset(), False)
    return None if found.agreement == "undecided" else found.agreement == "equal"


def floats(task: Task, forward: Counted, vjp: Counted) -> bool | None:
    pair, point, cotangents = _pair(task, forward, vjp)
    (found,) = float_gradients(pair, point, FloatRun(cotangents=cotangents, gradients=(None,)), None)
    return None if found.agreement == "undecided" else found.agreement == "equal"


@dataclass(frozen=True)
class _CountedPair(NumpyPair):
    """A pair whose evaluations are counted, without hiding its functions from the stand-ins."""

    counts: tuple[Counted, ...] = ()

    def value(self, primals: Sequence[Any]) -> tuple[Any, ...]:
        self.counts[0].calls += 1
        return super().value(primals)

    def gradient(self, cotangents: Sequence[Any], primals: Sequence[Any], outputs: Sequence[Any]) -> tuple[Any, ...]:
        self.counts[1].calls += 1
        return super().gradient(cotangents, primals, outputs)


def _pair(task: Task, forward: Counted, vjp: Counted) -> tuple[_CountedPair, Point, tuple[np.ndarray, ...]]:
    pair = _CountedPair("f", forward.function, vjp.function, ("x",), ("x",), counts=(forward, vjp))
    point = Point({"x": task.x}, seed=task.seed, origin="given")
    return pair, point, point.cotangents((np.shape(forward.function(task.x)),))


def _torch(fast: bool) -> Engine:
    def check(task: Task, forward: Counted, vjp: Counted) -> bool:
        import torch

        class Function(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.save_for_backward(x)
                forward.calls += 1
                return task.problem.forward(torch, x)

            @staticmethod
            def backward(ctx: Any, dy: Any) -> Any:
                vjp.calls += 1
                return task.slip.apply(torch, task.problem.vjp(torch, dy, *ctx.saved_tensors))

        x = torch.tensor(task.x, requires_grad=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bool(torch.autograd.gradcheck(Function.apply, (x,), fast_mode=fast, raise_exception=False))

    return check


def jax(task: Task, forward: Counted, vjp: Counted) -> bool:
    import jax as library
    import jax.numpy as jnp
    from jax.test_util import check_grads

    library.config.update("jax_enable_x64", True)

    @library.custom_vjp
    def f(x: Any) -> Any:
        forward.calls += 1
        return task.problem.forward(jnp, x)

    def backward(x: Any, dy: Any) -> Any:
        vjp.calls += 1
        return (task.slip.apply(jnp, task.problem.vjp(jnp, dy, x)),)

    f.defvjp(lambda x: (f(x), x), backward)
    try:
        check_grads(f, (jnp.asarray(task.x),), order=1, modes=("rev",))
    except AssertionError:
        return False
    return True


def hips(task: Task, forward: Counted, vjp: Counted) -> bool:
    import autograd.numpy as anp
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    @primitive
    def f(x: Any) -> Any:
        forward.calls += 1
        return task.problem.forward(np, x)

    def make(ans: Any, x: Any) -> Any:
        def backward(dy: Any) -> Any:
            vjp.calls += 1
            return task.slip.apply(np, task.problem.vjp(np, dy, x))

        return backward

    defvjp(f, make)
    assert anp
    try:
        check_grads(f, modes=["rev"], order=1)(task.x)
    except AssertionError:
        return False
    return True


def _by_derivative(derivative: Callable[[Callable[[Any], Any], np.ndarray], np.ndarray]) -> Engine:
    """A library that differentiates a scalar function, held to the course rule."""

    def check(task: Task, forward: Counted, vjp: Counted) -> bool:
        y = forward(task.x)
        v = np.random.default_rng(task.seed).standard_normal(np.shape(y))
        numeric = np.asarray(derivative(lambda x: np.sum(v * forward(np.asarray(x).reshape(-1))), task.x)).reshape(-1)
        claimed = vjp(v, task.x)
        size = np.maximum(np.abs(claimed) + np.abs(numeric), 1e-8)
        return bool(np.all(np.abs(claimed - numeric) <= RELATIVE * size))

    return check


def _numdifftools(f: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    import numdifftools

    return np.asarray(numdifftools.Gradient(f)(x))


def _differentiate(f: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    from scipy.differentiate import jacobian

    def many(xs: np.ndarray) -> np.ndarray:
        return np.apply_along_axis(f, 0, xs)

    return np.asarray(jacobian(many, x).df)


def _approx(f: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    from scipy.optimize import approx_fprime

    return np.asarray(approx_fprime(x, f))


ENGINES: dict[str, Engine] = {
    "gradcheck, exact": exact,
    "gradcheck, floats": floats,
    "torch, fast": _torch(True),
    "torch, slow": _torch(False),
    "jax check_grads": jax,
    "autograd check_grads": hips,
    "numdifftools": _by_derivative(_numdifftools),
    "scipy.differentiate": _by_derivative(_differentiate),
    "scipy check_grad": _by_derivative(_approx),
}
OURS = ("gradcheck, exact", "gradcheck, floats")
QUADRATIC = ("torch, slow", "numdifftools", "scipy.differentiate", "scipy check_grad")
"""They evaluate the function once or more for every input."""

_MODULES = {"jax check_grads": "jax", "autograd check_grads": "autograd", "numdifftools": "numdifftools"}


def installed() -> dict[str, Engine]:
    """The engines whose library is installed."""
    return {n: e for n, e in ENGINES.items() if n not in _MODULES or importlib.util.find_spec(_MODULES[n]) is not None}


def ask(engine: Engine, task: Task) -> tuple[bool | None, int, int]:
    """The verdict, and how often the forward and the backward were called."""
    forward, vjp = Counted(task.forward(np)), Counted(task.vjp(np))
    with np.errstate(all="ignore"):
        return engine(task, forward, vjp), forward.calls, vjp.calls

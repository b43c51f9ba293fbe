"""The same source run on float arrays and, with the stand-ins in place, on exact ones."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import flint
import numpy as np
import pytest
from scipy import special

from gradcheck.exact.array import ExactArray, exact
from gradcheck.exact.standin import places, standing_in

FLOATS = {
    "A": np.array([[0.5, -1.25, 3.0], [2.0, 0.75, -0.5]]),
    "B": np.array([[1.5], [-2.0]]),
    "V": np.array([0.25, -1.5, 4.0, 1.0]),
    "T": np.arange(24.0).reshape(2, 3, 4) / 8 - 1,
    "S": np.array(0.75),
    "Z": np.empty((0, 3)),
}
ORDINARY = {"I": np.array([1, 0, 2]), "M": np.array([[True, False, True], [False, True, True]])}


def user_function(source: str, **names: Any) -> Callable[..., Any]:
    """A function of ``FLOATS`` in a module of its own, from an expression or from statements that return."""
    body = "\n".join(f"    {line}" for line in (source if "return" in source else f"return {source}").split("; "))
    module: dict[str, Any] = {"__name__": "user_code", "np": np, "math": math, "special": special, "copy": copy, **ORDINARY, **names}
    exec(compile(f"def f({', '.join(FLOATS)}):\n{body}", "user_code.py", "exec"), module)
    return module["f"]  # type: ignore[no-any-return]


def in_floats(function: Callable[..., Any]) -> Any:
    with np.errstate(all="ignore"):
        return function(*(x.copy() for x in FLOATS.values()))


def in_balls(function: Callable[..., Any]) -> Any:
    with flint.ctx.workprec(200), standing_in(places((function,))):
        return function(*(exact(x) for x in FLOATS.values()))


def plain(result: Any) -> Any:
    """What to compare: kind of dtype, shape and entries; sequences entry by entry."""
    if isinstance(result, (tuple, list)):
        return [plain(r) for r in result]
    if type(result) is ExactArray:
        return "f", result.shape, [float(a.mid()) for a in result.balls_.ravel()]
    if isinstance(result, (np.ndarray, np.generic, float)):
        return np.asarray(result).dtype.kind, np.shape(result), np.asarray(result).ravel().tolist()
    return result


def alike(a: Any, b: Any) -> bool:
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(alike(p, q) for p, q in zip(a, b, strict=True))
    if isinstance(a, tuple) and len(a) == 3 and a[0] == "f":
        return a[:2] == b[:2] and np.allclose(a[2], b[2], rtol=1e-13, atol=1e-15)
    return bool(a == b)


class BothWays:
    """Runs source in floats and in balls; called, it demands the same of both."""

    function = staticmethod(user_function)
    in_floats = staticmethod(in_floats)
    in_balls = staticmethod(in_balls)

    def __call__(self, source: str, **names: Any) -> None:
        function = user_function(source, **names)
        floating, exactly = plain(in_floats(function)), plain(in_balls(function))
        assert alike(floating, exactly), f"{source}: NumPy gives {floating}, in balls it is {exactly}"


@pytest.fixture
def both_ways() -> BothWays:
    return BothWays()

"""Rules at hand-made points: a pair, the numbers it is judged at, and what every rule says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck.evidence import gather
from gradcheck.points import Point
from gradcheck.rules import Match, match
from gradcheck.subject import NumpyPair, TorchCallable

Look = Callable[..., dict[str, list[Match]]]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def look() -> Look:
    """``look(forward, vjp, {name: value})``: all matches by code.

    Lists become float64 arrays (or ``dtype``); ``torch`` is the reference; ``fixed`` names the
    arguments without a gradient; ``dy`` is the cotangent, of the dtype's float64 value.
    """

    def at(
        forward: Callable[..., Any], vjp: Callable[..., Any], given: dict[str, Any], *, torch: Any = None, dy: Any = None,
        fixed: tuple[str, ...] = (), dtype: str = "float64", laws: tuple[Any, ...] = (),
    ) -> dict[str, list[Match]]:  # fmt: skip
        primals = {n: np.array(v, dtype=dtype) if isinstance(v, list) else v for n, v in given.items()}
        names = tuple(primals)
        wanted = tuple(n for n in names if n not in fixed and isinstance(primals[n], np.ndarray) and primals[n].dtype.kind == "f")
        cotangents = None if dy is None else (np.asarray(dy, dtype=np.float64),)
        point = Point(primals, dtype, seed=1, given=cotangents)
        reference = TorchCallable("reference", torch, names, wanted) if torch is not None else None
        found: dict[str, list[Match]] = {}
        for m in match(gather(NumpyPair("pair", forward, vjp, names, wanted), point, reference, laws)):
            found.setdefault(m.code, []).append(m)
        return found

    return at

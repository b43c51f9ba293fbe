"""The tables of what is written here in place of functions and methods of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.exact.errors import NotExact

FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}


def implements(*functions: Callable[..., Any], method: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            FUNCTIONS[function] = body
        if method:
            METHODS[method] = body
        return body

    return register


def kept(keepdims: Any) -> bool:
    return keepdims is not np._NoValue and bool(keepdims)


def floats_only(dtype: Any) -> None:
    if dtype is not None and np.dtype(dtype).kind != "f":
        raise NotExact(f"exact values are reduced in dtype {np.dtype(dtype)}", "drop dtype=")

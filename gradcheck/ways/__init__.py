"""The three ways to a derivative: numeric, analytic and autograd, each in floats and in balls.

All give the same thing, so that they can stand side by side: the slope of the function at a
point, contracted with a direction and a cotangent, with a bound on its error.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Slope:
    """``cotangent . J direction`` and a bound on its absolute error; ``exact`` if proven in balls."""

    way: str
    value: float
    bound: float
    exact: bool

"""What is refused is told in the terms of the line that was written, with what to write instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck.exact.array import exact
from gradcheck.exact.errors import NotExact

VECTORIZED = "np.vectorize makes a float array of exact values"


class Layer:
    def __init__(self) -> None:
        self.dw = np.zeros(2)

    def add(self, x: Any) -> None:
        self.dw += 2 * x

    def subtract(self, x: Any) -> None:
        self.dw -= x

    def scale(self, x: Any) -> None:
        self.dw *= x

    def add_to_a_part(self, x: Any) -> None:
        self.dw[:1] += x[:1]

    def add_out(self, x: Any) -> None:
        np.add(x, x, out=self.dw)


MADE = "make the array in the function, with np.zeros_like(x)"


@pytest.mark.parametrize(
    ("update", "what", "remedy"),
    [
        (Layer().add, "exact values are added in place to a float array", f"{MADE}, or write self.dw = self.dw + ..."),
        (Layer().subtract, "exact values are subtracted in place from a float array", f"{MADE}, or write self.dw = self.dw - ..."),
        (Layer().scale, "a float array is updated in place with exact values", f"{MADE}, or write self.dw = self.dw * ..."),
        (Layer().add_to_a_part, "exact values are added in place to a float array", MADE),
        (Layer().add_out, "exact values are written into a float array through out=", MADE),
        (np.vectorize(lambda t: t * 2.0), VECTORIZED, "call np.vectorize in the function, or by a global name"),
        (np.vectorize(lambda t: t * 2.0, otypes=[float]), VECTORIZED, "call np.vectorize in the function, or by a global name"),
        (np.asarray, "exact values are put into a float array", ""),
        (float, "an exact value is turned into a float", ""),
        (math.ulp, "an exact value is turned into a float", ""),
        (np.linalg.eigvalsh, "numpy.linalg.eigvalsh has no exact counterpart", ""),
        (lambda x: np.pad(x, 1, mode="empty"), "np.pad with mode='empty' has no exact counterpart", 'use mode="constant"'),
    ],
)  # fmt: skip
def test_the_remedy_fits_the_line(update: Callable[[Any], Any], what: str, remedy: str) -> None:
    with pytest.raises(NotExact) as caught:
        update(exact(np.ones(())) if update in (float, math.ulp) else exact(np.ones(2)))
    assert (caught.value.what, caught.value.remedy) == (what, remedy)

"""Where a gradient is wrong, in words."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.rules.region import describe

X = np.array([[-1.0, 0.0, 2.0], [3.0, -4.0, 5.0], [1.0, 1.0, -1.0]])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (X < 0, "where x < 0"),
        (X >= 0, "where x >= 0"),
        (X != 0, "where x != 0"),
        (np.ones((3, 3), dtype=bool), "everywhere"),
        (X == 0, "at [0, 1] alone"),
        (X == 5, "at [1, 2] alone"),
        (np.arange(3) == np.full((3, 1), 2), "at the last position (2) of axis 1"),
        (np.arange(3)[:, None] == np.full((1, 3), 0), "at position 0 of axis 0"),
        (abs(X) == 1, "at [0, 0], [2, 0], [2, 1], [2, 2]"),
        (abs(X) > 0.5, "where x != 0"),
        ((abs(X) == 1) | (X == 5), ""),
    ],
)
def test_simple_regions_have_words(wrong: np.ndarray, words: str) -> None:
    assert describe(np.array(np.broadcast_to(wrong, X.shape)), "x", X) == words


def test_one_entry_is_everywhere_and_needs_none() -> None:
    assert describe(np.array(True), "x", np.array(1.0)) == ""

"""Finding the wrong among many: bisection over directions.

Two forwards tell whether any entry of a set is wrong, so that k wrong ones among n cost about
2 k log2(n / k) looks, where one by one costs n.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradcheck.bounds import MOST_LOOKS, MOST_WRONG, SAMPLE


def bisect(differs: Callable[[range], bool], count: int, most: int) -> list[int]:
    """Up to ``most`` of the positions below ``count`` at which something differs, in order.

    ``differs`` tells it of a range of positions; the whole range is taken to differ.
    """
    found: list[int] = []
    todo = [range(count)]
    while todo and len(found) < most:
        part = todo.pop()
        if len(part) == 1:
            found.append(part[0])
            continue
        left, right = part[: len(part) // 2], part[len(part) // 2 :]
        wrong = differs(left)
        if not wrong or differs(right):
            todo.append(right)
        if wrong:
            todo.append(left)
    return found


def looks(differs: Callable[[range], bool] | None, count: int, rng: np.random.Generator) -> list[int] | None:
    """The positions below ``count`` worth a look: all (None), or of many, wrong ones and a sample of the others.

    Without ``differs``, the sample alone.
    """
    if count <= MOST_LOOKS:
        return None
    sample = rng.choice(count, SAMPLE, replace=False)
    wrong = [] if differs is None else bisect(differs, count, MOST_WRONG)
    return sorted({*wrong, *(int(i) for i in sample)})

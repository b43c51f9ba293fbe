"""Which entries of a primal act on which outputs: those that act apart can be moved at once.

An elementwise function needs one look for all its entries, one that works row by row as many as a row
has. It is told by a random direction: scaled by a random factor for every block, the slope of each
output must scale by the factor of its own block. Any dependence across blocks shows, with probability one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

from gradcheck.bounds import KINK_GAP
from gradcheck.exact.array import lift

Shape = tuple[int, ...]
Slopes = Callable[[np.ndarray], tuple[np.ndarray, ...]]
"""From a direction (object array) to the slopes of every output, flat, to one side or to both."""


@dataclass(frozen=True)
class Blocks:
    """``entries[b]`` are the flat positions of the entries of block b, which act on the outputs j with ``outputs[j] == b`` alone."""

    entries: np.ndarray
    outputs: np.ndarray

    @property
    def name(self) -> str:
        """In words: "elementwise", "in blocks of n" or "dense"."""
        blocks, size = self.entries.shape
        return "elementwise" if size == 1 else "dense" if blocks == 1 else f"in blocks of {size}"


def dense(size: int, outputs: int) -> Blocks:
    """All entries may act on every output."""
    return Blocks(np.arange(size).reshape(1, size), np.zeros(outputs, dtype=int))


def blocks(slopes: Slopes, direction: np.ndarray, shapes: Sequence[Shape], rng: np.random.Generator) -> Blocks:
    """The finest blocks along axes that hold at ``direction`` (object array of the primal's shape, without zeros).

    ``shapes`` are those of the outputs.
    """
    here = slopes(direction)
    for kept, groups in _candidates(direction.shape):
        placed = [_place(groups, kept, shape) for shape in shapes]
        if any(p is None for p in placed):
            continue
        outputs = np.concatenate([np.ravel(p) for p in placed]) if placed else np.empty(0, dtype=int)
        factors = lift(np.exp2(rng.uniform(-1, 1, int(groups.max()) + 1)))
        there = slopes(direction * factors[np.broadcast_to(groups, direction.shape)])
        if all(_scaled(a, b, f) for s, t in zip(here, there, strict=True) for a, b, f in zip(s, t, factors[outputs], strict=True)):
            return Blocks(np.argsort(np.broadcast_to(groups, direction.shape), axis=None, kind="stable").reshape(len(factors), -1), outputs)
    return dense(direction.size, sum(int(np.prod(s, dtype=int)) for s in shapes))


def _scaled(a: arb, b: arb, factor: arb) -> bool:
    if not (a.is_finite() and b.is_finite()):
        return not (a.is_finite() or b.is_finite())
    return bool(abs(b - factor * a) <= KINK_GAP * abs(b)) or (a == 0 and b == 0)


def _candidates(shape: Shape) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Axes whose positions number the blocks, and the numbers (an array that broadcasts to ``shape``); most blocks first."""
    axes = range(len(shape))
    subsets = [kept for n in axes for kept in itertools.combinations(axes, n + 1)]
    sizes = {kept: int(np.prod([shape[a] for a in kept])) for kept in subsets}
    for kept in sorted((k for k in subsets if sizes[k] > 1), key=lambda k: -sizes[k]):
        yield kept, np.arange(sizes[kept]).reshape([n if a in kept else 1 for a, n in enumerate(shape)])


def _place(groups: np.ndarray, kept: tuple[int, ...], shape: Shape) -> Any:
    """The block of every output of ``shape``: aligned with the primal's axes, or with those kept, from the right or the left."""
    squeezed = groups.reshape([groups.shape[a] for a in kept])
    padded = squeezed.reshape(squeezed.shape + (1,) * max(0, len(shape) - squeezed.ndim))
    for numbers in (groups, squeezed, padded):
        try:
            return np.broadcast_to(numbers, shape)
        except ValueError:
            continue
    return None

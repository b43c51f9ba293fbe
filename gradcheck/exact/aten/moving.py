"""Operators that only move or only order entries: torch runs them on positions or on ranks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from flint import arb

from gradcheck.exact import balls
from gradcheck.exact.array import ExactArray
from gradcheck.exact.balls import ZERO


# Operators that only move entries: torch runs them on positions, 0 standing for a zero
def positions(shape: Any, start: int = 1) -> torch.Tensor:
    size = math.prod(shape)
    return torch.arange(start, start + size, dtype=torch.float64).reshape(tuple(shape))


def _back(value: Any, place: Callable[[np.ndarray], Any]) -> Any:
    """Results of torch: floats by ``place``, integers and booleans as arrays."""
    if isinstance(value, torch.Tensor):
        return place(value.numpy().astype(np.intp)) if value.is_floating_point() else value.numpy()
    return type(value)(_back(v, place) for v in value) if isinstance(value, (list, tuple)) else value


def _swap(value: Any, exact: Callable[[ExactArray], torch.Tensor]) -> Any:
    if type(value) is ExactArray:
        return exact(value)
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.array(value))
    return [_swap(v, exact) for v in value] if isinstance(value, list) else value


def move(func: Any, args: Any, kwargs: Any) -> Any:
    """Run ``func``, which moves entries and computes none, by running it on their positions."""
    pool: list[np.ndarray] = [np.array([ZERO], dtype=object)]

    def exact(array: ExactArray) -> torch.Tensor:
        start = sum(p.size for p in pool)
        pool.append(array.balls_.reshape(-1))
        return positions(array.shape, start)

    found = func(*(_swap(a, exact) for a in args), **{k: _swap(v, exact) for k, v in kwargs.items()})
    flat = np.concatenate(pool)
    return _back(found, lambda at: ExactArray(flat[at.reshape(-1)].reshape(at.shape)))


def order(func: Any, args: Any, kwargs: Any) -> Any:
    """Run ``func``, which only orders entries, by running it on their ranks; equal entries share one."""
    arrays: list[ExactArray] = []

    def collect(array: ExactArray) -> torch.Tensor:
        arrays.append(array)
        return torch.empty(0)

    _swap(list(args), collect)
    flat = np.concatenate([a.balls_.reshape(-1) for a in arrays])
    turn = np.argsort(ExactArray(flat)) if flat.size > 1 else np.zeros(flat.size, dtype=np.intp)
    rank: np.ndarray = np.zeros(flat.size, dtype=np.intp)
    chosen: list[arb] = []
    for i in turn:
        if not chosen or balls.not_equal(flat[i], chosen[-1]):
            chosen.append(flat[i])
        rank[i] = len(chosen) - 1
    ranks: Iterator[np.ndarray] = iter(np.split(rank, np.cumsum([a.size for a in arrays])[:-1]))
    exact = lambda a: torch.from_numpy(next(ranks).astype(float).reshape(a.shape))  # noqa: E731
    found = func(*(_swap(a, exact) for a in args), **kwargs)
    values = np.array([*chosen, ZERO], dtype=object)
    return _back(found, lambda at: ExactArray(values[at.reshape(-1)].reshape(at.shape)))


_MOVES = """roll flip gather index_select index.Tensor take repeat cat stack tril triu diag_embed scatter.src masked_scatter
    slice_scatter select_scatter diagonal_scatter as_strided_scatter im2col pixel_shuffle pixel_unshuffle channel_shuffle
    masked_select select_backward slice_backward diagonal_backward index_copy unfold_copy embedding rot90
    reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d _unsafe_index.Tensor repeat_interleave as_strided_copy block_diag"""
_ORDERS = """sort topk kthvalue median nanmedian mode cummax cummin unique _unique2 argsort searchsorted bucketize
    adaptive_max_pool2d adaptive_max_pool3d"""

WITH_OPERATOR: dict[str, Callable[..., Any]] = {**dict.fromkeys(_MOVES.split(), move), **dict.fromkeys(_ORDERS.split(), order)}

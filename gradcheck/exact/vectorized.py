"""``np.vectorize`` of exact values."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from gradcheck.exact.array import ExactArray, entries


class Vectorized(np.vectorize):
    """An ``np.vectorize`` whose function is called with single exact values, and whose floating results are exact."""

    array: ClassVar[Callable[..., Any]]
    """``np.array`` as the code under test has it."""

    @classmethod
    def of(cls, made: np.vectorize) -> Vectorized:
        """One that was made before."""
        ours = copy.copy(made)
        ours.__class__ = cls
        return ours  # type: ignore[return-value]

    def _vectorize_call(self, func: Callable[..., Any], args: Sequence[Any]) -> Any:
        if self.signature is not None:
            return self._vectorize_call_with_signature(func, args)  # type: ignore[attr-defined]
        if not args:
            return func()
        inputs = np.broadcast_arrays(*(entries(a) if type(a) is ExactArray else np.asarray(a, dtype=object) for a in args))
        results = [func(*each) for each in zip(*(i.flat for i in inputs), strict=True)]
        if not results:
            return type(self).array(super()._vectorize_call(func, [np.empty(i.shape) for i in inputs]))  # type: ignore[misc]
        shape = inputs[0].shape
        if not isinstance(results[0], tuple):
            return self._joined(results, 0, shape)
        return tuple(self._joined(column, i, shape) for i, column in enumerate(zip(*results, strict=True)))

    def _joined(self, results: Sequence[Any], i: int, shape: tuple[int, ...]) -> Any:
        """One array of one of the results of all calls; the first call decides what is not told by ``otypes``."""
        told = self.otypes[i] if self.otypes else None
        dtype = told or (None if type(results[0]) is ExactArray else np.asarray(results[0]).dtype)
        return type(self).array(list(results), dtype).reshape(shape)

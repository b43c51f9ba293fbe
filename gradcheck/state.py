"""Objects behind the code under test get their state back: a check leaves no exact value in a layer.

A forward that is a method may keep what its backward needs, count its calls or average over
them. Each point starts from the state that was found, and ends with it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

_PLAIN = frozenset({"builtins", "numpy", "flint", "scipy"}) | sys.stdlib_module_names

MOST_ENTRIES = 2**20
"""Arrays with more entries are data sets, and not copied."""


def _is_ours_to_keep(value: Any) -> bool:
    """Whether ``value`` is an instance of somebody's class, with attributes."""
    return not isinstance(value, type) and hasattr(value, "__dict__") and type(value).__module__.partition(".")[0] not in _PLAIN


def _parts(value: Any) -> Iterator[Any]:
    """What ``value`` holds that may have a state of its own."""
    if isinstance(value, (list, tuple, set)):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()
    elif _is_ours_to_keep(value):
        yield from vars(value).values()


def _owners(functions: Sequence[Callable[..., Any]]) -> list[Any]:
    """The objects whose methods ``functions`` are, or that are called themselves."""
    owners = [getattr(f, "__self__", f) for f in functions]
    return [o for o in owners if _is_ours_to_keep(o)]


def _reachable(roots: Sequence[Any]) -> list[Any]:
    """``roots`` and whatever they hold, each once: containers, arrays, tensors and objects."""
    seen: dict[int, Any] = {}
    todo = list(roots)
    while todo:
        value = todo.pop()
        if id(value) not in seen and (_is_ours_to_keep(value) or isinstance(value, (list, dict, tuple, set, np.ndarray))):
            seen[id(value)] = value
            todo.extend(_parts(value))
    return list(seen.values())


def _restorer(value: Any) -> Callable[[], None] | None:
    """What gives ``value`` the state that it has now."""
    if isinstance(value, np.ndarray):
        return _of_array(value) if value.flags.writeable and value.size <= MOST_ENTRIES else None
    if isinstance(value, list):
        items = list(value)
        return lambda: value.__setitem__(slice(None), items)
    if isinstance(value, (dict, set)):
        held = value.copy()
        return lambda: (value.clear(), value.update(held))[0]
    if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "requires_grad"):
        return _of_tensor(value) if value.numel() <= MOST_ENTRIES else None
    if _is_ours_to_keep(value):
        attributes = dict(vars(value))
        return lambda: (vars(value).clear(), vars(value).update(attributes))[0]
    return None


def _of_array(array: np.ndarray) -> Callable[[], None]:
    entries = array.copy()

    def restore() -> None:
        array[...] = entries

    return restore


def _of_tensor(tensor: Any) -> Callable[[], None]:
    import torch

    entries = tensor.detach().clone()

    def restore() -> None:
        if not torch.equal(tensor, entries):
            with torch.no_grad():
                tensor.copy_(entries)

    return restore


@contextmanager
def kept(functions: Sequence[Callable[..., Any]]) -> Iterator[None]:
    """For the duration, the objects behind ``functions`` may change; afterwards they are as before."""
    owners = _owners(functions)
    restorers = [r for r in map(_restorer, _reachable(owners)) if r is not None] if owners else []
    try:
        yield
    finally:
        for restore in restorers:
            restore()

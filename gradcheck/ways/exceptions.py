"""Floating-point exceptions of torch code: torch raises none, so its operators are watched one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_DIVIDE = frozenset({"div", "reciprocal", "rsqrt", "log", "log2", "log10", "log1p", "pow"})
"""Operators that make an infinity of a zero; any other that makes one of finite numbers overflows."""

_SHRINK = frozenset({"exp", "exp2", "mul", "div", "pow", "square", "sigmoid", "_softmax"})
"""Operators that may make a zero of numbers that are none."""


def raised_by(run: Callable[[], Any]) -> frozenset[str]:
    """What NumPy would call the exceptions in ``run()``: "overflow", "underflow", "divide by zero", "invalid value"."""
    watch = _Watch()
    with watch:
        run()
    return frozenset(watch.seen)


class _Watch(TorchDispatchMode):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        operands, results = _floats((args, kwargs)), _floats(result)
        if operands and results:
            self._look(func.overloadpacket.__name__, operands, results)
        return result

    def _look(self, name: str, operands: list[torch.Tensor], results: list[torch.Tensor]) -> None:
        """The whole operator at once: its operands are looked at together, since few keep entries apart."""
        if any(bool(r.isnan().any()) for r in results) and not any(bool(o.isnan().any()) for o in operands):
            self.seen.add("invalid value")
        if any(bool(r.isinf().any()) for r in results) and all(bool(o.isfinite().all()) for o in operands):
            zero = name in _DIVIDE and any(bool((o == 0).any()) for o in operands)
            self.seen.add("divide by zero" if zero else "overflow")
        if name in _SHRINK and any(bool((r == 0).any()) for r in results) and not any(bool((o == 0).any()) for o in operands):
            self.seen.add("underflow")


def _floats(tree: Any) -> list[torch.Tensor]:
    return [t.detach() for t in tree_leaves(tree) if isinstance(t, torch.Tensor) and t.is_floating_point()]

"""Modules that load on their first attribute access.

A spec names its torch reference in a lambda, which runs only when something is
checked; listing a catalog must not pay the seconds that importing torch takes.
Spec files therefore say ``from gradcheck.lazy import torch``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class LazyModule:
    """Stands for the module ``name`` and imports it when an attribute is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)

    def __repr__(self) -> str:
        return f"<lazy module {self._name!r}>"


torch: Any = LazyModule("torch")

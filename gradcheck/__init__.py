"""gradcheck: is the mathematics right, and is the arithmetic sound?

The public names load on first use, so that importing the package, and with it
``gradcheck --help`` and every pytest session, costs next to nothing: neither
torch nor Hypothesis is imported before something is checked.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "check": "gradcheck.api",
    "critical_point": "gradcheck.critical",
    "CriticalPoint": "gradcheck.critical",
    "spec": "gradcheck.function_spec",
    "FunctionSpec": "gradcheck.function_spec",
    "implements": "gradcheck.subject",
    "equal": "gradcheck.relations",
    "at_most": "gradcheck.relations",
    "Real": "gradcheck.domains",
    "Simplex": "gradcheck.domains",
    "OneHot": "gradcheck.domains",
    "Labels": "gradcheck.domains",
    "Sign": "gradcheck.domains",
    "Mask": "gradcheck.domains",
    "Option": "gradcheck.domains",
    "Gradients": "gradcheck.domains",
    "optimizer": "gradcheck.trajectory",
    "hvp": "gradcheck.second_order",
    "Finding": "gradcheck.findings",
    "Result": "gradcheck.findings",
    "Severity": "gradcheck.findings",
    "Verdict": "gradcheck.findings",
    "CheckFailed": "gradcheck.errors",
    "GradcheckError": "gradcheck.errors",
}

__all__ = [
    "CheckFailed",
    "CriticalPoint",
    "Finding",
    "FunctionSpec",
    "GradcheckError",
    "Gradients",
    "Labels",
    "Mask",
    "OneHot",
    "Option",
    "Real",
    "Result",
    "Severity",
    "Sign",
    "Simplex",
    "Verdict",
    "__version__",
    "at_most",
    "check",
    "critical_point",
    "equal",
    "hvp",
    "implements",
    "optimizer",
    "spec",
]

if TYPE_CHECKING:
    from gradcheck.api import check
    from gradcheck.critical import CriticalPoint, critical_point
    from gradcheck.domains import Gradients, Labels, Mask, OneHot, Option, Real, Sign, Simplex
    from gradcheck.errors import CheckFailed, GradcheckError
    from gradcheck.findings import Finding, Result, Severity, Verdict
    from gradcheck.function_spec import FunctionSpec, spec
    from gradcheck.relations import at_most, equal
    from gradcheck.second_order import hvp
    from gradcheck.subject import implements
    from gradcheck.trajectory import optimizer


def __getattr__(name: str) -> Any:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module 'gradcheck' has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""What ATen's operators do on exact arrays: a line an operator, in one module a subject.

``TABLE`` computes. ``WITH_OPERATOR`` has torch itself run the operator, not on the values but on
their positions (whatever only moves entries) or on their ranks (whatever only orders them).
``PULLBACKS`` are backwards that autograd finds. Operators in none of them are taken apart by
torch's decompositions, see ``tensor``. A key is an operator's name, or its name and its overload,
which goes first.
"""

from collections.abc import Callable
from typing import Any

from gradcheck.exact.aten import (
    activations,
    elementwise,
    linear_algebra,
    losses,
    making,
    moving,
    normalisation,
    reductions,
    scattering,
    windows,
)
from gradcheck.exact.aten.making import DRAWS, FACTORIES, KEEP_PLAIN
from gradcheck.exact.aten.pullbacks import PULLBACKS

SUBJECTS = (elementwise, activations, losses, reductions, normalisation, making, linear_algebra, scattering, windows)

TABLE: dict[str, Callable[..., Any]] = {name: body for subject in SUBJECTS for name, body in subject.TABLE.items()}
WITH_OPERATOR: dict[str, Callable[..., Any]] = moving.WITH_OPERATOR | scattering.WITH_OPERATOR

__all__ = ["DRAWS", "FACTORIES", "KEEP_PLAIN", "PULLBACKS", "TABLE", "WITH_OPERATOR"]

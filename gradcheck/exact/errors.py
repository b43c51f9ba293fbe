"""Why a computation could not be done in balls."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import ClassVar

from gradcheck.errors import GradcheckError

_OURS = str(Path(__file__).resolve().parent.parent) + os.sep
_CATALOG = _OURS + "specs" + os.sep
_LIBRARIES = ("site-packages", "dist-packages", "<__array_function__", "<frozen", sysconfig.get_path("stdlib") + os.sep)


def user_line() -> str:
    """``file:line`` of the innermost running line that is neither ours nor a library's."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_CATALOG) or (not name.startswith(_OURS) and not any(part in name for part in _LIBRARIES)):
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "?"


class NotExact(GradcheckError):
    """The code does something that has no exact counterpart; says what, and at which line."""

    raised: ClassVar[int] = 0
    """How often one was made: code under test may catch it and go another way, which must not go unnoticed."""

    def __init__(self, what: str) -> None:
        NotExact.raised += 1
        self.what, self.line = what, user_line()
        super().__init__(f"{what} ({Path(self.line).name})")


class Undecided(GradcheckError):
    """A comparison that the present precision cannot decide; more bits may, or it is a tie."""

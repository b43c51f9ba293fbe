"""Why a computation could not be done in balls."""

from __future__ import annotations

import linecache
import os
import re
import sys
import sysconfig
from pathlib import Path
from types import FrameType, ModuleType
from typing import ClassVar

from gradcheck.errors import GradcheckError

_OURS = str(Path(__file__).resolve().parent.parent) + os.sep
_CATALOG = _OURS + "specs" + os.sep
_STOOD_IN = ("numpy", "math", "scipy", "scipy.special")
_LIBRARIES = ("site-packages", "dist-packages", "<__array_function__", "<frozen", sysconfig.get_path("stdlib") + os.sep)


def user_frame() -> FrameType | None:
    """The innermost running frame that is neither ours nor a library's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_CATALOG) or (not name.startswith(_OURS) and not any(part in name for part in _LIBRARIES)):
            return frame
        frame = frame.f_back
    return None


def user_line() -> str:
    """``file:line`` of the innermost running line that is neither ours nor a library's."""
    frame = user_frame()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "?"


def outward(cast: bool = False) -> str:
    """What to do where exact values run into floats, through a ``cast`` of one of them or not.

    Stand-ins take the place of the globals only: an import in the function hides from them.
    """
    frame = user_frame()
    if frame is None:
        return ""
    if frame.f_locals is not frame.f_globals:
        # A stand-in is of a class of its own: what is a plain module here was imported here.
        for value in frame.f_locals.values():
            if type(value) is ModuleType and value.__name__ in _STOOD_IN:
                return f"move the import of {value.__name__} out of the function"
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno, frame.f_globals)
    return "drop float(...)" if cast and re.search(r"\bfloat\(", line) else "make the array in the function, with np.zeros_like(x)"


class NotExact(GradcheckError):
    """The code does something that has no exact counterpart; says what, at which line, and what to do instead, if anything."""

    raised: ClassVar[int] = 0
    """How often one was made: code under test may catch it and go another way, which must not go unnoticed."""

    def __init__(self, what: str, remedy: str = "") -> None:
        NotExact.raised += 1
        self.what, self.line, self.remedy = what, user_line(), remedy
        super().__init__(f"{what} ({Path(self.line).name})" + (f"; {remedy}" if remedy else ""))


class Undecided(GradcheckError):
    """A comparison that the present precision cannot decide; more bits may, or it is a tie."""

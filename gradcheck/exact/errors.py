"""Why a computation could not be done in balls."""

from __future__ import annotations

import dis
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


def written() -> bool:
    """Whether the running line writes into a part of something (``a[i] = ...``, ``a.flat = ...``), with no call between."""
    frame = user_frame()
    return frame is not None and dis.opname[frame.f_code.co_code[frame.f_lasti]] in ("STORE_SUBSCR", "STORE_SLICE", "STORE_ATTR")


def printed() -> bool:
    """Whether a ``%`` of text asks, the text going to ``logging`` or into a call whose result nobody takes, such as ``print``."""
    frame: FrameType | None = sys._getframe(2)
    if frame is None:
        return False
    code = list(dis.get_instructions(frame.f_code))
    at = next((i for i, step in enumerate(code) if step.offset == frame.f_lasti), None)
    if at is None or not (code[at].opname == "BINARY_OP" and code[at].argrepr.startswith("%")):
        return False
    if frame.f_globals.get("__name__") == "logging":
        return True
    rest = [step.opname for step in code[at + 1 :] if not step.opname.startswith(_OTHER_ARGUMENTS)]
    return rest[0].startswith("CALL") and rest[1] in ("POP_TOP", "RAISE_VARARGS")


_OTHER_ARGUMENTS = ("CACHE", "PRECALL", "KW_NAMES", "LOAD_", "FORMAT_", "CONVERT_", "BUILD_", "BINARY_", "PUSH_NULL")


def outward(write: bool = True, cast: bool = False) -> str:
    """What to do where exact values run into floats: written into a float array, or through a ``cast`` of one of them.

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
    if cast and re.search(r"\bfloat\(", line):
        return "drop float(...)"
    return "make the array in the function, with np.zeros_like(x)" if write else ""


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

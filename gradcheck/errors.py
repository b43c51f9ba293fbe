"""What can go wrong apart from a finding, each told so that a person can act on it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class GradcheckError(Exception):
    """Base of every error that gradcheck raises on purpose."""


class UsageError(GradcheckError):
    """A wrong argument, option or configuration: exit status 2."""


class SpecError(UsageError):
    """A spec file, or a subject's module, that cannot be used; names file and line."""


class NothingToCheck(GradcheckError):
    """The selection holds nothing: exit status 5."""


class CheckFailed(GradcheckError, AssertionError):
    """Raised by ``Result.raise_if_failed()``; an ``AssertionError``, so test runners show it so."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence with the nearest of ``known`` to ``word``, or an empty string."""
    near = get_close_matches(word, list(known), n=3, cutoff=0.6)
    if not near:
        return ""
    return f" Did you mean {' or '.join(repr(n) for n in near)}?"

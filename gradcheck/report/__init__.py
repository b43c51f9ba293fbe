"""Reports: one model, written in several formats.

Importing this package imports neither rich nor Jinja: a format's module loads when it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from gradcheck.errors import UsageError, did_you_mean
from gradcheck.findings import Report

Writer = Callable[[Report], str]


def _writer(module: str) -> Writer:
    def render_lazily(report: Report) -> str:
        text: str = import_module(f"gradcheck.report.{module}").render(report)
        return text

    render_lazily.__name__ = f"render_{module}"
    return render_lazily


FORMATS: dict[str, Writer] = {
    "json": _writer("model"),
    "html": _writer("html"),
    "junit": _writer("junit"),
    "sarif": _writer("sarif"),
    "markdown": _writer("markdown"),
}
"""The formats by name. Register another with ``FORMATS[name] = writer``."""


def render(report: Report, format: str) -> str:
    """``report`` as text in ``format``; raises ``UsageError`` for a format that is not known."""
    return _known(format)(report)


def parse_target(target: str) -> tuple[str, Path]:
    """Split ``"html:out.html"`` into the format and the path.

    Raises ``UsageError`` for an unknown format or a missing path, with the nearest that works.
    """
    format, colon, path = target.partition(":")
    if not colon:
        guess = {".xml": "junit", ".md": "markdown"}.get(Path(target).suffix, Path(target).suffix.lstrip("."))
        example = f"{guess}:{target}" if guess in FORMATS else f"{target if target in FORMATS else 'html'}:report.out"
        raise UsageError(f"--report {target!r} has no FORMAT:PATH; write, for example, {example!r}.")
    _known(format)
    if not path:
        raise UsageError(f"--report {target!r} names no file; write, for example, '{format}:report.out'.")
    return format, Path(path).expanduser()


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise ``UsageError`` if ``write`` could not write ``path``; creates and changes nothing."""
    full = Path(os.path.realpath(path))
    if full.is_dir():
        raise UsageError(f"{path}: is a folder; name a file in it, such as {Path(path) / 'report.out'}.")
    if full.exists() and not full.is_file():
        writable = os.access(full, os.W_OK)
    else:
        folder = full.parent
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            raise UsageError(f"{path}: {folder} is a file, not a folder; choose another path for the report.")
        writable = os.access(folder, os.W_OK | os.X_OK)
    if not writable:
        raise UsageError(f"{path}: not writable; choose another path for the report, or change its permissions.")


def write(text: str, path: str | os.PathLike[str]) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all; makes the folders above it.

    Devices and pipes, such as ``/dev/stdout``, are written directly. Raises ``UsageError``.
    """
    # Lone surrogates (undecodable file names) become \udcXX, which JSON reads back as it was.
    data = text.encode("utf-8", "backslashreplace")
    full = Path(os.path.realpath(path))
    temporary: Path | None = None
    try:
        if full.exists() and not full.is_file() and not full.is_dir():
            Path(path).write_bytes(data)
            return
        full.parent.mkdir(parents=True, exist_ok=True)
        temporary = full.with_name(f".gradcheck-{os.getpid()}-{os.urandom(4).hex()}.tmp")
        # Not tempfile: its files are readable by their owner alone, and a report is for others too.
        with temporary.open("xb") as stream:
            stream.write(data)
        os.replace(temporary, full)
    except OSError as error:
        raise UsageError(f"{path}: cannot write the report: {error.strerror or error}. Choose another path, or free this one.") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _known(format: str) -> Writer:
    try:
        return FORMATS[format]
    except KeyError:
        hint = did_you_mean(format, FORMATS)
        raise UsageError(f"there is no report format {format!r}.{hint} The formats are {', '.join(FORMATS)}.") from None


__all__ = ["FORMATS", "Writer", "check_writable", "parse_target", "render", "write"]

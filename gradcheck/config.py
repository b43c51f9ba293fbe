"""The table ``[tool.gradcheck]`` of the nearest ``pyproject.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from gradcheck.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Config:
    """What a project sets for every run; the command line goes before it.

    ``specs`` are files or folders (relative to the ``pyproject.toml``) that stand in for the
    installed catalogs; ``subjects`` maps a spec to ``"module:function"`` or to a table with
    ``forward`` and ``vjp``.
    """

    specs: tuple[str, ...] = ()
    examples: int = 100
    seed: int = 0
    jobs: int | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    subjects: Mapping[str, Any] = field(default_factory=dict)


def read(start: Path | None = None) -> Config:
    """The configuration that holds in ``start`` (default: the current folder).

    Raises ``UsageError`` that names the file and the key.
    """
    path = nearest(start)
    return Config() if path is None else parse(path)


def nearest(start: Path | None = None) -> Path | None:
    """The ``pyproject.toml`` of ``start`` (default: the current folder), or of the nearest folder above that has one."""
    folder = (start or Path.cwd()).resolve()
    return next((path for above in (folder, *folder.parents) if (path := above / "pyproject.toml").is_file()), None)


def parse(path: Path) -> Config:
    """The ``[tool.gradcheck]`` table of ``path``."""
    try:
        tools = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    table = tools.get("gradcheck", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{path}: tool.gradcheck = {table!r} is no table; begin it with the line [tool.gradcheck]")
    known = {f.name: f for f in fields(Config)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"{path}, [tool.gradcheck]: there is no key {key!r}.{did_you_mean(key, known)} The keys: {', '.join(known)}.")
        values[key] = _typed(path, key, value)
    if "specs" in values:
        values["specs"] = tuple(str(path.parent / s) for s in values["specs"])
    return Config(**values)


def _typed(path: Path, key: str, value: Any) -> Any:
    wanted: type = {"specs": list, "select": list, "ignore": list, "subjects": dict}.get(key, int)
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise UsageError(f"{path}, [tool.gradcheck]: {key} = {value!r} is no {'whole number' if wanted is int else wanted.__name__}")
    if isinstance(value, list):
        if not all(isinstance(v, str) for v in value):
            raise UsageError(f"{path}, [tool.gradcheck]: {key} must be a list of strings")
        return tuple(value)
    least = 1 if key == "examples" else 0
    if isinstance(value, int) and value < least:
        raise UsageError(f"{path}, [tool.gradcheck]: {key} = {value} is below {least}")
    if isinstance(value, dict):
        for spec, entry in value.items():
            if not _names_functions(entry):
                raise UsageError(
                    f"{path}, [tool.gradcheck.subjects]: {spec} = {entry!r} names no function; "
                    'write "module:function", or {forward = "module:function", vjp = "module:function"}'
                )
    return value


def _names_functions(entry: Any) -> bool:
    if isinstance(entry, dict):
        return (
            "forward" in entry
            and set(entry) <= {"forward", "vjp"}
            and all(isinstance(v, str) and _names_functions(v) for v in entry.values())
        )
    return isinstance(entry, str) and all(entry.partition(":"))

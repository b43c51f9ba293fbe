"""Catalogs of specs: found through entry points or by path, loaded, and kept whole.

A file that does not import, or a name that is taken, becomes a problem; all else stands.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import linecache
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from gradcheck.errors import SpecError, did_you_mean
from gradcheck.function_spec import FunctionSpec, defined

GROUP = "gradcheck.specs"
"""The entry-point group through which packages publish catalogs."""


@dataclass(frozen=True)
class Problem:
    """A spec file, a spec in it, or a subject, that could not be used; the rest stands.

    Reports list it under ``name``, or else under its file.
    """

    path: str
    line: int | None
    message: str
    name: str = ""


@dataclass(frozen=True)
class Catalog:
    """Specs by name, in order of family and file, and what could not be loaded.

    Names that are not in a catalog ``of_paths`` are looked up in the installed ones too.
    """

    specs: dict[str, FunctionSpec]
    problems: tuple[Problem, ...] = ()
    of_paths: bool = False

    def find(self, name: str) -> FunctionSpec:
        """The spec called ``name``; raises ``SpecError`` with the nearest names."""
        if name in self.specs:
            return self.specs[name]
        others = load().specs if self.of_paths else {}
        if name in others:
            return others[name]
        hint = did_you_mean(name, self.specs) or self._missed() or did_you_mean(name, others)
        where = "'gradcheck list' and 'gradcheck list PATH' show" if self.of_paths else "'gradcheck list' shows"
        raise SpecError(f"there is no spec {name!r}.{hint or f' {where} what there is.'}")

    def _missed(self) -> str:
        """A sentence on what could not be loaded, for a name might stand there."""
        if not self.problems:
            return ""
        first = self.problems[0]
        return f" {first.path}{f':{first.line}' if first.line else ''} could not be loaded: {first.message}"


def load(sources: Iterable[str] = (), some: bool = True) -> Catalog:
    """The catalog of ``sources`` (files or folders); with none, of every installed catalog.

    Files that do not import, duplicate names, and paths that are not there become problems; all
    else is kept. Raises ``SpecError`` if none of the paths is there, and ``some`` must be.
    """
    paths = list(sources)
    if not paths:
        entries = sorted(entry_points(group=GROUP), key=lambda e: e.name)
        return _merge(module for entry in entries for module in _import_entry(entry.value))
    missing: list[Problem] = []
    files: dict[Path, Path] = {}
    for source in paths:
        found = _files(Path(source))
        if isinstance(found, str):
            missing.append(Problem(source, None, found))
            continue
        for path in found:
            files.setdefault(path.resolve(), path)
    if some and len(missing) == len(paths):
        raise SpecError("; ".join(f"{p.path}: {p.message}" for p in missing))
    merged = _merge([*missing, *(_import(partial(import_file, p), str(p)) for p in files.values())])
    return replace(merged, of_paths=True)


def _files(path: Path) -> list[Path] | str:
    """The spec files that ``path`` names, or why there are none."""
    if not path.exists():
        return "no such file or folder"
    if not path.is_dir():
        return [path]
    return sorted(p for p in path.rglob("*.py") if _may_hold_specs(p.relative_to(path))) or "no spec file (*.py) in this folder"


def _may_hold_specs(path: Path) -> bool:
    return path.name != "__init__.py" and not any(part.startswith(".") for part in path.parts)


def _merge(modules: Iterable[ModuleType | Problem]) -> Catalog:
    specs: dict[str, FunctionSpec] = {}
    problems: list[Problem] = []
    for module in modules:
        if isinstance(module, Problem):
            problems.append(module)
            continue
        for made in defined.get(module.__name__, ()):
            if made.name in specs:
                first = specs[made.name]
                problems.append(
                    Problem(
                        made.path,
                        made.line,
                        f"the name {made.name!r} is taken: {first.path}:{first.line} has it already; give one of them another name",
                    )
                )
            elif made.backward is None and made.differentiable:
                problems.append(Problem(made.path, made.line, f"{made.name!r} has no vjp; add one with @{made.forward.__name__}.vjp"))
            else:
                specs[made.name] = made
    return Catalog(specs, tuple(problems))


def _import_entry(value: str) -> list[ModuleType | Problem]:
    package = _import(lambda: importlib.import_module(value), value)
    if isinstance(package, Problem) or not hasattr(package, "__path__"):
        return [package]
    names = [f"{value}.{name}" for name in sorted(info.name for info in pkgutil.iter_modules(package.__path__))]
    return [package, *(_import(partial(importlib.import_module, name), _origin(name)) for name in names)]


def _origin(name: str) -> str:
    """The file of the module ``name``, or its name if there is none."""
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return name
    return (found and found.origin) or name


def import_file(path: Path) -> ModuleType:
    """The module in the file ``path``, under a name that no other module has."""
    full = path.resolve()
    if full.suffix != ".py":
        raise SpecError("not a Python file (*.py)")
    # The text is part of the name: a file that was edited is another module.
    name = f"gradcheck_specs_{full.stem}_{hashlib.sha256(bytes(full) + full.read_bytes()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    made = importlib.util.spec_from_file_location(name, full)
    if made is None or made.loader is None:
        raise SpecError("not a Python file (*.py)")
    module = importlib.util.module_from_spec(made)
    linecache.checkcache(str(full))
    defined.pop(name, None)
    sys.modules[name] = module
    try:
        # Not the loader: its bytecode cache takes an edit within the same second, of the same size, for no edit.
        exec(compile(full.read_bytes(), str(full), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import(load_module: Callable[[], ModuleType], path: str) -> ModuleType | Problem:
    try:
        return load_module()
    except (Exception, SystemExit) as error:
        return Problem(path, *_blame(error, path))


def _blame(error: BaseException, path: str) -> tuple[int | None, str]:
    """The line of ``path`` at which ``error`` left it, and the error in a sentence."""
    here = os.path.realpath(path)
    if isinstance(error, SyntaxError) and error.filename and os.path.realpath(error.filename) == here:
        return error.lineno, f"it does not parse: {error.msg}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if os.path.realpath(f.filename) == here]
    line = frames[-1].lineno if frames else None
    if isinstance(error, SpecError):
        # The message may begin with a place of its own, which is the more exact one.
        place = re.match(r"(?P<path>.+?):(?P<line>\d+): ", str(error))
        if place and os.path.realpath(place["path"]) == here:
            return int(place["line"]), str(error)[place.end() :]
        return line, str(error)
    return line, f"it does not import: {type(error).__name__}: {error}"

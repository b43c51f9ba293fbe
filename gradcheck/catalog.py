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
from dataclasses import dataclass
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
    """A spec file, or a spec in it, that could not be used; the rest of the catalog stands."""

    path: str
    line: int | None
    message: str


@dataclass(frozen=True)
class Catalog:
    """Specs by name, in order of family and file, and what could not be loaded."""

    specs: dict[str, FunctionSpec]
    problems: tuple[Problem, ...] = ()

    def find(self, name: str) -> FunctionSpec:
        """The spec called ``name``; raises ``UsageError`` with the nearest names."""
        try:
            return self.specs[name]
        except KeyError:
            hint = did_you_mean(name, self.specs) or " 'gradcheck list' shows what there is."
            raise SpecError(f"there is no spec {name!r}.{hint}") from None


def load(sources: Iterable[str] = ()) -> Catalog:
    """The catalog of ``sources`` (files or folders); with none, of every installed catalog.

    Files that do not import and duplicate names become problems; all else is kept. Raises
    ``SpecError`` for a path that is not there.
    """
    modules: list[ModuleType | Problem] = []
    paths = list(sources)
    seen: set[Path] = set()
    for source in paths:
        path = Path(source)
        if not path.exists():
            raise SpecError(f"{source}: no such file or folder")
        files = sorted(p for p in path.rglob("*.py") if _may_hold_specs(p.relative_to(path))) if path.is_dir() else [path]
        if not files:
            raise SpecError(f"{source}: no spec file (*.py) in this folder")
        new = [p for p in files if p.resolve() not in seen]
        seen.update(p.resolve() for p in new)
        modules.extend(_import(partial(_import_file, p), str(p)) for p in new)
    if not paths:
        for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
            modules.extend(_import_entry(entry.value))
    return _merge(modules)


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
            elif made.backward is None:
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


def _import_file(path: Path) -> ModuleType:
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

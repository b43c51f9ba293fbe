"""Imports point one way, as the table in ARCHITECTURE.md has it."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
PACKAGE = ROOT / "gradcheck"


ROWS = [line.split("|")[2] for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| step")]
DOWN = set(re.findall(r"`(\w+)` imports `(\w+)` when", TEXT))
"""The imports against the direction that the text names."""


def table() -> dict[str, int]:
    """The row of every module or folder of modules, by the second column of the table."""
    return {name: i for i, row in enumerate(ROWS) for name in re.findall(r"`(\w+)`", row)}


def files() -> dict[str, Path]:
    """Every file by its dotted name within the package, but for the package itself and the catalog."""
    found = {
        p.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): p for p in PACKAGE.rglob("*.py")
    }
    return {name: p for name, p in found.items() if part(name) not in ("__init__", "specs")}


def part(name: str) -> str:
    return name.partition(".")[0]


def nodes(tree: ast.AST, loading: bool) -> Iterator[ast.AST]:
    """All nodes, or only those that run when the file is loaded."""
    for node in ast.iter_child_nodes(tree):
        if not loading or not (isinstance(node, ast.FunctionDef) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))):
            yield node
            yield from nodes(node, loading)


def imported(path: Path, known: Collection[str], loading: bool) -> Iterator[str]:
    """The files that a file imports anywhere in it, within functions and for types too, or only as it is loaded."""
    for node in nodes(ast.parse(path.read_text("utf-8")), loading):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            names = [f"{node.module}.{a.name}" for a in node.names]
        for name in (n.removeprefix("gradcheck.") for n in names if n.startswith("gradcheck.")):
            yield from (n for n in (name, name.rpartition(".")[0]) if n in known)


def graph(loading: bool) -> dict[str, set[str]]:
    known = files()
    return {name: set(imported(path, known, loading)) - {name} for name, path in known.items()}


def test_the_table_names_every_module_once() -> None:
    named = [name for row in ROWS for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted({part(name) for name in files()})


def test_imports_point_up_the_table() -> None:
    rows = table()
    wrong = {(part(a), part(b)) for a, others in graph(False).items() for b in others if rows[part(b)] > rows[part(a)]}
    assert wrong == DOWN


def test_no_files_load_each_other_in_a_circle() -> None:
    assert set(TopologicalSorter(graph(True)).static_order()) == set(files())

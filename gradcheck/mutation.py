"""Wrong variants of a function, made one small slip at a time.

A mutation takes the syntax tree of a function and changes one place in it, in the ways in which hand-written
gradients go wrong: a factor or a term is dropped, a sum or a transpose forgotten, a sign turned, a mask negated or
ignored, an eps left out, the upstream gradient taken for ones.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import FunctionType
from typing import Any

Change = Callable[[ast.AST], Iterator[ast.expr]]

SUMS = ("sum", "mean", "unbroadcast")
TRANSPOSES = ("transpose", "swapaxes", "moveaxis")
NEGATED = {ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}


@dataclass(frozen=True)
class Mutant:
    """``function`` is the original with ``before`` (source, at ``line`` of its file) replaced by ``after``.

    ``nth`` tells places apart at which the same change can be made.
    """

    kind: str
    line: int
    before: str
    after: str
    nth: int
    build: Callable[[], Callable[..., Any]] = field(repr=False, compare=False)

    @property
    def change(self) -> str:
        return f"{self.before} -> {self.after}{f' ({self.nth})' if self.nth > 1 else ''}"

    @cached_property
    def function(self) -> Callable[..., Any]:
        return self.build()


def mutants(function: Callable[..., Any]) -> Iterator[Mutant]:
    """Every mutant of a Python function, in the order of its source; ``upstream`` is its first parameter.

    Raises ``OSError`` where the source is not to be had, and ``TypeError`` for what is no Python function.
    """
    if not isinstance(function, FunctionType):
        raise TypeError(f"{function!r} is no Python function")
    tree = _definition(function)
    changes = {**CHANGES, "upstream": _upstream(tree.args.args[0].arg)} if tree.args.args else CHANGES
    times: Counter[tuple[str, str]] = Counter()
    for place, node in enumerate(ast.walk(tree)):
        if not isinstance(node, ast.expr):
            continue
        here: dict[str, tuple[str, ast.expr]] = {}
        for kind, change in changes.items():
            for made in change(node):
                here.setdefault(ast.unparse(made), (kind, made))
        for after, (kind, made) in here.items():
            before = ast.unparse(node)
            times[before, after] += 1
            build = partial(_build, function, tree, place, made)
            yield Mutant(kind, node.lineno, before, after, times[before, after], build)


def _definition(function: FunctionType) -> ast.FunctionDef:
    lines, first = inspect.getsourcelines(function)
    (definition,) = ast.parse(textwrap.dedent("".join(lines))).body
    if not isinstance(definition, ast.FunctionDef):
        raise TypeError(f"{function.__qualname__} was not written with def")
    definition.decorator_list, definition.returns = [], None
    ast.increment_lineno(definition, first - 1)
    return definition


def _build(function: FunctionType, tree: ast.FunctionDef, place: int, made: ast.expr) -> Callable[..., Any]:
    changed = copy.deepcopy(tree)
    target = list(ast.walk(changed))[place]

    class Replace(ast.NodeTransformer):
        def visit(self, visited: ast.AST) -> Any:
            return ast.copy_location(copy.deepcopy(made), visited) if visited is target else self.generic_visit(visited)

    module = ast.fix_missing_locations(ast.Module([Replace().visit(changed)], []))
    made_here: dict[str, Any] = {}
    exec(compile(module, function.__code__.co_filename, "exec"), function.__globals__, made_here)
    wrong: FunctionType = made_here[tree.name]
    wrong.__defaults__, wrong.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    return wrong


def _binary(operator: type[ast.operator], *keeps: str) -> Change:
    """``a op b`` becomes what ``keeps`` names of "left" and "right"."""

    def change(node: ast.AST) -> Iterator[ast.expr]:
        if isinstance(node, ast.BinOp) and isinstance(node.op, operator):
            for side in keeps:
                yield getattr(node, side)

    return change


def _each(*changes: Change) -> Change:
    def change(node: ast.AST) -> Iterator[ast.expr]:
        for one in changes:
            yield from one(node)

    return change


def _subtrahend(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        yield node.left
        yield ast.UnaryOp(ast.USub(), node.right)


def _called(names: tuple[str, ...]) -> Change:
    """A call of a function, or a method, of these names becomes what it was called on."""

    def change(node: ast.AST) -> Iterator[ast.expr]:
        if not isinstance(node, ast.Call):
            return
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in names:
            module = isinstance(function.value, ast.Name) and function.value.id in ("np", "numpy")
            if not module:
                yield function.value
            elif node.args:
                yield node.args[0]
        elif isinstance(function, ast.Name) and function.id in names and node.args:
            yield node.args[0]

    return change


def _attribute(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield node.value


def _sign(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield node.operand
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        yield ast.BinOp(node.left, ast.Sub() if isinstance(node.op, ast.Add) else ast.Add(), node.right)


def _mask(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in NEGATED:
        yield ast.Compare(node.left, [NEGATED[type(node.ops[0])]()], node.comparators)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "where" and len(node.args) == 3:
        yield node.args[1]
        yield node.args[2]


def _eps(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and "eps" in node.id.lower():
        yield ast.Constant(0.0)


def _upstream(name: str) -> Change:
    def change(node: ast.AST) -> Iterator[ast.expr]:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id == name:
            yield ast.parse(f"0 * {name} + 1", mode="eval").body

    return change


CHANGES: dict[str, Change] = {
    "factor": _each(_binary(ast.Mult, "left", "right"), _binary(ast.Div, "left"), _binary(ast.Pow, "left")),
    "term": _each(_binary(ast.Add, "left", "right"), _subtrahend),
    "sum": _called(SUMS),
    "transpose": _each(_attribute, _called(TRANSPOSES)),
    "sign": _sign,
    "mask": _mask,
    "eps": _eps,
}
"""The kinds of slips, and how each changes a node."""

"""The spec format: what a page declares, and how a slip in it is told."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck.domains import Labels, Real
from gradcheck.errors import SpecError
from gradcheck.function_spec import FunctionSpec, defined, least, spec, where


def make(**changes: Any) -> FunctionSpec:
    @spec("twice", **{"family": "test", "torch": lambda x, y: 2 * x, "x": Real("*s"), "y": Labels("batch>=2", below="n>=3"), **changes})
    def twice(x: Any, y: Any) -> Any:
        """Twice x.

        More about it.
        """
        return 2 * x

    return twice


def test_a_page_is_read() -> None:
    made = make(dtypes=("float16",))
    assert (made.name, made.family, made.dtypes) == ("twice", "test", ("float16",))
    assert list(made.arguments) == ["x", "y"]
    assert made.differentiable == ("x",)
    assert made.summary == "Twice x."
    assert made.doc.endswith("More about it.")
    assert made.path == __file__
    assert isinstance(made.line, int)
    assert made(np.ones(2), None).tolist() == [2, 2]
    assert made in defined[__name__]
    assert make().dtypes == ("float64", "float32")


def test_satellites_are_registered() -> None:
    made = make()

    @made.vjp
    def back(dy: Any, x: Any, y: Any, out: Any) -> Any:
        return 2 * dy

    @made.law("doubles")
    def law(f: Any, x: Any, shift: Any = Real("batch")) -> Any:  # noqa: B008
        return None

    @made.exhibit("thrice", expects="V102")
    def wrong(x: Any, y: Any) -> Any:
        return 3 * x

    @made.exhibit("no upstream", expects=("G104", "G102"), part="vjp")
    def wrong_back(dy: Any, x: Any, y: Any, out: Any) -> Any:
        return 2

    assert made.backward is back
    assert [law.title for law in made.laws] == ["doubles"]
    assert list(made.extras) == ["shift"]
    assert [(e.title, e.expects, e.part) for e in made.exhibits] == [
        ("thrice", ("V102",), "forward"),
        ("no upstream", ("G104", "G102"), "vjp"),
    ]
    assert back.__name__ == "back"
    assert law is made.laws[0].body


def test_the_least_sizes_of_all_arguments_and_extras_are_known() -> None:
    made = make(y=Real("batch>=2", "n"))

    @made.law("any")
    def _(f: Any, z: Any = Real("n>=3")) -> None:  # noqa: B008
        return None

    assert least(made) == {"batch": 2, "n": 3}


def two_vjps(made: FunctionSpec) -> None:
    for _ in range(2):
        made.vjp(lambda dy, x, y, out: dy)


def law_of(parameters: str) -> Callable[[FunctionSpec], None]:
    def register(made: FunctionSpec) -> None:
        made.law("a law")(eval(f"lambda f, {parameters}: None", {"Real": Real}))

    return register


def two_laws_that_draw_one_name(made: FunctionSpec) -> None:
    law_of("shift=Real()")(made)
    law_of("shift=Real()")(made)  # the same domain: allowed
    law_of("shift=Real('n')")(made)


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        (lambda made: make(y=Real("two words")), r"twice.*argument 'y'.*'two words' is no axis"),
        (lambda made: make(y="batch"), r"twice.*y='batch' is no domain \(Real, "),
        (lambda made: make(z=Real()), r"declares the arguments \['x', 'y', 'z'\], but its forward takes \['x', 'y'\]"),
        (two_vjps, "has a vjp already, at "),
        (law_of("xx"), "takes 'xx', which is no argument of 'twice'"),
        (law_of("inputs, shift=Real()"), "takes 'inputs'"),
        (law_of("x=Real()"), "draws 'x', a name that is taken"),
        (two_laws_that_draw_one_name, "draws 'shift', a name that is taken"),
        (
            lambda made: made.exhibit("t", expects="V101", part="backward")(lambda x, y: x),
            "part='backward'; an exhibit replaces the 'forward' or the 'vjp'",
        ),
    ],
)
def test_slips_are_told(slip: Callable[[FunctionSpec], Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        slip(make())


@pytest.mark.parametrize(
    "slip", [lambda: make(y="batch"), lambda: make(z=Real()), lambda: make(y=Real("a b")), lambda: make(y=Real("n", ties="nobody"))]
)
def test_slips_name_file_and_line(slip: Callable[[], Any]) -> None:
    with pytest.raises(SpecError) as raised:
        slip()
    path, line, _ = str(raised.value).split(":", 2)
    assert path == __file__
    assert int(line) > 0


def test_a_near_miss_is_suggested() -> None:
    made = make()
    with pytest.raises(SpecError, match="Did you mean"):
        made.law("any")(eval("lambda f, xs: None"))


def test_where_sees_through_wrappers() -> None:
    @functools.wraps(make)
    def wrapper() -> None: ...

    assert where(wrapper) == where(make) == f"{__file__}:{make.__code__.co_firstlineno}"
    assert where(len) == repr(len)

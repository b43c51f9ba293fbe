"""Stand-ins reach all that the code under test can reach, and leave it as it was."""

from __future__ import annotations

import functools
import math
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.special
from flint import arb, ctx

from gradcheck.exact.array import ExactArray, exact
from gradcheck.exact.standin import StandIn, places, standing_in

HELPER = """
import numpy as np
from numpy import zeros

def buffer(n):
    return zeros(n)

def double(x):
    out = np.zeros(x.shape)
    out[...] = 2 * x
    return out

class Layer:
    scale = 2.0
    def __init__(self):
        self.calls = 0
    def forward(self, x):
        self.calls += 1
        return self.helper(x)
    def helper(self, x):
        out = np.zeros_like(x)
        out += self.scale * double(x)
        return out
    @staticmethod
    def static(x):
        return np.zeros(2) + x
    @classmethod
    def made(cls, x):
        return cls().forward(x)
    @property
    def buffer(self):
        return np.zeros(2)
    def __call__(self, x):
        out = np.empty(x.shape); out[:] = x
        return out
"""
USER = """
import functools, math
import math as m
import numpy
import numpy as np
import numpy as xp
import scipy
import scipy.special as sp
from math import exp, pi, sqrt
from numpy import array as make, zeros, pi as numpy_pi
from scipy import special
from scipy.special import expit, logsumexp
import gradcheck_test_helper
import gradcheck_test_helper as helper
from gradcheck_test_helper import Layer, buffer, double

eps = 1e-3
layer = Layer()
nested = {"f": double}

def alias(x):
    out = xp.zeros(x.shape); out[:] = x; return out

def module_name(x):
    out = numpy.zeros(x.shape); out[:] = x; return out

def imported_name(x):
    out = zeros(x.shape); out[:] = x; return out

def renamed(x):
    return make([x[0], 1.0])

def through_helper(x):
    return double(x)

def through_module(x):
    return helper.double(x) + gradcheck_test_helper.double(x)

def helper_buffer(x):
    out = buffer(len(x)); out[:] = x; return out

def instance(x):
    return layer.forward(x)

def new_instance(x):
    return Layer().forward(x) + Layer.made(x) + Layer.static(x)

def called_instance(x):
    return layer(x)

def inner_function(x):
    def inner(y):
        out = np.zeros(y.shape); out[:] = y; return out
    return inner(x)

def comprehension(x):
    return np.array([np.sqrt(2) * v for v in x])

def inner_lambda(x):
    return (lambda y: np.zeros(2) + y)(x)

def from_math(x):
    return math.exp(x[0]) + m.log(2) + exp(1.0) + sqrt(x[1])

def from_special(x):
    return expit(x) + sp.erf(0.5) + special.expit(x) + scipy.special.expit(0.5) + logsumexp(x)

def default_argument(x, make=np.zeros):
    out = make(2); out[:] = x; return out

def recursive(x, n=3):
    return x if n == 0 else recursive(np.zeros(2) + x, n - 1)

def local_import(x):
    import numpy as late
    return late.exp(x) + late.sum(x)

def closure():
    z = zeros
    k = np
    def f(x):
        out = z(2); out[:] = x; return out + k.zeros(2)
    return f

def decorated(f):
    @functools.wraps(f)
    def wrapper(x):
        return f(x)
    return wrapper

@decorated
def wrapped(x):
    out = np.zeros(2); out[:] = x; return out

def buffered(n):
    return np.zeros(n)

@decorated
def wrapped_second(x):
    return buffered(2) + double(x)

def both_wrapped(x):
    out = wrapped(x)
    return out + wrapped_second(x)

class Child(Layer):
    def forward(self, x):
        return self.helper(x) + self.buffer

def inherited(x):
    return Child().forward(x)

def from_a_table(x):
    return nested["f"](x) + steps[0](x)

steps = [double, alias]
closed = closure()
part = functools.partial(lambda k, x: np.zeros(2) + k * x, 3.0)
jumped = functools.partial(functools.partial(imported_name))

def uses_closed(x):
    return closed(x) + part(x)

def fails(x):
    np.zeros(2)
    raise RuntimeError("on purpose")

def generator(x):
    return sum(np.zeros(()) + v for v in x)
"""


@pytest.fixture(scope="module")
def user() -> Iterator[types.ModuleType]:
    names = {"gradcheck_test_helper": HELPER, "gradcheck_test_user": USER}
    for name, source in names.items():
        module = types.ModuleType(name)
        sys.modules[name] = module
        exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    yield sys.modules["gradcheck_test_user"]
    for name in names:
        del sys.modules[name]


def exactly(function: Callable[..., Any]) -> Any:
    with ctx.workprec(200), standing_in(places((function,))):
        return function(exact(np.array([0.5, 2.0])))


@pytest.mark.parametrize(
    "name",
    [
        "alias",
        "module_name",
        "imported_name",
        "renamed",
        "through_helper",
        "through_module",
        "helper_buffer",
        "instance",
        "new_instance",
        "called_instance",
        "inner_function",
        "comprehension",
        "inner_lambda",
        "from_math",
        "from_special",
        "recursive",
        "local_import",
        "closed",
        "part",
        "jumped",
        "uses_closed",
        "wrapped",
        "both_wrapped",
        "inherited",
        "from_a_table",
        "generator",
    ],
)
def test_all_that_can_be_reached_is_exact_and_left_as_it_was(name: str, user: types.ModuleType) -> None:
    function = getattr(user, name)
    modules = (user, sys.modules["gradcheck_test_helper"])
    before = [dict(vars(m)) for m in modules]
    expected = function(np.array([0.5, 2.0]))
    found = exactly(function)
    assert type(found) is ExactArray
    np.testing.assert_allclose([float(a) for a in found.balls_.ravel()], np.ravel(expected), rtol=1e-14)
    assert found.balls_.ravel()[0].rel_accuracy_bits() > 150
    assert [dict(vars(m)) for m in modules] == before
    assert type(function(np.array([0.5, 2.0]))) is not ExactArray
    assert user.np is np
    assert user.zeros is np.zeros


def test_bound_methods_and_callable_objects_are_reached(user: types.ModuleType) -> None:
    for function in (user.layer.forward, user.Layer.made, user.Layer.static, user.layer):
        assert type(exactly(function)) is ExactArray


def test_everything_is_restored_after_an_exception(user: types.ModuleType) -> None:
    with pytest.raises(RuntimeError, match="on purpose"):
        exactly(user.fails)
    assert user.np is np
    with pytest.raises(RuntimeError, match="on purpose"):
        exactly(lambda x: user.fails(x))


def test_closures_are_restored_too(user: types.ModuleType) -> None:
    cells = [c.cell_contents for c in user.closed.__closure__]
    found = places((user.closed,))
    with standing_in(found):
        assert [c.cell_contents for c in user.closed.__closure__] != cells
    assert [c.cell_contents for c in user.closed.__closure__] == cells


def test_stand_ins_nest(user: types.ModuleType) -> None:
    found = places((user.alias,))
    with standing_in(found):
        with standing_in(found):
            assert type(user.xp.zeros(2)) is ExactArray
        assert type(user.xp.zeros(2)) is ExactArray
        with standing_in(places((user.alias, user.imported_name))):
            assert type(user.alias(exact(np.ones(2)))) is ExactArray
    assert user.xp is np
    assert user.zeros is np.zeros


def test_a_name_left_unbound_in_a_closure_is_passed_over() -> None:
    def outer() -> Callable[[Any], Any]:
        def f(x: Any) -> Any:
            return np.zeros(2) + x + (late if False else 0)

        if f is None:
            late = 1
        return f

    assert type(exactly(outer())) is ExactArray


def test_constants_are_not_rounded() -> None:
    def constants(_: Any) -> list[Any]:
        return [
            np.pi,
            np.e,
            math.pi,
            math.e,
            math.tau,
            np.sqrt(2),
            np.log(2.0),
            math.sqrt(2),
            math.exp(1),
            scipy.special.erf(0.5),
            np.euler_gamma,
        ]

    with ctx.workprec(300):
        true = [
            arb.pi(),
            arb.const_e(),
            arb.pi(),
            arb.const_e(),
            2 * arb.pi(),
            arb(2).sqrt(),
            arb(2).log(),
            arb(2).sqrt(),
            arb.const_e(),
            arb(0.5).erf(),
            arb.const_euler(),
        ]
        for found, value in zip(exactly(constants), true, strict=True):
            assert found.balls_[()].rel_accuracy_bits() > 150
            assert found.balls_[()].overlaps(value)


def test_integers_and_booleans_stay_ordinary() -> None:
    def ordinary(x: Any) -> list[Any]:
        n = len(x)
        return [
            np.zeros(n, dtype=int),
            np.arange(n),
            np.array([1, 2]),
            np.ones(n, dtype=bool),
            np.array([True]),
            np.full(2, 7),
            np.eye(2, dtype=int),
            np.zeros_like([1, 2]),
        ]

    for found in exactly(ordinary):
        assert type(found) is np.ndarray
        assert found.dtype.kind in "bi"


def test_integer_parts_are_python_integers() -> None:
    floor, ceil = exactly(lambda x: (math.floor(x[1] + 0.5), math.ceil(x[0])))
    assert (floor, ceil) == (2, 1)
    assert type(floor) is type(ceil) is int


@pytest.mark.parametrize(
    "name",
    ["zeros", "ones", "empty", "eye", "identity", "arange", "linspace", "tri", "full", "array", "asarray", "zeros_like", "full_like"],
)
def test_factories_keep_their_signatures(name: str) -> None:
    arguments: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
        "linspace": [((0, 1), {"num": 3}), ((0, 1, 4), {"endpoint": False})],
        "arange": [((3.0,), {}), ((0, 2, 0.5), {}), ((4,), {"dtype": float})],
        "full": [(((2, 3), 0.5), {}), ((2,), {"fill_value": 0.5, "dtype": np.float32}), ((2, 1), {"dtype": float})],
        "array": [(([1.0, 2],), {}), (([[1, 2]],), {"dtype": float}), ((1.5,), {"ndmin": 2}), (([1.0],), {"copy": True})],
        "asarray": [((2.5,), {}), (([1, 2], float), {}), (([1, 2],), {"dtype": np.float32})],
        "zeros_like": [((np.ones((2, 3)),), {}), (([1, 2],), {"dtype": float}), ((np.ones(2),), {"shape": (3, 1)})],
        "full_like": [((np.ones((2, 3)), 0.5), {}), (([1, 2], 0.5), {"dtype": float})],
        "eye": [((2,), {}), ((2, 3, 1), {}), ((3,), {"k": -1})],
        "identity": [((2,), {})],
        "tri": [((2, 3, 1), {})],
    }
    for args, kwargs in arguments.get(
        name, [(((2, 3),), {}), ((4,), {}), ((2, np.float32), {}), ((2,), {"dtype": "float64"}), ((), {"shape": (2,)})]
    ):

        def f(x: Any, args: Any = args, kwargs: Any = kwargs) -> Any:
            return getattr(np, name)(*args, **kwargs)

        found, expected = exactly(f), getattr(np, name)(*args, **kwargs)
        assert type(found) is ExactArray
        assert found.shape == expected.shape
        if name != "empty":
            assert [float(a) for a in found.balls_.ravel()] == pytest.approx(expected.ravel().tolist(), rel=1e-6)


def test_shapes_may_be_exact_integers() -> None:
    assert exactly(lambda x: np.zeros(int(x[1]))).shape == (2,)
    assert exactly(lambda x: np.arange(x[1])).tolist()[1] == 1
    assert exactly(lambda x: np.eye(int(np.sum(x > 0)))).shape == (2, 2)


def test_the_stand_in_is_the_module_for_all_else() -> None:
    def look(_: Any) -> tuple[Any, ...]:
        return (
            np.float64,
            np.newaxis,
            np.ndarray,
            np.add,
            np.int64,
            np.inf,
            np.linalg.norm,
            isinstance(np, types.ModuleType),
            type(np),
            np.__name__,
        )

    found = exactly(look)
    assert found[:8] == (np.float64, None, np.ndarray, np.add, np.int64, np.inf, np.linalg.norm, True)
    assert found[8:] == (StandIn, "numpy")


def test_foreign_code_is_left_alone() -> None:
    found = places((functools.partial(scipy.special.logsumexp), np.vectorize, math.exp, print, lambda: np.zeros(2)))
    assert {id(place) for place, _, _ in found} == {id(globals())}


def test_the_places_of_one_function_hold_no_duplicates_that_would_restore_the_wrong_value(user: types.ModuleType) -> None:
    found = places((user.alias, user.alias, user.module_name, user.alias))
    with standing_in([*found, *found]):
        pass
    assert user.xp is np
    assert user.numpy is np

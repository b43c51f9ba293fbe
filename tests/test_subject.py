"""Subjects of every convention behave alike: tuples in, tuples out, exact in, exact out."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flint import ctx

import gradcheck
from gradcheck.domains import Real
from gradcheck.errors import SpecError
from gradcheck.exact.array import ExactArray, exact
from gradcheck.function_spec import FunctionSpec, spec
from gradcheck.subject import (
    Implementation,
    NumpyPair,
    ReturnsNothing,
    TorchCallable,
    Unbound,
    WrongCount,
    bind,
    house,
    implementations,
    implements,
    import_module,
    label,
    locate,
    on_show,
    provided,
    reference,
    takes_output,
    tensors_of,
)

X, Y, DY = np.array([0.5, -2.0]), np.array([3.0, 1.0]), np.array([1.0, 10.0])


def product(x: Any, y: Any) -> Any:
    out = np.zeros(x.shape)
    out[:] = x * y
    return out


def product_vjp(dy: Any, x: Any, y: Any) -> Any:
    return dy * y, dy * x


def pair(forward: Any = product, backward: Any = product_vjp, differentiable: tuple[str, ...] = ("x", "y")) -> NumpyPair:
    return NumpyPair("product", forward, backward, ("x", "y"), differentiable)


class Module(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x * y * self.scale / self.scale


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, y = ctx.saved_tensors
        return dy * y, dy * x


SUBJECTS = {
    "pair": pair(),
    "pair with output": pair(backward=lambda dy, x, y, out: (dy * y, dy * x)),
    "partial": pair(forward=functools.partial(product), backward=functools.partial(product_vjp)),
    "lists": pair(forward=lambda x, y: [x * y], backward=lambda dy, x, y: [dy * y, dy * x]),
    "torch lambda": TorchCallable("t", lambda x, y: x * y, ("x", "y"), ("x", "y")),
    "torch function": TorchCallable("t", torch.mul, ("x", "y"), ("x", "y")),
    "torch module": TorchCallable("t", Module(), ("x", "y"), ("x", "y")),
    "autograd function": TorchCallable("t", Square.apply, ("x", "y"), ("x", "y")),
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_values_and_gradients_in_floats(name: str) -> None:
    subject = SUBJECTS[name]
    (value,) = subject.value((X, Y))
    gx, gy = subject.gradient((DY,), (X, Y), (value,))
    for found, expected in ((value, X * Y), (gx, DY * Y), (gy, DY * X)):
        assert type(found) is np.ndarray
        assert found.dtype == np.float64
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("name", [n for n in SUBJECTS if n != "autograd function"])
def test_values_and_gradients_in_balls(name: str) -> None:
    subject = SUBJECTS[name]
    with ctx.workprec(200):
        (value,) = subject.value((exact(X), exact(Y)))
        gradients = subject.gradient((exact(DY),), (exact(X), exact(Y)), (value,))
    for found, expected in zip((value, *gradients), (X * Y, DY * Y, DY * X), strict=True):
        assert type(found) is ExactArray
        assert [float(a) for a in found.balls_] == expected.tolist()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_dtype_that_comes_in_comes_out(dtype: str) -> None:
    for name in ("torch lambda", "lists"):
        (value,) = SUBJECTS[name].value((X.astype(dtype), Y.astype(dtype)))
        assert value.dtype == dtype


def test_several_outputs_travel_as_tuples() -> None:
    def both(x: Any, y: Any) -> Any:
        return x + y, x * y

    def both_vjp(dy: Any, x: Any, y: Any, out: Any) -> Any:
        assert len(dy) == len(out) == 2
        return dy[0] + dy[1] * y, dy[0] + dy[1] * x

    for subject in (pair(both, both_vjp), TorchCallable("t", both, ("x", "y"), ("x", "y"))):
        outputs = subject.value((X, Y))
        assert len(outputs) == 2
        gx, gy = subject.gradient((DY, 2 * DY), (X, Y), outputs)
        assert gx.tolist() == (DY + 2 * DY * Y).tolist()
        assert gy.tolist() == (DY + 2 * DY * X).tolist()


def test_one_gradient_may_come_bare() -> None:
    subject = pair(backward=lambda dy, x, y: dy * y, differentiable=("x",))
    assert subject.gradient((DY,), (X, Y), (X * Y,))[0].tolist() == (DY * Y).tolist()


def test_torch_leaves_out_what_is_not_connected() -> None:
    subject = TorchCallable("t", lambda x, y: x.detach() * y, ("x", "y"), ("x", "y"))
    gx, gy = subject.gradient((DY,), (X, Y), (X * Y,))
    assert gx is None
    assert gy.tolist() == (DY * X).tolist()
    constant = TorchCallable("t", lambda x, y: torch.ones(2), ("x", "y"), ("x", "y"))
    assert constant.gradient((DY,), (X, Y), (X,)) == (None, None)


def test_options_and_integers_reach_torch_as_they_are() -> None:
    seen: list[Any] = []
    subject = TorchCallable("t", lambda x, y: seen.append(y) or x, ("x", "y"), ("x",))
    subject.value((X, "mean"))
    subject.value((X, np.array([1, 0])))
    assert seen[0] == "mean"
    assert seen[1].dtype == torch.int64
    assert not seen[1].requires_grad


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pair(forward=lambda x, y: None).value((X, Y)), ReturnsNothing, "the forward returned None"),
        (lambda: pair(forward=lambda x, y: (x, None)).value((X, Y)), ReturnsNothing, "a tuple with None"),
        (lambda: pair(forward=lambda x, y: ()).value((X, Y)), ReturnsNothing, "the forward returned"),
        (lambda: pair(backward=lambda dy, x, y: None).gradient((DY,), (X, Y), (X,)), ReturnsNothing, "the backward returned None"),
        (lambda: pair(backward=lambda dy, x, y: dy).gradient((DY,), (X, Y), (X,)), WrongCount, "returned 1 gradients, for 2"),
        (lambda: pair(backward=lambda dy, x, y: (dy, dy, dy)).gradient((DY,), (X, Y), (X,)), WrongCount, "returned 3 gradients, for 2"),
    ],
)
def test_what_comes_back_empty_is_told(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("backward", "count", "takes"),
    [
        (lambda dy, x: dy, 1, False),
        (lambda dy, x, y: dy, 1, True),
        (lambda dy, x, y=None: dy, 1, False),
        (lambda dy, *args: dy, 1, False),
        (lambda dy, x, *, y: dy, 1, False),
        (lambda dy, x, y, out: dy, 2, True),
        (functools.partial(lambda k, dy, x, y: dy, 1), 1, True),
        (max, 1, False),
    ],
)
def test_whether_a_vjp_takes_the_output(backward: Callable[..., Any], count: int, takes: bool) -> None:
    assert takes_output(backward, count) is takes


def test_the_modules_numpy_is_untouched_after_an_exact_run() -> None:
    pair().value((exact(X), exact(Y)))
    with pytest.raises(ZeroDivisionError):
        pair(forward=lambda x, y: np.zeros(2) + 1 / 0).value((exact(X), exact(Y)))
    assert np is sys.modules["numpy"]
    assert type(product(X, Y)) is np.ndarray


class Holder:
    def forward(self, x: Any) -> Any:
        return x

    def method(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (product, product.__code__.co_firstlineno),
        (Holder.forward, Holder.forward.__code__.co_firstlineno),
        (Holder().method, Holder.method.__code__.co_firstlineno),
        (Holder(), Holder.forward.__code__.co_firstlineno),
        (Holder, Holder.forward.__code__.co_firstlineno),
        (Module(), Module.forward.__code__.co_firstlineno),
        (functools.wraps(product)(lambda x, y: 0), product.__code__.co_firstlineno),
    ],
)
def test_functions_are_located(function: Any, line: int) -> None:
    assert locate(function) == (__file__, line)


def test_what_has_no_source_is_located_nowhere() -> None:
    assert locate(torch.mul)[1] is None
    assert pair().location == (__file__, product.__code__.co_firstlineno, product_vjp.__code__.co_firstlineno)


def made_spec() -> FunctionSpec:
    @spec("triple", family="test", x=Real("n"), torch=lambda x: 3 * x)
    def triple(x: Any) -> Any:
        return 3 * x

    @triple.vjp
    def _(dy: Any, x: Any, y: Any) -> Any:
        return 3 * dy

    @triple.exhibit("four times", expects="V102")
    def _(x: Any) -> Any:
        return 4 * x

    @triple.exhibit("forgets", expects="G104", part="vjp")
    def _(dy: Any, x: Any, y: Any) -> Any:
        return 3 + 0 * dy

    return triple


def test_the_subjects_of_a_spec() -> None:
    made = made_spec()
    for subject, value, gradient in (
        (house(made), 3.0, 30.0),
        (reference(made), 3.0, 30.0),
        (on_show(made, made.exhibits[0]), 4.0, 30.0),
        (on_show(made, made.exhibits[1]), 3.0, 3.0),
    ):
        outputs = subject.value((np.ones(1),))
        assert outputs[0].tolist() == [value]
        assert subject.gradient((np.array([10.0]),), (np.ones(1),), outputs)[0].tolist() == [gradient]
        assert subject.arguments == subject.differentiable == ("x",)
    assert house(made).convention == "spec"
    assert on_show(made, made.exhibits[0]).name == "triple: four times"
    assert isinstance(bind(made, lambda x: x, None), TorchCallable)
    assert isinstance(bind(made, lambda x: x, lambda dy, x: dy), NumpyPair)


def test_implementations_are_bound() -> None:
    @implements("triple")
    def mine(x: Any) -> Any:
        """Doc."""
        return 3 * x

    @mine.vjp
    def back(dy: Any, x: Any) -> Any:
        return 3 * dy

    assert isinstance(mine, Implementation)
    assert mine(2) == 6
    assert (mine.spec, mine.backward, mine.__doc__) == ("triple", back, "Doc.")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "subjects_bound.py").write_text(
        "from gradcheck import implements\n@implements('relu')\ndef relu(x): return x\n@relu.vjp\ndef _(dy, x): return dy\n"
        "def plain(x): return x\ndef plain_vjp(dy, x): return dy\nnumber = 3\n"
    )
    (tmp_path / "subjects_broken.py").write_text("x = 1\n1 / 0\n")
    (tmp_path / "subjects_exit.py").write_text("raise SystemExit(1)\n")
    yield tmp_path
    for name in ("subjects_bound", "subjects_broken", "subjects_exit"):
        sys.modules.pop(name, None)


def test_a_module_provides_what_it_binds_and_what_is_named(project: Path) -> None:
    named = {
        "gelu": {"forward": "subjects_bound:plain", "vjp": "subjects_bound:plain_vjp"},
        "silu": "subjects_bound:plain",
        "other": "elsewhere:f",
    }
    found = implementations("subjects_bound", named)
    assert [(s, f.__name__, None if b is None else b.__name__) for s, f, b in found] == [
        ("relu", "relu", "_"),
        ("gelu", "plain", "plain_vjp"),
        ("silu", "plain", None),
    ]
    assert [s for s, *_ in implementations("pyproject.toml", {"silu": "subjects_bound:plain"})] == ["silu"]
    assert import_module("subjects_bound").number == 3
    assert import_module(str(project / "subjects_bound.py")).number == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: import_module("subjects_missing"), "subjects_missing does not import: ModuleNotFoundError"),
        (lambda: import_module("subjects_missing.py"), "no such file"),
        (lambda: import_module("subjects_broken"), r"does not import: ZeroDivisionError: .*subjects_broken\.py:2"),
        (lambda: import_module("subjects_exit"), "does not import: SystemExit"),
    ],
)
def test_slips_are_told(call: Callable[[], Any], message: str, project: Path) -> None:
    with pytest.raises(SpecError, match=message):
        call()


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("subjects_bound:plane", "subjects_bound has no function 'plane'. Did you mean 'plain'?"),
        ("subjects_bound:number", "subjects_bound has no function 'number'."),
        ("subjects_missing:f", "subjects_missing does not import: ModuleNotFoundError: No module named 'subjects_missing'"),
        ({"forward": "subjects_bound:plain", "vjp": "subjects_exit:f"}, "subjects_exit does not import: SystemExit: 1"),
        ({"vjp": "subjects_bound:plain"}, 'give "module:function", or a table with forward and vjp'),
    ],
)
def test_an_entry_that_names_nothing_stands_apart(entry: Any, reason: str, project: Path) -> None:
    named = {"relu": entry, "silu": "subjects_bound:plain"}
    broken, right = provided("p.toml", named)
    assert isinstance(broken, Unbound)
    assert broken.spec == "relu"
    assert broken.reason.startswith(f"[tool.gradcheck.subjects] relu: {reason}")
    assert implementations("p.toml", named) == [right]


def test_a_file_is_no_other_module(project: Path) -> None:
    (project / "json.py").write_text("from dataclasses import dataclass\n@dataclass\nclass C:\n    x: int\n")
    before = sys.modules.get("json")
    made = import_module("json.py")
    assert made.C(1).x == 1
    assert import_module(str(project / "json.py")) is made
    assert sys.modules.get("json") is before
    with pytest.raises(SpecError, match=r"subjects_broken\.py does not import"):
        import_module("subjects_broken.py")
    with pytest.raises(SpecError, match=r"subjects_broken\.py does not import"):
        import_module("subjects_broken.py")


T = torch.tensor([1.0, -2.0], dtype=torch.float64)


@pytest.mark.parametrize(
    ("returned", "count"),
    [
        (T, 1),
        ((T, None), 1),
        ([T, (T, {"a": T, "b": [T]})], 4),
        ({"loss": T, "step": 3, "rate": 0.1, "name": "adam", "last": True}, 1),
        (torch.max(T, 0), 2),
    ],
)
def test_the_tensors_of_what_torch_code_returns(returned: Any, count: int) -> None:
    assert len(tensors_of(returned)) == count


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (None, ReturnsNothing, "the forward returned None"),
        ((None, None), ReturnsNothing, "the forward returned a tuple with None in it"),
        ((), ReturnsNothing, "the forward returned an empty tuple"),
        ({}, ReturnsNothing, "the forward returned a dict without a tensor in it"),
        (3.0, TypeError, "the forward returned a float, which is no tensor"),
        ((T, np.ones(2)), TypeError, "the forward returned a ndarray, which is no tensor"),
    ],
)
def test_what_torch_code_may_not_return(returned: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tensors_of(returned)


@pytest.mark.parametrize("returned", [(), []])
def test_an_empty_tuple_is_called_so(returned: Any) -> None:
    with pytest.raises(ReturnsNothing, match=f"the forward returned an empty {type(returned).__name__}$"):
        pair(forward=lambda x, y: returned).value((X, Y))


def nested(x: torch.Tensor) -> Any:
    return {"a": x * 2, "b": (x.exp(), None)}, 1.0


def test_nested_outputs_have_gradients() -> None:
    subject = TorchCallable("t", nested, ("x",), ("x",))
    outputs = subject.value((X,))
    assert [o.tolist() for o in outputs] == [(2 * X).tolist(), np.exp(X).tolist()]
    (g,) = subject.gradient((DY, DY), (X,), outputs)
    assert np.allclose(g, DY * 2 + DY * np.exp(X))
    with ctx.workprec(200):
        assert len(subject.gradient((exact(DY), exact(DY)), (exact(X),), subject.value((exact(X),)))) == 1


@pytest.mark.parametrize("module", [torch.nn.LSTM(3, 2), torch.nn.GRU(3, 2)])
def test_recurrent_modules(module: torch.nn.Module) -> None:
    result = gradcheck.check(module.double(), torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3))
    assert result.passed, result.findings


def test_attention_without_weights() -> None:
    mha = torch.nn.MultiheadAttention(2, 1).double()
    assert gradcheck.check(lambda q: mha(q, q, q, need_weights=False), torch.eye(2, dtype=torch.float64)).passed


def test_a_gradient_of_zeros_that_torch_does_not_store() -> None:
    assert gradcheck.check(torch.sgn, T).passed


class Dirty(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> torch.Tensor:
        return 2 * dy


@pytest.mark.parametrize("function", [torch.nn.ReLU(inplace=True), Dirty.apply, lambda x: x.mul_(2), lambda x: x.unsqueeze_(0).mul_(3)])
def test_torch_code_in_place(function: Callable[..., Any]) -> None:
    subject, x = TorchCallable("t", function, ("x",), ("x",)), X.copy()
    (value,) = subject.value((x,))
    assert x.ravel().tolist() == value.ravel().tolist() != X.tolist()
    (g,) = subject.gradient((np.ones_like(value),), (X.copy(),), (value,))
    with ctx.workprec(200):
        (balls,) = subject.gradient((exact(np.ones_like(value)),), (exact(X),), subject.value((exact(X),)))
    assert [float(b) for b in balls.balls_] == g.tolist()


def test_a_cotangent_is_shared_where_torch_can() -> None:
    subject, (y,) = SUBJECTS["torch lambda"], (X * Y,)
    fixed = DY.copy()
    fixed.flags.writeable = False
    for dy in (fixed, DY[::-1][::-1], DY.astype(np.float32), np.array([DY, DY]).T[:, 0]):
        assert subject.gradient((dy,), (X, Y), (y,))[0].tolist() == (DY * Y).tolist()
    assert subject.gradient((DY[::-1],), (X, Y), (y,))[0].tolist() == (DY[::-1] * Y).tolist()


def test_methods_are_called_by_their_class() -> None:
    class Derived(Module):
        pass

    assert label(Derived().forward) == "Derived.forward"
    assert label(Square.apply) == "Square.apply"
    assert label(lambda x: x) == "<lambda>"
    assert (label(Derived), label(np.sin), label(torch.tanh), label(product)) == ("Derived", "sin", "tanh", "product")
    assert label(functools.partial(product), "forward") == "forward"
    result = gradcheck.check(Module().forward, torch.ones(1), torch.ones(1))
    assert result.name == "Module.forward"


class Doubled(torch.autograd.Function):
    """The square, with a backward that is twice what it should be."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> torch.Tensor:
        return 4 * dy * ctx.saved_tensors[0]


class Convolved(torch.nn.Module):
    """A float32 module with a parameter and a buffer of its own; it may end in a wrong backward."""

    def __init__(self, wrong: bool = False) -> None:
        super().__init__()
        self.convolution, self.wrong = torch.nn.Conv1d(2, 3, 3), wrong
        self.register_buffer("factors", torch.linspace(0.1, 0.5, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.convolution(x) * self.factors[:, None]
        return Doubled.apply(y) if self.wrong else y

    def total(self, x: torch.Tensor) -> torch.Tensor:
        return self(x).sum()


def signal(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.sin(torch.arange(1.0, 1 + np.prod(shape), dtype=dtype)).reshape(shape)


@pytest.fixture
def seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


FLOAT32 = {
    "Conv1d": (lambda: torch.nn.Conv1d(2, 3, 3), (1, 2, 5)),
    "Conv2d": (lambda: torch.nn.Conv2d(2, 3, 3), (1, 2, 5, 5)),
    "Conv3d": (lambda: torch.nn.Conv3d(1, 2, 2), (1, 1, 3, 3, 3)),
    "ConvTranspose1d": (lambda: torch.nn.ConvTranspose1d(2, 3, 3), (1, 2, 4)),
    "ConvTranspose2d": (lambda: torch.nn.ConvTranspose2d(2, 1, 2), (1, 2, 2, 2)),
    "Linear": (lambda: torch.nn.Linear(5, 2), (2, 5)),
    "LSTM": (lambda: torch.nn.LSTM(3, 2), (2, 1, 3)),
    "PReLU": (lambda: torch.nn.PReLU(), (5,)),
    "parametrized": (lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(2, 3, 3)), (1, 2, 5)),
    "scripted": (lambda: torch.jit.script(torch.nn.Conv1d(2, 3, 3)), (1, 2, 5)),
    "own": (Convolved, (1, 2, 5)),
}


@pytest.mark.usefixtures("seeded")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FLOAT32)
def test_modules_of_float32_are_evaluated_in_float64_too(name: str, dtype: torch.dtype) -> None:
    make, shape = FLOAT32[name]
    result = gradcheck.check(make(), signal(*shape, dtype=dtype))
    assert (result.verdict, result.measurements["way"], result.findings) == ("pass", "exact", ())


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize(
    "reach",
    [lambda m: m, lambda m: m.total, lambda m: lambda x: m(x), lambda m: functools.partial(m), lambda m: torch.nn.Sequential(m)],
    ids=["module", "method", "closure", "partial", "part"],
)
def test_every_way_to_a_module_of_float32(reach: Callable[[Any], Any], wrong: bool) -> None:
    module = Convolved(wrong)
    module(signal(1, 2, 5)).sum().backward()
    tensors = [*module.parameters(), *module.buffers()]

    def held() -> list[Any]:
        return [(id(t), t.data_ptr(), t.dtype, t.tolist(), t.requires_grad, t.grad is None) for t in tensors]

    before, gradients = held(), [p.grad.clone() for p in module.parameters()]
    result = gradcheck.check(reach(module), signal(1, 2, 5))
    assert [f.code for f in result.findings] == (["G102"] if wrong else [])
    assert (result.verdict, result.measurements["way"]) == ("fail" if wrong else "pass", "exact")
    assert [*module.parameters(), *module.buffers()] == tensors
    assert held() == before
    assert all(torch.equal(p.grad, g) for p, g in zip(module.parameters(), gradients, strict=True))


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("wrong", [False, True])
def test_a_module_of_float32_by_float_differences(wrong: bool) -> None:
    module = Convolved(wrong)
    result = gradcheck.check(lambda x: torch.linalg.eigvals(module(x)[0]).abs(), signal(1, 2, 5))
    assert [f.key for f in result.findings] == ([("G102", "x")] if wrong else [])
    assert result.measurements["way"] == "float"
    (why,) = result.measurements["why_not_exact"]
    assert "linalg_eig" in why


@pytest.mark.usefixtures("seeded")
def test_a_module_that_mixes_dtypes_on_purpose_is_left_to() -> None:
    linear, double = torch.nn.Linear(3, 2), torch.nn.Linear(2, 2).double()
    result = gradcheck.check(lambda x: double(linear(x.float()).double()), signal(4, 3), ignore="N")
    assert (result.verdict, result.findings) == ("pass", ())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_module_that_is_wider_than_its_input_raises_as_it_does_for_its_user(dtype: torch.dtype) -> None:
    result = gradcheck.check(torch.nn.Linear(3, 2).double(), signal(4, 3).to(dtype))
    assert [f.code for f in result.findings] == ["R101"]
    assert "must have the same dtype" in result.findings[0].message


def test_the_error_that_copies_in_float64_do_not_mend_is_the_first_one() -> None:
    result = gradcheck.check(torch.nn.Conv1d(4, 3, 3), signal(1, 2, 5, dtype=torch.float64))
    assert [f.code for f in result.findings] == ["R101"]
    assert "Input type (double) and bias type (float)" in result.findings[0].message


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_masks_behind_a_module_of_float32(dtype: torch.dtype) -> None:
    """The forward that raised for its dtype has drawn, or has not drawn yet."""
    for module in (
        torch.nn.Sequential(torch.nn.Dropout(0.5), Convolved(), torch.nn.Dropout(0.5)),
        torch.nn.Sequential(Convolved(), torch.nn.Dropout(0.5)),
    ):
        result = gradcheck.check(module, signal(1, 2, 5, dtype=dtype))
        assert [f.code for f in result.findings] == ["S105"]
        assert (result.verdict, result.measurements["arithmetic"]) == ("pass", "pass")


@pytest.mark.usefixtures("seeded")
def test_float32_modules_and_comparisons_that_low_precision_leaves_open() -> None:
    module = Convolved()
    result = gradcheck.check(lambda x: torch.where(module(x) > 1e-30, module(x) ** 2, 1e-60), signal(1, 2, 5))
    assert (result.verdict, result.measurements["way"]) == ("pass", "exact")

"""gradcheck.check: every way to call it, and what it says of code that is wrong in every way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import CheckFailed, Result, Severity, Verdict, check
from gradcheck.errors import GradcheckError, UsageError

X = np.array([1.0, 2.0, -3.0])
HERE = __file__


def square(x: Any) -> Any:
    return x * x


def square_vjp(dy: Any, x: Any) -> Any:
    return 2 * x * dy


def half_vjp(dy: Any, x: Any) -> Any:
    return x * dy


def _line(function: Callable[..., Any]) -> int:
    return function.__code__.co_firstlineno


def _codes(result: Result) -> set[tuple[str, str | None]]:
    return {(f.code, f.argument) for f in result.findings}


def test_a_right_pair() -> None:
    result = check(square, square_vjp, X)
    assert result
    assert result.passed
    assert result.verdict is Verdict.PASS
    assert result.findings == ()
    assert 0 < result.detects < 1e-11
    assert (result.path, result.line, result.name) == (HERE, _line(square), "square")
    assert result.measurements["way"] == "exact"
    result.raise_if_failed()


def test_a_wrong_pair() -> None:
    result = check(square, half_vjp, X)
    assert not result
    assert result.verdict is Verdict.FAIL
    [found] = result.findings
    assert (found.code, found.argument, found.severity, found.line) == ("G102", "x", Severity.ERROR, _line(half_vjp))
    assert found.cause == "a factor 1/2"
    assert np.array_equal(found.example.arguments["x"], X)
    with pytest.raises(CheckFailed, match="G102") as caught:
        result.raise_if_failed()
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, GradcheckError)
    assert max(map(len, str(caught.value).splitlines())) <= 80


def test_the_primals_are_not_touched() -> None:
    def greedy(x: Any) -> Any:
        x[...] = 0
        return x * 1.0

    mine = X.copy()
    assert ("S101", "x") in _codes(check(greedy, lambda dy, x: dy * 0, mine))
    assert np.array_equal(mine, X)


def test_several_outputs() -> None:
    def forward(a: Any, b: Any) -> Any:
        return a * b, a + b

    def vjp(dy: Any, a: Any, b: Any) -> Any:
        return dy[0] * b + dy[1], dy[0] * a + dy[1]

    assert check(forward, vjp, X, X + 1)
    result = check(forward, lambda dy, a, b: (vjp(dy, a, b)[0], dy[0] * a), X, X + 1)
    assert [(f.code, f.argument) for f in result.findings] == [("G101", "b")]


@pytest.mark.parametrize("primal", [np.array(0.5), np.float64(0.5), 0.5, np.zeros((0, 3)), np.ones((1, 1)), np.array([1e-300, 1e300])])
def test_shapes_and_sizes(primal: Any) -> None:
    result = check(square, square_vjp, primal)
    assert result, result.findings


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtypes(dtype: type) -> None:
    assert check(square, square_vjp, X.astype(dtype))
    result = check(square, half_vjp, X.astype(dtype))
    assert _codes(result) == {("G102", "x")}
    assert result.findings[0].example.dtype == np.dtype(dtype).name


def test_what_is_not_floating_is_passed_on() -> None:
    def forward(x: Any, i: Any, scale: Any, how: Any) -> Any:
        assert how == ["as", "it", "is"]
        return x[i] * scale

    def vjp(dy: Any, x: Any, i: Any, scale: Any, how: Any) -> Any:
        g = np.zeros_like(x)
        np.add.at(g, i, dy * scale)
        return g

    assert check(forward, vjp, X, np.array([0, 0, 2]), 0.5, ["as", "it", "is"])
    wrong = check(forward, lambda dy, x, i, s, h: np.ones_like(x), X, np.array([0, 0, 2]), 0.5, ["as", "it", "is"])
    assert {a for _, a in _codes(wrong)} == {"x"}


def test_a_smooth_function_whose_slope_vanishes() -> None:
    assert check(lambda x: x * x * x, lambda dy, x: 3 * x * x * dy, np.zeros(2))
    assert check(lambda x: 3 * x * x - 2 * x * x * x, lambda dy, x: 6 * x * (1 - x) * dy, np.array([0.0, 1.0]))
    assert check(lambda x: x * np.sum(x * x), lambda dy, x: dy * np.sum(x * x) + 2 * x * np.sum(dy * x), np.zeros(3))


def test_python_floats_beside_an_array_are_options() -> None:
    assert check(lambda x, a: a * x, lambda dy, x, a: a * dy, X, 0.5)
    assert check(lambda x, a: a * x, lambda dy, x, a: (a * dy, x * dy), 2.0, 0.5)


def test_the_upstream_gradient() -> None:
    assert _codes(check(square, lambda dy, x: 2 * x, X)) == {("G104", "x")}
    assert check(square, lambda dy, x: 2 * x, X, cotangent=np.ones(3))
    assert check(square, square_vjp, X, cotangent=[1, 2, 3])
    assert check(lambda x: (x, x * x), lambda dy, x: dy[0] + 2 * x * dy[1], X, cotangent=(X, X))


@pytest.mark.parametrize("wrong", [np.ones(4), (np.ones(3), np.ones(3)), "abc", np.ones((3, 1))])
def test_an_upstream_gradient_that_does_not_fit(wrong: Any) -> None:
    with pytest.raises(UsageError, match="cotangent"):
        check(square, square_vjp, X, cotangent=wrong)


def _raises(*args: Any) -> Any:
    raise ValueError("boom")


@pytest.mark.parametrize(
    ("forward", "vjp", "found"),
    [
        (square, lambda dy, x: None, ("R104", None)),
        (square, lambda dy, x: (2 * x * dy, 2 * x * dy), ("G107", None)),
        (square, lambda dy, x: np.sum(2 * x * dy), ("G107", "x")),
        (square, lambda dy, x: -2 * x * dy, ("G103", "x")),
        (square, lambda dy, x: np.zeros_like(x), ("G112", "x")),
        (square, lambda dy, x: 2 * x * dy + 1, ("G101", "x")),
        (square, lambda dy, x: "x", ("R101", None)),
        (square, _raises, ("R101", None)),
        (_raises, square_vjp, ("R101", None)),
        (lambda x: None, square_vjp, ("R104", None)),
        (lambda x: (x, None), square_vjp, ("R104", None)),
        (lambda x: "x", square_vjp, ("R101", None)),
        (lambda x: {"y": x}, square_vjp, ("R101", None)),
        (lambda x: np.array([1, 2, 3]), lambda dy, x: x * 0, ("V104", None)),
        (lambda x: x * np.nan, lambda dy, x: dy * np.nan, ("N103", None)),
    ],
)
def test_everything_that_can_go_wrong_is_a_finding(forward: Any, vjp: Any, found: Any) -> None:
    result = check(forward, vjp, X)
    assert result.verdict is Verdict.FAIL
    assert found in _codes(result)


def test_where_it_was_raised() -> None:
    [found] = check(_raises, square_vjp, X).findings
    assert found.line == _line(_raises) + 1
    assert "ValueError: boom" in found.message


def test_a_missing_gradient_among_several() -> None:
    assert _codes(check(lambda a, b: a * b, lambda dy, a, b: (dy * b, None), X, X)) == {("G112", "b")}


def inverse(a: Any) -> Any:
    return np.linalg.pinv(a)


def inverse_vjp(dy: Any, a: Any) -> Any:
    inner = np.linalg.pinv(a)
    return -inner.T @ dy @ inner.T


def test_what_cannot_run_exactly_is_judged_in_floats() -> None:
    a = np.array([[2.0, 1.0], [0.5, 3.0]])
    right = check(inverse, inverse_vjp, a)
    assert right
    assert right.measurements["way"] == "float"
    assert right.detects < 1e-4  # of its smallest entry
    [why] = right.measurements["why_not_exact"]
    assert "numpy.linalg.pinv has no exact counterpart" in why
    assert repr(right) == "<Result inverse: pass, by float differences>"
    assert f"test_api.py:{_line(inverse) + 1}" in why
    wrong = check(inverse, lambda dy, a: inverse_vjp(dy, a).T, a)
    assert wrong.verdict is Verdict.FAIL
    assert {argument for _, argument in _codes(wrong)} == {"a"}
    with pytest.raises(CheckFailed) as raised:
        wrong.raise_if_failed()
    assert "way decided by float differences, because numpy.linalg.pinv has no exact counterpart (test_api.py:" in " ".join(
        str(raised.value).split()
    )


def test_a_result_is_one_short_line() -> None:
    def both(dy: Any, a: Any, b: Any) -> Any:
        return dy * b / 2, dy * a + 1

    assert repr(check(square, square_vjp, X)) == "<Result square: pass>"
    wrong = check(lambda a, b: a * b, both, X, X)
    assert repr(wrong) == "<Result <lambda>: fail, G101 b, G102 a>" or repr(wrong) == "<Result <lambda>: fail, G102 a, G101 b>"
    assert "<Finding G102 a: the gradient of a is 0.5 times the derivative>" in [repr(f) for f in wrong.findings]
    assert repr(check(square, lambda dy, x: None, X)) == "<Result square: fail, R104>"


def test_select_and_ignore() -> None:
    assert _codes(check(square, half_vjp, X, select="G")) == {("G102", "x")}
    assert _codes(check(square, half_vjp, X, select=["G102", "N"])) == {("G102", "x")}
    assert check(square, half_vjp, X, select=("V",))
    assert check(square, half_vjp, X, ignore="G")
    assert _codes(check(square, half_vjp, X, ignore="N101")) == {("G102", "x")}
    for option in ("select", "ignore"):
        with pytest.raises(UsageError, match="Did you mean 'G102'"):
            check(square, half_vjp, X, **{option: "G1022"})


@pytest.mark.parametrize(
    ("args", "options", "said"),
    [
        ((), {}, "nothing to call"),
        ((3,), {}, "nothing to call"),
        ((square,), {}, "neither a vjp nor tensors"),
        ((square, X), {}, "neither a vjp nor tensors"),
        ((square, square_vjp), {}, "needs primals"),
        ((), {"forward": square, "vjp": square_vjp}, "needs primals"),
        ((square, square_vjp, np.arange(3)), {}, "nothing to differentiate"),
        ((square, square_vjp, [1.0, 2.0]), {}, r"nothing to differentiate: x is a list, give np\.asarray\(x, dtype=float\)"),
        ((square, square_vjp, "a", (1.0,)), {}, r"primal 0 is a str; primal 1 is a tuple, give np\.asarray\(it, dtype=float\)"),
        ((square, square_vjp, np.arange(3)), {}, r"x is of dtype int64, give np\.asarray\(x, dtype=float\)"),
        ((square, square_vjp, X.astype(complex)), {}, "nothing to differentiate"),
        ((square, square_vjp, X.astype(np.longdouble)), {}, "float16, float32 and float64"),
        ((), {"spec": "sigmoid"}, "needs forward="),
        ((X,), {"spec": "sigmoid", "forward": square}, "no other positional"),
        ((), {"spec": "sigmid", "forward": square}, "Did you mean 'sigmoid'"),
        ((), {"spec": "sigmoid", "forward": square, "examples": 0}, "examples=0"),
        ((), {"spec": "sigmoid", "forward": square, "seed": -1}, "seed=-1"),
        ((), {"spec": "sigmoid", "forward": square, "examples": 1.5}, "examples=1.5"),
    ],
)
def test_wrong_use(args: tuple[Any, ...], options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check(*args, **options)


def test_keywords() -> None:
    assert check(X, forward=square, vjp=square_vjp)
    assert _codes(check(X, forward=square, vjp=half_vjp)) == {("G102", "x")}


def test_a_spec_gives_the_points() -> None:
    def sigmoid(x: Any) -> Any:
        return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))

    result = check(spec="sigmoid", forward=sigmoid, vjp=lambda dy, x, y: dy * y * sigmoid(-x), examples=15)
    assert result, result.findings
    assert result.measurements["examples"] == 15
    assert result.spec == "sigmoid"
    wrong = check(spec="sigmoid", forward=sigmoid, vjp=lambda dy, x, y: dy * y, examples=15, select="G")
    assert _codes(wrong) == {("G101", "x")}


def test_nothing_is_checked_and_little_imported_at_import() -> None:
    code = "import sys, gradcheck\ngradcheck.check\nassert not {'torch', 'hypothesis', 'matplotlib', 'rich'} & set(sys.modules)\n"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
    assert {"check", "spec", "Real", "Finding", "Result"} <= set(dir(gradcheck))
    with pytest.raises(AttributeError, match="chek"):
        _ = gradcheck.chek


# torch


def _tensor(*values: float, **more: Any) -> Any:
    import torch

    return torch.tensor(values, **{"dtype": torch.float64, **more})


@pytest.fixture(scope="module")
def functions() -> dict[str, Any]:
    """torch Functions that are right, or wrong in one way each; where forward and backward of one stand."""
    import torch

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * dy

    def wrong(backward: Any) -> Any:
        return type("Wrong", (Square,), {"backward": staticmethod(backward)})

    return {
        "right": Square,
        "half": wrong(lambda ctx, dy: ctx.saved_tensors[0] * dy),
        "none": wrong(lambda ctx, dy: None),
        "raises": wrong(_raises),
        "shape": wrong(lambda ctx, dy: dy.new_ones(2)),
        "count": wrong(lambda ctx, dy: (dy, dy)),
    }


@pytest.mark.parametrize("applied", [False, True])
def test_torch_function(functions: dict[str, Any], applied: bool) -> None:
    def given(name: str) -> Any:
        return functions[name].apply if applied else functions[name]

    right = check(given("right"), _tensor(1, 2, -3))
    assert right
    assert right.measurements["way"] == "exact"
    assert (right.name, right.path, right.line) == ("Square", HERE, _line(functions["right"].forward) - 1 + 1)
    [found] = check(given("half"), _tensor(1, 2, -3)).findings
    assert (found.code, found.argument, found.line) == ("G102", "x", _line(functions["half"].backward))
    assert _codes(check(given("none"), _tensor(1, 2, -3))) == {("G112", "x")}
    [found] = check(given("raises"), _tensor(1, 2, -3)).findings
    assert (found.code, found.line) == ("R101", _line(_raises) + 1)
    assert _codes(check(given("shape"), _tensor(1, 2, -3))) == {("R101", None)}
    assert _codes(check(given("count"), _tensor(1, 2, -3))) == {("R101", None)}


def test_torch_module_and_functions() -> None:
    import torch

    assert check(torch.nn.Linear(3, 2).double(), _tensor(1, 2, -3))
    assert check(torch.tanh, _tensor(1, 2, -3))
    assert check(torch.exp, torch.tensor(0.5))
    assert check(torch.exp, torch.zeros(0))
    assert check(lambda x: (x * 2, x.exp()), _tensor(1, 2, -3))
    assert check(lambda x, i: x[i], _tensor(1, 2, -3), torch.tensor([0, 0, 2]))
    assert check(lambda x, k: x * k, _tensor(1, 2, -3), 3)
    assert check(torch.tanh, _tensor(1, 2, -3, dtype=torch.float32))
    assert check(torch.tanh, _tensor(1, 2, -3, dtype=torch.float16))
    assert check(torch.tanh, _tensor(1, 2, -3), cotangent=_tensor(1, 1, 1, requires_grad=True))


def test_torch_code_that_loses_the_gradient() -> None:
    assert _codes(check(lambda x: x.detach() * 2, _tensor(1, 2, -3))) == {("G112", "x")}
    assert _codes(check(lambda x: None, _tensor(1, 2, -3))) == {("R104", None)}


def test_only_tensors_that_require_a_gradient_if_any_does() -> None:
    result = check(lambda a, b: a.detach() * b, _tensor(1, 2), _tensor(1, 2, requires_grad=True))
    assert result, result.findings


def test_tensors_are_not_touched(functions: dict[str, Any]) -> None:
    mine = _tensor(1, 2, -3, requires_grad=True)
    check(functions["right"], mine)
    assert mine.grad is None
    assert mine.tolist() == [1, 2, -3]


def test_tensors_that_cannot_be_checked() -> None:
    import torch

    for tensor, said in {
        _tensor(1, 2).bfloat16(): "torch.bfloat16 on cpu",
        _tensor(1, 2).to("meta"): "on meta",
        _tensor(1, 2).to_sparse(): "torch.sparse_coo",
    }.items():
        with pytest.raises(UsageError, match=f"{said}.*float16, float32 or float64, on the CPU"):
            check(torch.tanh, tensor)
    with pytest.raises(UsageError, match="nothing to differentiate"):
        check(torch.tanh, torch.arange(3))
    with pytest.raises(UsageError, match="takes arrays, not tensors"):
        check(square, square_vjp, _tensor(1, 2))

"""Arrays in text: exact in JSON, exact when pasted, short when shown."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gradcheck.findings import Example
from gradcheck.report import arrays

NAN_WITH_PAYLOAD = np.array([0x7FF8000000000123], dtype=np.uint64).view(np.float64)

ARRAYS = [
    np.array([0.1, -0.0, 5e-324, 1.7976931348623157e308, np.inf, -np.inf, np.nan]),
    np.array([0.1, -0.0, 1e-45, 3.4028235e38, np.nan, -np.inf], dtype=np.float32),
    np.array([0.1, -0.0, 6e-8, 65504, np.inf], dtype=np.float16),
    np.array(-0.0),
    np.array(3, dtype=np.int64),
    np.zeros((0, 3), dtype=np.float32),
    np.zeros((2, 0)),
    np.arange(6.0).reshape(2, 3).T,
    np.arange(6.0, dtype=">f8").reshape(3, 2),
    np.array([[True], [False]]),
    np.array([2**63 - 1, -(2**63)], dtype=np.int64),
    np.array([2**64 - 1], dtype=np.uint64),
    np.array([1 / np.longdouble(3)]),
    np.array([1 + 2j, complex(np.nan, -0.0)]),
    np.array(["a", "längst"]),
    NAN_WITH_PAYLOAD,
    -NAN_WITH_PAYLOAD,
]


def run(code):
    """The names that a pasted snippet binds."""
    names: dict = {}
    exec(code, names)
    return names


def through_json(value):
    return arrays.decode(json.loads(json.dumps(arrays.encode(value), allow_nan=False)))


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_arrays_come_back_bit_for_bit(array):
    back = through_json(array)
    assert isinstance(back, np.ndarray)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("value", [None, True, 3, "nan", 0.1, -0.0, float("inf"), (1, 2.5, ("a",)), [1, 2]])
def test_options_come_back_as_they_were(value):
    back = through_json(value)
    assert repr(back) == repr(value)


def test_numpy_scalars_stay_scalars():
    back = through_json(np.float32(0.1))
    assert type(back) is np.float32
    assert back == np.float32(0.1)


def test_an_object_is_written_as_text_and_does_not_pretend_to_replay():
    data = arrays.encode({1})
    assert data == {"repr": "{1}"}
    with pytest.raises(ValueError, match="not written whole"):
        arrays.decode(data)
    with pytest.raises(ValueError, match="Python objects"):
        arrays.decode(arrays.encode(np.array([None, 1], dtype=object)))


def test_encoded_arrays_show_decimals_and_hex_side_by_side():
    assert arrays.encode(np.array([[0.5, np.inf]])) == {
        "dtype": "float64",
        "shape": [1, 2],
        "values": [0.5, "inf"],
        "hex": ["0x1.0000000000000p-1", "inf"],
    }
    assert arrays.encode(np.array([1, 2])) == {"dtype": "int64", "shape": [2], "values": [1, 2]}


@pytest.mark.parametrize("array", ARRAYS[:12], ids=lambda a: f"{a.dtype}{a.shape}")
def test_pasted_arrays_are_the_very_arrays(array):
    example = Example({"x": array}, (np.array([1.0]),), "float64", 0)
    names = run(arrays.snippet(example))
    # A pasted NaN is NumPy's own; its bits are the JSON's affair.
    assert names["x"].dtype == array.dtype
    assert names["x"].shape == array.shape
    assert np.array_equal(names["x"], array, equal_nan=array.dtype.kind == "f")
    if array.dtype.kind == "f":
        assert np.array_equal(np.signbit(names["x"]), np.signbit(array))
    assert names["dy"].tolist() == [1.0]


def test_random_floats_survive_pasting_in_every_dtype():
    rng = np.random.default_rng(0)
    for dtype, bits in ((np.float64, np.uint64), (np.float32, np.uint32), (np.float16, np.uint16)):
        x = rng.integers(0, np.iinfo(bits).max, size=200, dtype=bits).view(dtype)
        x = x[np.isfinite(x)]
        names = run(arrays.snippet(Example({"x": x}, (), "float64", 0)))
        assert names["x"].tobytes() == x.tobytes()


def test_the_snippet_builds_everything_and_says_how_to_go_on(gradient_finding):
    text = arrays.snippet(gradient_finding.example)
    assert text == (
        "import numpy as np\n\n"
        "logits = np.array([[0.0, 1.0],\n"
        "                   [0.5, -0.0]], dtype=np.float64)\n"
        "labels = np.array([1, 0], dtype=np.int64)\n"
        "reduction = 'mean'\n"
        "dy = np.array(1.0, dtype=np.float64)\n"
        "# forward(logits, labels, reduction); vjp(dy, logits, labels, reduction)"
    )


def test_snippets_have_python_names_and_no_clashes():
    one = np.array([1.0])
    text = arrays.snippet(Example({"dy": one, "class": one, "a b": float("nan")}, (one, one), "float64", 0))
    names = run(text)
    assert {"dy", "x1", "x2", "cotangent0", "cotangent1"} <= set(names)
    assert np.isnan(names["x2"])


def test_long_examples_are_not_offered_for_pasting():
    assert arrays.snippet(Example({"x": np.zeros(arrays.PASTED + 1)}, (), "float64", 0)) == ""


def test_long_arrays_are_shown_with_their_middle_left_out_unless_whole():
    x = np.arange(500.0)
    assert arrays.shown(x) == ["[0.0, 1.0, 2.0, ..., 497.0, 498.0, 499.0]"]
    assert "250.0," in "\n".join(arrays.shown(x, whole=True))


def test_lines_keep_within_the_width():
    x = np.random.default_rng(1).normal(size=(4, 9))
    assert max(map(len, arrays.shown(x, 60))) <= 60
    text = arrays.snippet(Example({"x": x}, (), "float64", 0), 70)
    assert max(map(len, text.splitlines()[:-1])) <= 70


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (np.array(np.float32(0.1)), ["0.1"]),
        (np.array([np.nan, -np.inf]), ["[nan, -inf]"]),
        (np.zeros((0, 2)), ["(empty)"]),
        ("mean", ["'mean'"]),
        (np.float32(0.5), ["0.5"]),
    ],
)
def test_values_are_shown_with_the_fewest_exact_digits(value, lines):
    assert arrays.shown(value) == lines

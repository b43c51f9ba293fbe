"""The JSON of the contract."""

from __future__ import annotations

import json
import math
from enum import Enum
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from gradcheck.errors import UsageError
from gradcheck.findings import Example, Report
from gradcheck.report import model, write

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text("utf-8"))
SUBJECT = [
    "path",
    "name",
    "line",
    "kind",
    "convention",
    "spec",
    "verdict",
    "detects",
    "measurements",
    "findings",
]
FINDING = ["code", "rule", "severity", "argument", "message", "line", "example", "measured", "reproduce"]


def no_constants(word):
    raise AssertionError(f"{word} is no JSON")


@pytest.fixture
def data(report):
    return json.loads(model.render(report), parse_constant=no_constants)


def test_reports_fit_the_published_schema(data):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(data, SCHEMA)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0.1, -0.0, np.inf, np.nan]]),
        np.array(5e-324),
        np.zeros((0, 3), dtype=np.float16),
        np.array([1, -2]),
        np.array([True]),
        np.array(["a"]),
        np.array([1 / np.longdouble(3)]),
        np.array([1j]),
        np.array([None]),
    ],
    ids=lambda a: str(a.dtype),
)
def test_examples_of_all_kinds_fit_the_schema(array):
    options = {"a": None, "b": 0.5, "c": (1, math.inf), "d": np.float16(2), "e": object}
    example = Example({"x": array, **options}, (np.array([-np.inf]),), "float64", 1, {"shift": np.array(1.0)})
    inner = {"$ref": "#/$defs/example", "$defs": SCHEMA["$defs"]}
    jsonschema.validate(model.example_to_dict(example), inner)


@pytest.mark.parametrize(("path", "value"), [("verdict", "ok"), ("detects", "infinite"), ("path", None)])
def test_the_schema_refuses_what_the_contract_forbids(data, path, value):
    data["subjects"][0][path] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, SCHEMA)


def test_the_keys_are_those_of_the_contract(data):
    assert list(data)[:3] == ["schema_version", "tool", "environment"]
    assert data["schema_version"] == 1
    assert all(list(subject) == SUBJECT for subject in data["subjects"])
    found = [finding for subject in data["subjects"] for finding in subject["findings"]]
    assert len(found) == 4
    assert all(set(FINDING) <= set(finding) for finding in found)


def test_numbers_that_json_lacks_are_strings(data):
    assert data["subjects"][5]["detects"] == "nan"
    assert data["subjects"][3]["measurements"]["amplification"]["float32"]["forward"] == "inf"
    assert data["subjects"][3]["findings"][0]["measured"]["value"] == "inf"


def test_the_summary_counts_exhibits_apart(data):
    assert data["summary"] == {
        "subjects": 7,
        "verdicts": {"pass": 3, "fail": 2, "inconclusive": 1, "error": 1, "skipped": 0},
        "findings": {"error": 2, "warning": 0, "note": 1},
        "exhibits": {"shown": 1, "as_expected": 1},
        "seconds": 14.2,
    }


def test_findings_always_say_how_to_reproduce_them(data):
    assert data["subjects"][3]["findings"][0]["reproduce"] == "gradcheck replay logcosh-N101-aa01"


def test_an_empty_report_fits_the_schema():
    jsonschema.validate(model.to_dict(Report({"name": "gradcheck", "version": "0"}, {}, {}, ())), SCHEMA)


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.True_, True),
        (True, True),
        (None, None),
        (-math.inf, "-inf"),
        (np.float64("nan"), "nan"),
        (np.array([[1.0, np.inf]]), [[1.0, "inf"]]),
        (np.array(2), 2),
        ((1, 2), [1, 2]),
        ({"b", "a"}, ["a", "b"]),
        ({1: {Colour.RED: 1}}, {"1": {"red": 1}}),
        (Path("x"), "x"),
    ],
)
def test_plain_makes_json_of_anything(value, expected):
    got = model.plain(value)
    assert got == expected
    assert type(got) is type(expected)
    json.dumps(got, allow_nan=False)


def test_short_objects_and_all_lists_of_numbers_stay_on_one_line(report):
    text = model.render(report)
    assert '"tool": {"name": "gradcheck", "version": "0.1.0"}' in text
    numbers = model.layout({"x": list(range(1000))})
    assert len(numbers.splitlines()) == 3
    assert json.loads(numbers) == {"x": list(range(1000))}


def test_layout_refuses_non_finite_numbers():
    with pytest.raises(ValueError, match="not JSON compliant"):
        model.layout({"x": [math.nan]})


def test_examples_replay_bit_for_bit_through_a_file(tmp_path, report):
    path = tmp_path / "r.json"
    write(model.render(report), path)
    _, found = model.find(model.load(path), "cross_entropy-G102-5f0c81")
    before = report.subjects[4].findings[0].example
    after = model.example_from_dict(found["example"])
    assert after.digest() == before.digest() == found["example"]["digest"]
    assert list(after.arguments) == list(before.arguments)
    assert after.arguments["reduction"] == "mean"
    assert np.signbit(after.arguments["logits"][1, 1])
    assert (after.dtype, after.seed) == ("float64", 7)


def test_scalars_among_the_extras_keep_the_digest(report):
    before = report.subjects[3].findings[0].example
    assert (
        model.example_from_dict(json.loads(json.dumps(model.example_to_dict(before)))).digest()
        == before.digest()
    )


@pytest.mark.parametrize(
    "broken", [{}, {"arguments": {"x": {"dtype": "float99", "shape": [1], "values": [1]}}, "cotangents": []}]
)
def test_an_example_that_cannot_be_rebuilt_is_a_usage_error(broken):
    with pytest.raises(UsageError, match="cannot be rebuilt"):
        model.example_from_dict(broken)


def test_find_takes_a_unique_start(data):
    subject, finding = model.find(data, "cross")
    assert subject["name"] == "binary_cross_entropy_with_logits"
    assert finding["code"] == "G102"


def test_find_gives_the_subject_itself_before_its_exhibit(data):
    subject, _ = model.find(data, "logcosh-N101-aa01")
    assert subject["kind"] == "spec"


def test_find_names_the_nearest_and_refuses_the_ambiguous(data):
    with pytest.raises(UsageError, match=r"The nearest are .*relu-G115-0001"):
        model.find(data, "relu-G115-9")
    data["subjects"][1]["findings"][0]["id"] = "cross_other"
    with pytest.raises(UsageError, match="several findings begin with 'cross'"):
        model.find(data, "cross")
    with pytest.raises(UsageError, match="The nearest are"):
        model.find(data, "")
    with pytest.raises(UsageError, match="no findings"):
        model.find({"subjects": []}, "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a JSON report"),
        ("[]", "schema version 1"),
        ('{"schema_version": 2, "subjects": []}', "it says 2"),
    ],
)
def test_load_refuses_what_is_no_report(tmp_path, text, message):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        model.load(path)


def test_load_says_how_to_write_a_report_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="--report json:PATH"):
        model.load(tmp_path / "none.json")

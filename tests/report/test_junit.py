"""JUnit XML."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from gradcheck.report import junit
from gradcheck.report.text import failure_text


@pytest.fixture
def root(report):
    return ET.fromstring(junit.render(report).encode())


def case(root, name):
    return next(c for c in root.iter("testcase") if c.get("name") == name)


def test_totals(root):
    assert {k: root.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "8",
        "failures": "2",
        "errors": "1",
        "skipped": "1",
    }
    assert [(s.get("name"), s.get("tests")) for s in root] == [
        ("activation", "4"),
        ("loss", "2"),
        ("handed_in/café.py", "1"),
        ("on show", "1"),
    ]


def test_a_pass_is_an_empty_case_with_its_place(root):
    got = case(root, "softmax")
    assert len(got) == 0
    assert (got.get("classname"), got.get("file"), got.get("line"), got.get("time")) == (
        "spec.activation",
        "specs/activation.py",
        "18",
        "0.043",
    )


def test_a_failure_carries_the_whole_text(root, report):
    failure = case(root, "binary_cross_entropy_with_logits").find("failure")
    assert failure.get("type") == "G102"
    assert failure.get("message").startswith("G102 constant factor: The gradient is 2 times")
    assert failure.text == failure_text(report.subjects[4])


def test_the_undecided_are_skipped_with_a_reason(root):
    assert (
        case(root, "ctc")
        .find("skipped")
        .get("message")
        .startswith("inconclusive: undecided: precision ran out")
    )


def test_errors_and_control_characters(root):
    error = next(root.iter("error"))
    assert error.get("message") == "it raised ValueError: \\x1b[2J bad & worse"


def test_exhibits_as_expected_pass(root):
    got = case(root, "softmax: without the shift by the maximum")
    assert got.get("classname") == "exhibit.activation"
    assert [child.tag for child in got] == ["system-out"]
    assert got.find("system-out").text == "on show: found N101"


def test_class_names_of_submissions_follow_their_path(report):
    assert junit.classname(report.subjects[6]) == "submission.handed_in.café"

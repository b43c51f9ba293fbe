"""A finding in plain lines."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gradcheck.findings import Example, Verdict
from gradcheck.report import blocks


def text(result, finding, width=80):
    return "\n".join(line.text for line in blocks.finding_lines(result, finding, width))


def test_a_gradient_finding_to_the_letter(report):
    result = report.subjects[4]
    assert (
        text(result, result.findings[0])
        == """\
G102 constant factor                                                       error
  The gradient is 2 times what the forward implies, at every entry and in every
  shape that was tried.

  in        binary_cross_entropy_with_logits, argument logits, entry [0, 1]
  at        specs/loss.py:47

  numeric   -0.13447071068499755   central difference
  analytic   -0.2689414213699951   relative error 1
  autograd  -0.13447071068499755   relative error 2.1e-16
  factor                     2.0

  suspect   the hand-written vjp: numeric and autograd agree with each other
  cause     The mean over the batch is missing from the backward: the factor
            equals the batch size in three shapes.

  smallest input (float64, seed 7)
    logits  float64 (2, 2)
      [[0.0, 1.0],
       [0.5, -0.0]]
    labels  int64 (2,)  [1, 0]
    reduction  'mean'
    cotangent  float64 ()  1.0

  reproduce
    gradcheck replay cross_entropy-G102-5f0c81
    gradcheck explain G102

    import numpy as np

    logits = np.array([[0.0, 1.0],
                       [0.5, -0.0]], dtype=np.float64)
    labels = np.array([1, 0], dtype=np.int64)
    reduction = 'mean'
    dy = np.array(1.0, dtype=np.float64)
    # forward(logits, labels, reduction); vjp(dy, logits, labels, reduction)"""
    )


def test_the_blocks_keep_their_order(report):
    result = report.subjects[3]
    got = text(result, result.findings[0])
    marks = [
        "N101",
        "logcosh, argument x",
        "amplification",
        "suspect",
        "cause",
        "smallest input",
        "gradcheck replay",
        "import numpy",
    ]
    places = [got.index(mark) for mark in marks]
    assert places == sorted(places)


@pytest.mark.parametrize("width", [50, 60, 80])
def test_lines_keep_within_the_width(report, width):
    for result in report.subjects:
        for finding in result.findings:
            lines = blocks.finding_lines(result, dataclasses.replace(finding, example=None), width)
            assert max(len(line.text) for line in lines) <= width


def test_long_inputs_are_cut_and_it_is_said_where_they_are_whole(report):
    result = report.subjects[4]
    example = Example({"x": np.zeros(1000)}, (np.ones(1000), np.ones(2)), "float64", 0)
    got = text(result, dataclasses.replace(result.findings[0], example=example))
    assert "[0.0, 0.0, 0.0, ..., 0.0, 0.0, 0.0]" in got
    assert "the JSON report has them whole" in got
    assert "too long to paste" in got
    assert "cotangent 1  float64 (2,)  [1.0, 1.0]" in got
    assert "np.array" not in got


def test_long_measurements_are_wrapped_not_cut(report):
    result = report.subjects[4]
    finding = dataclasses.replace(
        result.findings[0], measured={"ratios": [0.1] * 50, "a_very_long_label_for_a_number": 1.0}
    )
    lines = [line.text for line in blocks.finding_lines(result, finding)]
    assert sum(line.count("0.1") for line in lines) >= 50
    assert max(map(len, lines)) <= 80


def test_a_finding_with_nothing_but_a_message(report, note_finding):
    bare = dataclasses.replace(note_finding, measured={}, argument=None, id="")
    assert text(report.subjects[0], bare).splitlines()[-4:] == [
        "  at        specs/activation.py:18",
        "",
        "  reproduce",
        "    gradcheck explain G115",
    ]


def test_what_floats_decided_is_told_once(report):
    why = {"way": "float", "why_not_exact": ["np.x has no exact counterpart (a.py:3) (60 points)"]}
    result = report.subjects[4]
    result = dataclasses.replace(result, measurements={**result.measurements, **why})
    line = "  way       decided by float differences, because np.x has no exact counterpart\n            (a.py:3)\n  suspect "
    assert line in text(result, result.findings[0])
    whole = "\n".join(line.text for line in blocks.result_lines(result))
    assert whole.count("float differences") == 1
    passed = dataclasses.replace(result, verdict=Verdict.PASS, findings=())
    assert [line.text for line in blocks.result_lines(passed)][2:] == [
        "  decided by float differences, because np.x has no exact counterpart (a.py:3)"
    ]


def test_an_input_that_was_given_is_not_called_the_smallest(report):
    result = report.subjects[4]
    given = dataclasses.replace(result.findings[0], id="", reproduce="")
    assert "\n  input (float64, seed 7)\n" in text(result, given)


def test_fold_breaks_between_words():
    assert blocks.fold("binary_cross_entropy_with_logits", 20) == "binary_cross_\nentropy_with_logits"
    assert blocks.fold("short", 20) == "short"
    assert blocks.fold("x" * 25, 10) == "x" * 10 + "\n" + "x" * 10 + "\n" + "x" * 5


@pytest.mark.parametrize("width", range(5, 40))
def test_fold_loses_nothing_but_spaces(width):
    name = "softmax: without the_shift by.the maximum/of_everything"
    got = blocks.fold(name, width)
    assert got.replace("\n", "").replace(" ", "") == name.replace(" ", "")
    assert max(map(len, got.splitlines())) <= width


def test_for_encoding_escapes_what_the_terminal_lacks():
    assert blocks.for_encoding("Grün", "ascii") == "Gr\\xfcn"
    assert blocks.for_encoding("Grün", "utf-8") == "Grün"

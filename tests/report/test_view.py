"""The words that all formats share."""

from __future__ import annotations

import dataclasses
import math

import pytest

from gradcheck.findings import Finding, Report, Result, Severity, Verdict
from gradcheck.report import view


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (1.0, "1"),
        (2.22e-16, "2.2e-16"),
        (1e5, "1e5"),
        (1e-5, "1e-5"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_brief_numbers(value, text):
    assert view.brief(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123, "0.01"), (1.23, "1.2"), (99.9, "100"), (1234, "1234"), (None, "-")]
)
def test_durations_take_four_columns(value, text):
    assert view.seconds(value) == text


def test_clean_shows_what_would_steer_a_terminal():
    assert view.clean("a\x1b[2J\x00\r\u202eb\udc80ü\n") == "a\\x1b[2J\\x00\\x0d\\u202eb\\udc80ü\n"


def test_titles_are_words(gradient_finding, numerics_finding):
    assert view.title(gradient_finding) == "constant factor"
    assert view.title(numerics_finding) == "overflow on the way"


def result(kind="spec", verdict=Verdict.PASS, findings=(), **measurements):
    return Result("specs/a.py", "f", 1, kind, "spec", "f", verdict, None, measurements, findings)


@pytest.mark.parametrize(
    "table",
    [
        {"float32": {"forward": 1.0, "backward": 9.0}, "float64": {"forward": 2.0}},
        {"forward": {"float32": 1.0, "float64": 2.0}, "backward": {"float32": 9.0}},
    ],
)
def test_amplifications_are_read_by_dtype_or_by_direction(table):
    assert view.worst(result(amplification=table)) == view.Amplification("float32", "backward", 9.0)


def test_nan_is_the_worst_amplification():
    worst = view.worst(result(amplification={"float16": math.inf, "float32": math.nan, "float64": 1.0}))
    assert worst is not None
    assert worst.dtype == "float32"
    assert view.worst(result()) is None


@pytest.mark.parametrize(
    ("verdict", "measurements", "text"),
    [
        (Verdict.PASS, {"way": "exact", "why_not_exact": []}, ""),
        (Verdict.PASS, {}, ""),
        (Verdict.PASS, {"way": "float", "why_not_exact": []}, "decided by float differences"),
        (Verdict.FAIL, {"way": "float", "why_not_exact": ["A (a.py:1) (9 points)"]}, "decided by float differences, because A (a.py:1)"),
        (
            Verdict.PASS,
            {"way": "exact and float", "examples": 20, "why_not_exact": ["A (a.py:1); drop it (2 points)", "B (1 points)"]},
            "decided by float differences at 3 of 20 points, because A (a.py:1); drop it; B",
        ),
        (Verdict.INCONCLUSIVE, {"way": "float", "why_not_exact": ["A"]}, ""),
    ],
)
def test_how_it_was_decided(verdict, measurements, text):
    assert view.how(result(verdict=verdict, **measurements)) == text


@pytest.mark.parametrize(
    ("message", "suspect", "shown"),
    [
        (
            "the gradient of x is not the derivative of the forward",
            "the backward: it is not the derivative of its own forward",
            "the backward",
        ),
        ("the gradient of x is not the derivative of the forward", "the backward: numeric and autograd agree", None),
        ("the gradient of x is minus the derivative", "the backward: it is not the derivative of its own forward", None),
        ("m", "the forward", None),
        ("m", "", None),
    ],
)
def test_a_suspect_does_not_repeat_the_message(message, suspect, shown):
    found = Finding("G101", "r", Severity.ERROR, message, suspect=suspect)
    assert view.suspect(found) == (suspect if shown is None else shown)


def finding(code, severity=Severity.ERROR):
    return Finding(code, "r", severity, "m")


def test_expected_findings_of_exhibits_do_not_count_but_others_do():
    right = result("exhibit", findings=(finding("N101"),), expects=("N101",))
    wrong = result("exhibit", Verdict.FAIL, (finding("N101"), finding("V101")), expects="N101")
    report = Report({}, {}, {}, (right, wrong))
    assert [f.code for _, f in view.counted(report)] == ["V101"]
    counts = view.count(report)
    assert (counts.subjects, counts.exhibits, counts.exhibits_wrong, counts.bad) == (0, 2, 1, 1)
    assert view.exhibit_line(right) == "on show: found N101"
    assert view.exhibit_line(wrong) == "on show: expected N101, found N101, V101"
    assert (
        view.exhibit_line(result("exhibit", Verdict.FAIL, expects=["N101"]))
        == "on show: expected N101, found nothing"
    )


def test_the_most_severe_findings_come_first(report):
    assert [f.code for _, f in view.counted(report)] == ["N101", "G102", "G115"]


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        ((), "Nothing was checked"),
        ((Verdict.PASS,), "The only subject passes"),
        ((Verdict.PASS, Verdict.PASS), "All 2 subjects pass"),
        ((Verdict.FAIL, Verdict.PASS), "1 of 2 subjects fails"),
        ((Verdict.ERROR,), "1 of 1 subject could not be judged for an error"),
        ((Verdict.PASS, Verdict.INCONCLUSIVE), "1 of 2 subjects passes, none fails"),
    ],
)
def test_headlines(verdicts, text):
    assert view.headline(Report({}, {}, {}, tuple(result(verdict=v) for v in verdicts))) == text


def test_a_wrong_exhibit_is_the_headline_when_all_else_passes():
    report = Report({}, {}, {}, (result(), result("exhibit", Verdict.FAIL, expects=["N101"])))
    assert view.headline(report) == "1 of 1 exhibit did not show just what was expected"


def test_the_tally(report, clean_report):
    assert view.tally(report) == (
        "3 pass, 2 fail, 1 inconclusive, 1 error; 3 findings (2 errors, 1 note); 1 exhibit on show, as expected"
    )
    assert view.tally(clean_report) == "2 pass; 1 exhibit on show, as expected"


def test_three_ways_stand_side_by_side_with_their_errors(gradient_finding):
    rows = view.rows(gradient_finding)
    assert [(r.label, r.value, r.error) for r in rows] == [
        ("numeric", "-0.13447071068499755", None),
        ("analytic", "-0.2689414213699951", 1.0),
        ("autograd", "-0.13447071068499755", 2.1e-16),
        ("factor", "2.0", None),
    ]


def test_a_way_that_was_not_available_says_so(note_finding):
    assert view.rows(note_finding)[0] == view.Row("numeric", "-", None, "not available")


def test_values_stand_beside_the_exact_and_the_reference():
    f = dataclasses.replace(
        finding("V101"), measured={"index": 3, "value": 1.5, "exact": 1.0, "reference": 1.0}
    )
    assert [(r.label, r.value, r.error) for r in view.rows(f)] == [
        ("value", "1.5", 0.5),
        ("exact", "1.0", None),
        ("reference", "1.0", 0.0),
    ]
    assert view.entry(f) == "entry [3]"


def test_exact_values_may_be_strings_of_digits_and_extra_numbers_follow():
    f = dataclasses.replace(
        finding("N104"),
        measured={"value": 1.0, "exact": "1.25", "amplification": 1e6, "limit": 30, "at": [1, (2, 3)]},
    )
    rows = view.rows(f)
    assert rows[0].error == 0.2
    assert (rows[2].label, rows[2].value) == ("amplification", "1e6")
    assert rows[2].remark.endswith("limit 30")
    assert rows[3] == view.Row("at", "[1, [2, 3]]")


def test_flags_that_are_down_take_no_row():
    f = dataclasses.replace(
        finding("G101"), measured={"kink": False, "along_direction": True, "flags": [], "gone": None}
    )
    assert view.rows(f) == [view.Row("along direction", "yes")]


def test_reasons(report):
    assert view.reason(report.subjects[5]) == (
        "undecided: precision ran out (3 points). not exact: np.searchsorted has no exact form"
    )
    assert view.reason(result(verdict=Verdict.SKIPPED)) == ""


def test_places_are_relative_inside_the_working_directory_only(tmp_path, monkeypatch, gradient_finding):
    monkeypatch.chdir(tmp_path)
    assert view.relative(str(tmp_path / "a" / "b.py")) == "a/b.py"
    assert view.relative("/elsewhere/b.py") == "/elsewhere/b.py"
    assert view.place(result(), gradient_finding) == "specs/a.py:47"


def test_families(report):
    assert [(name, len(results)) for name, results in view.groups(report)] == [
        ("activation", 4),
        ("loss", 2),
        ("handed_in/café.py", 1),
    ]
    assert view.family(result(family="losses")) == "losses"

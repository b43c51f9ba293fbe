"""What the terminal shows."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from gradcheck.errors import CheckFailed
from gradcheck.findings import Finding, Report, Result, Severity, Verdict
from gradcheck.report import text


class Stream(io.TextIOWrapper):
    """A terminal, or none, in some encoding."""

    def __init__(self, encoding="utf-8", terminal=False):
        self.bytes = io.BytesIO()
        self.terminal = terminal
        super().__init__(self.bytes, encoding=encoding)

    def isatty(self):
        return self.terminal

    def text(self):
        self.flush()
        return self.bytes.getvalue().decode(self.encoding)


def printed(renderable, width=80, encoding="utf-8", terminal=False):
    stream = Stream(encoding, terminal)
    Console(file=stream, width=width).print(renderable)
    return stream.text()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_the_table_to_the_letter(report):
    tame = dataclasses.replace(report, subjects=(*report.subjects[:6], report.subjects[7]))
    lines = [line.rstrip() for line in printed(text.table(tame)).splitlines()]
    assert lines == [
        "                                    analytic autograd  rounding",
        "subject                verdict         error    error amplified detects points",
        "\u2500" * 78,
        "activation",
        " softmax               pass          3.1e-31  1.1e-16   2.4 f32 1.2e-13     60",
        " relu                  pass                0  1.1e-16   2.4 f32   1e-13     60",
        " sigmoid               pass          8.8e-32  1.1e-16   2.4 f32 1.2e-13     60",
        " logcosh               fail            2e-31  1.1e-16   inf f32   1e-13     60",
        "loss",
        " binary_cross_entropy_ fail                1  1.1e-16   2.4 f32   1e-13   1200",
        " with_logits",
        " ctc                   inconclusive        -  1.1e-16         -     nan      3",
        "exhibit",
        "\u2500" * 62,
        " softmax: without the shift by the maximum on show: found N101",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_the_table_keeps_within_the_terminal(report, width):
    assert max(map(len, printed(text.table(report), width).splitlines())) <= width


def test_a_narrow_table_drops_the_lesser_columns(report):
    head = printed(text.table(report), 60).splitlines()[1].split()
    assert head == ["subject", "verdict", "error", "amplified"]


def test_names_are_no_markup(report):
    assert "[red]" in printed(text.table(report), 120)


def test_a_missed_exhibit_shows_what_was_expected():
    missed = Result(
        "specs/a.py", "log of 0", 1, "exhibit", "spec", "f", Verdict.FAIL, None, {"expects": ("N101",)}
    )
    got = " ".join(printed(text.table(Report({}, {}, {}, (missed,)))).split())
    assert "f: log of 0 on show: expected N101, found nothing" in got


def test_output_that_is_no_terminal_has_no_colour(report):
    assert "\x1b" not in printed(text.table(report))


def test_a_terminal_has_colour_unless_it_is_asked_not_to(report, monkeypatch):
    assert "\x1b[" in printed(text.table(report), terminal=True)
    assert "\x1b[31m" in printed(text.failure_block(*pair(report)), terminal=True).replace("1;31", "31")
    monkeypatch.setenv("NO_COLOR", "1")
    coded = printed(text.table(report), terminal=True) + printed(
        text.failure_block(*pair(report)), terminal=True
    )
    assert not any(f"\x1b[{code}m" in coded or f";{code}m" in coded for code in range(30, 38))


def pair(report):
    return report.subjects[4], report.subjects[4].findings[0]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_terminals_without_utf8_get_text_that_they_can_show(report, encoding):
    got = printed(text.table(report), encoding=encoding)
    assert "-" * 80 in got
    assert ("caf\\xe9" if encoding == "ascii" else "café") in got
    result = dataclasses.replace(report.subjects[4], name="\u4e2d")
    assert "in        \\u4e2d, argument" in printed(
        text.failure_block(result, result.findings[0]), encoding=encoding
    )


def test_the_block_is_the_text(report):
    result, finding = pair(report)
    assert printed(text.failure_block(result, finding), 200).rstrip("\n") in text.failure_text(result)


def test_a_narrow_terminal_loses_no_character(report):
    result, finding = pair(report)
    narrow = printed(text.failure_block(result, finding), 30)
    assert max(map(len, narrow.splitlines())) <= 30
    assert "vjp(dy,logits,labels,reduction)" in "".join(narrow.split())


def test_failure_text_fits_80_columns_and_is_what_check_failed_says(report):
    for result in report.subjects:
        assert max(map(len, text.failure_text(result).splitlines())) <= 80
    with pytest.raises(CheckFailed, match="G102 constant factor") as caught:
        report.subjects[4].raise_if_failed()
    assert str(caught.value) == text.failure_text(report.subjects[4])


def test_failure_text_without_findings_says_why(report):
    assert text.failure_text(report.subjects[5]) == (
        "ctc: inconclusive\n  spec, specs/loss.py:300\n"
        "  undecided: precision ran out (3 points). not exact: np.searchsorted has no\n  exact form"
    )
    assert "it raised ValueError: \\x1b[2J bad & worse" in text.failure_text(report.subjects[6])


def test_failure_text_puts_the_most_severe_first(report, note_finding, gradient_finding):
    result = dataclasses.replace(report.subjects[4], findings=(note_finding, gradient_finding))
    got = text.failure_text(result)
    assert got.index("G102") < got.index("G115")


def test_the_summary_names_the_counts_and_the_next_step(report):
    assert text.summary_line(report) == (
        "2 of 7 subjects fail, 1 could not be judged for an error. 3 pass, 2 fail, 1\n"
        "inconclusive, 1 error; 3 findings (2 errors, 1 note); 1 exhibit on show, as\n"
        "expected, in 14.2 s.\n"
        "Next: 'gradcheck replay logcosh-N101-aa01', then 'gradcheck explain N101'."
    )


def test_the_summary_of_a_clean_run_says_what_would_have_been_caught(clean_report):
    assert text.summary_line(clean_report) == (
        "All 2 subjects pass. 2 pass; 1 exhibit on show, as expected, in 0.30 s.\n"
        "Next: nothing to do; a relative error above 1.2e-13 would have been caught in\n"
        "      every gradient."
    )


def test_the_summary_explains_the_undecided(report):
    got = text.summary_line(dataclasses.replace(report, subjects=(report.subjects[0], report.subjects[5])))
    assert "Next: ctc: undecided: precision ran out" in got
    assert "--examples" in got


def test_the_summary_says_what_floats_decided(clean_report):
    why = {"way": "float", "why_not_exact": ["np.x has no exact counterpart (a.py:3) (60 points)"]}
    subjects = [
        dataclasses.replace(s, measurements={**s.measurements, **why}) if s.kind != "exhibit" else s for s in clean_report.subjects
    ]
    one = text.summary_line(dataclasses.replace(clean_report, subjects=(subjects[0], clean_report.subjects[1])))
    said = "Note: softmax was decided by float differences, because np.x has no exact counterpart (a.py:3)"
    assert f"{said}. Next: " in " ".join(one.split())
    both = text.summary_line(dataclasses.replace(clean_report, subjects=tuple(subjects)))
    assert f"{said}, and so was 1 more. Next: " in " ".join(both.split())


def test_a_question_is_not_followed_by_a_full_stop():
    lost = Result("a.py", "f", 1, "submission", "submission", None, Verdict.ERROR, None, {"reason": "Did you mean 'g'?"})
    assert text.summary_line(Report({}, {}, {}, (lost,))).endswith("Next: f: Did you mean 'g'?")


def test_the_summary_of_nothing_says_where_to_look():
    assert "gradcheck list" in text.summary_line(Report({}, {}, {}, ()))


def test_a_missed_exhibit_is_the_next_step(clean_report):
    missed = dataclasses.replace(clean_report.subjects[2], verdict=Verdict.FAIL, findings=())
    got = " ".join(
        text.summary_line(
            dataclasses.replace(clean_report, subjects=(clean_report.subjects[0], missed))
        ).split()
    )
    assert "(specs/activation.py:30) expected N101, found nothing." in got


def test_a_finding_without_an_id_has_only_its_explanation(clean_report):
    bare = Finding("V101", "mismatch", Severity.ERROR, "wrong")
    failed = dataclasses.replace(clean_report.subjects[0], verdict=Verdict.FAIL, findings=(bare,))
    got = text.summary_line(dataclasses.replace(clean_report, subjects=(failed,)))
    assert got.endswith("Next: 'gradcheck explain V101'.")

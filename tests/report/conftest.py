"""A run as it may come out: passes, failures, non-finite numbers, exhibits, and hostile names."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradcheck.findings import Example, Finding, Report, Result, Severity, Verdict

HOSTILE = "<script>alert('x')</script> [red]|`Grünwald`\x1b[31m"


def measured(error, amplification, examples=60, seconds=0.043, **more):
    """Measurements of a subject that was judged in full."""
    return {
        "examples": examples,
        "mathematics": "pass",
        "arithmetic": "pass",
        "way": "exact",
        "why_not_exact": [],
        "max_error": error,
        "float_errors": {"autograd": 1.1e-16, "classical": 2.5e-12},
        "amplification": amplification,
        "kinks": 0,
        "undecided": {},
        "laws": {},
        "confidence": "A wrong entry would have been missed with probability below 1e-30.",
        "seconds": seconds,
        **more,
    }


def passing(name, path, line, error, amplification, **more):
    return Result(
        path,
        name,
        line,
        "spec",
        "spec",
        name,
        Verdict.PASS,
        detects=1.2e-13,
        measurements=measured(error, amplification, **more),
    )


@pytest.fixture
def gradient_finding() -> Finding:
    logits = np.array([[0.0, 1.0], [0.5, -0.0]])
    return Finding(
        code="G102",
        rule="constant-factor",
        severity=Severity.ERROR,
        message="The gradient is 2 times what the forward implies, at every entry and in every shape that was tried.",
        argument="logits",
        cause="The mean over the batch is missing from the backward: the factor equals the batch size in three shapes.",
        suspect="the hand-written vjp: numeric and autograd agree with each other",
        line=47,
        example=Example(
            arguments={"logits": logits, "labels": np.array([1, 0]), "reduction": "mean"},
            cotangents=(np.array(1.0),),
            dtype="float64",
            seed=7,
        ),
        measured={
            "index": [0, 1],
            "numeric": -0.13447071068499755,
            "analytic": -0.2689414213699951,
            "autograd": -0.13447071068499755,
            "analytic_error": 1.0,
            "autograd_error": 2.1e-16,
            "factor": 2.0,
        },
        reproduce="gradcheck replay cross_entropy-G102-5f0c81",
        id="cross_entropy-G102-5f0c81",
    )


@pytest.fixture
def numerics_finding() -> Finding:
    return Finding(
        code="N101",
        rule="overflow on the way",
        severity=Severity.ERROR,
        message="The value is inf, yet the exact result fits float32.",
        argument="x",
        cause="exp(x) overflows from x = 88.7 on.",
        suspect="the forward",
        line=12,
        example=Example(
            arguments={"x": np.array([89.0, 0.1], dtype=np.float32)},
            cotangents=(np.array([1.0, 0.0]),),
            dtype="float32",
            seed=3,
            extras={"shift": np.float32(0.5)},
        ),
        measured={"index": [0], "value": math.inf, "exact": 89.0, "amplification": math.inf, "limit": 30.0},
        id="logcosh-N101-aa01",
    )


@pytest.fixture
def note_finding() -> Finding:
    return Finding(
        code="G115",
        rule="convention-differs",
        severity=Severity.NOTE,
        message="At the kink x = 0 this picks the slope 0.5, torch picks 0; both are subgradients.",
        argument="x",
        measured={"numeric": None, "analytic": 0.5, "autograd": 0.0, "index": [0]},
        id="relu-G115-0001",
    )


@pytest.fixture
def report(gradient_finding: Finding, numerics_finding: Finding, note_finding: Finding) -> Report:
    both = {"float64": {"forward": 1.1, "backward": 1.9}, "float32": {"forward": 1.0, "backward": 2.4}}
    subjects = (
        passing(
            "softmax",
            "specs/activation.py",
            18,
            3.1e-31,
            both,
            laws={"unchanged by a shift of its input": "pass"},
        ),
        Result(
            "specs/activation.py",
            "relu",
            60,
            "spec",
            "spec",
            "relu",
            Verdict.PASS,
            detects=1e-13,
            measurements=measured(0.0, both, kinks=4),
            findings=(note_finding,),
        ),
        passing(
            "sigmoid",
            "specs/activation.py",
            90,
            8.8e-32,
            both,
            laws={"sums to one with its mirror image": "pass"},
        ),
        Result(
            "specs/activation.py",
            "logcosh",
            110,
            "spec",
            "spec",
            "logcosh",
            Verdict.FAIL,
            detects=1e-13,
            measurements=measured(
                2e-31, {"float64": {"forward": 3.0}, "float32": {"forward": math.inf}}, arithmetic="fail"
            ),
            findings=(numerics_finding,),
        ),
        Result(
            "specs/loss.py",
            "binary_cross_entropy_with_logits",
            41,
            "spec",
            "spec",
            "cross_entropy",
            Verdict.FAIL,
            detects=1e-13,
            measurements=measured(
                1.0,
                both,
                mathematics="fail",
                examples=1200,
                seconds=12.3,
                laws={"is never negative": "pass", "adds over the batch": "fail"},
            ),
            findings=(gradient_finding,),
        ),
        Result(
            "specs/loss.py",
            "ctc",
            300,
            "spec",
            "spec",
            "ctc",
            Verdict.INCONCLUSIVE,
            detects=math.nan,
            measurements=measured(
                None,
                {},
                examples=3,
                way="float",
                mathematics="inconclusive",
                arithmetic="inconclusive",
                undecided={"precision ran out": 3},
                why_not_exact=["np.searchsorted has no exact form"],
            ),
        ),
        Result(
            "handed_in/café.py",
            HOSTILE,
            5,
            "submission",
            "function pair with cache",
            None,
            Verdict.ERROR,
            measurements={"reason": "it raised ValueError: \x1b[2J bad & worse"},
        ),
        Result(
            "specs/activation.py",
            "without the shift by the maximum",
            30,
            "exhibit",
            "spec",
            "softmax",
            Verdict.PASS,
            measurements={"expects": ["N101"]},
            findings=(numerics_finding,),
        ),
    )
    return Report(
        tool={"name": "gradcheck", "version": "0.1.0"},
        environment={"python": "3.11.7", "numpy": "2.4.6", "torch": "2.13.0", "platform": "Linux-6.1-x86_64"},
        options={"seed": 0, "examples": 60},
        subjects=subjects,
        seconds=14.2,
    )


@pytest.fixture
def clean_report(report: Report) -> Report:
    """Only what passes, and an exhibit that shows what it should."""
    return Report(
        report.tool,
        report.environment,
        report.options,
        (report.subjects[0], report.subjects[2], report.subjects[7]),
        0.3,
    )

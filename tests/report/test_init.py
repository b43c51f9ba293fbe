"""The registry of formats, and writing."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck import report as reports
from gradcheck.errors import UsageError

FORMATS = ["json", "html", "junit", "sarif", "markdown"]


def test_the_formats_are_those_of_the_contract():
    assert list(reports.FORMATS) == FORMATS


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_renders_text_that_ends_in_a_newline_and_is_the_same_again(report, format):
    text = reports.render(report, format)
    assert text.endswith("\n")
    assert reports.render(report, format) == text


def test_importing_reports_and_failure_texts_loads_neither_rich_nor_jinja():
    code = "import sys, gradcheck.report, gradcheck.report.text; print([m for m in ('rich', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_format_names_the_nearest(report):
    with pytest.raises(UsageError, match=r"no report format 'sariff'\. Did you mean 'sarif'\?"):
        reports.render(report, "sariff")


def test_targets_split_at_the_first_colon_alone():
    assert reports.parse_target("html:a:b.html") == ("html", Path("a:b.html"))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("htm:out.html", "Did you mean 'html'"),
        ("out.html", "'html:out.html'"),
        ("out.xml", "'junit:out.xml'"),
        ("json", "'json:report.out'"),
        ("json:", "names no file"),
    ],
)
def test_a_wrong_target_says_what_to_write(target, message):
    with pytest.raises(UsageError, match=message):
        reports.parse_target(target)


def test_write_makes_folders_and_leaves_nothing_beside_the_file(tmp_path):
    path = tmp_path / "a" / "b" / "r.json"
    reports.write("Grün\n", path)
    assert path.read_bytes() == "Grün\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["r.json"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are those of POSIX")
def test_a_report_is_as_readable_as_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    reports.write("x", tmp_path / "report")
    assert stat.S_IMODE((tmp_path / "report").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "r.json"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UsageError, match=r"r\.json: cannot write the report: No space left on device"):
        reports.write("new", path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_a_report_stays_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    reports.write("new", link)
    assert link.is_symlink()
    assert target.read_text() == "new"


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="needs a device file")
def test_a_device_is_written_not_replaced():
    reports.check_writable("/dev/null")
    reports.write("x", "/dev/null")
    assert not os.path.isfile("/dev/null")


def test_text_that_utf8_cannot_hold_is_escaped(tmp_path):
    reports.write("a\udc80", tmp_path / "r")
    assert (tmp_path / "r").read_text("utf-8") == "a\\udc80"


def test_check_writable_creates_nothing(tmp_path):
    reports.check_writable(tmp_path / "new" / "r.json")
    assert list(tmp_path.iterdir()) == []


def test_check_writable_refuses_folders_and_files_taken_for_folders(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        reports.check_writable(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        reports.check_writable(tmp_path / "file" / "r.json")


def test_check_writable_refuses_what_may_not_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match="not writable"):
        reports.check_writable(tmp_path / "r.json")

"""The command lines of reports and comparisons: one line for what can be mended, and exit codes that hold."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import compare, report
from analysis.command_line import carry_out, complain, say
from analysis.load import load
from harness.pipes import READER_GONE
from tests.folders import drops_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return drops_folder(tmp_path_factory.mktemp("results"))


def nowhere(path):
    return path / "nowhere", "holds no results"


def no_results(path):
    (path / "empty").mkdir()
    return path / "empty", "holds no results"


def a_file(path):
    (path / "file").write_text("x")
    return path / "file", "Not a directory"


def below_a_file(path):
    (path / "file").write_text("x")
    return path / "file" / "results", "holds no results"


def too_long_a_name(path):
    return path / ("x" * 300), "too long"


def several_lines(path):
    return path / "a\nb", r"a\nb holds no results"


def an_unknown_uri(path):
    return "gopher://host/x", "cannot be opened"


PLACES = [nowhere, no_results, a_file, below_a_file, too_long_a_name, several_lines, an_unknown_uri]


@pytest.mark.parametrize("command", [report, compare])
@pytest.mark.parametrize("place", PLACES)
def test_a_place_without_results_is_one_line_and_exit_code_2(tmp_path, command, place, capsys, folder):
    where, message = place(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    second = [str(folder)] if command is compare else []
    assert command.main([str(where), *second]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert message in said.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("out", ["", ".", "..", "x/..", "/"])
def test_out_that_is_no_file_is_refused(tmp_path, out, capsys, folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert report.main([str(folder), "--out", out]) == 2
    assert "is a folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_not_utf_8_is_one_line(tmp_path, capsys):
    where = tmp_path / os.fsdecode(b"caf\xe9")
    assert report.main([str(where)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert r"caf\xe9" in said


class Gone(io.StringIO):
    """Standard output whose reader has gone."""

    def write(self, _):
        raise BrokenPipeError


def test_nobody_reading_changes_no_exit_code(monkeypatch, folder, tmp_path):
    for main, expected in (
        (lambda: compare.main([str(folder), str(folder)]), 0),
        (lambda: report.main([str(folder), "--format", "json", "--out", str(tmp_path / "x.json")]), 0),
    ):
        monkeypatch.setattr("sys.stdout", Gone())
        assert main() == expected
    assert json.loads((tmp_path / "x.json").read_text())


def test_a_pipe_that_closes_while_the_report_is_written_ends_it_quietly(monkeypatch, capsys):
    def broken():
        raise BrokenPipeError

    assert carry_out(broken) == READER_GONE
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_head_ends_a_comparison_without_a_word(folder, tmp_path):
    command = f"{sys.executable} -m analysis.compare {folder} {folder} | head -n 0; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.slow
def test_the_report_can_go_to_standard_output(folder):
    command = f"{sys.executable} -m analysis.report {folder} --format json --out /dev/stdout | cat"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout)["p_stable"]
    assert ended.stderr == ""


def test_a_stream_that_lacks_letters_shows_their_escapes(monkeypatch):
    for name, print_to in (("stdout", say), ("stderr", complain)):
        written = io.BytesIO()
        stream = io.TextIOWrapper(written, encoding="ascii")
        monkeypatch.setattr(f"sys.{name}", stream)
        print_to("caf\u00e9 \udce9 \x1b[31m\n")
        stream.flush()
        assert written.getvalue().endswith(b"caf\\xe9 \\xe9 \\x1b[31m\\n\n")


def test_the_header_says_of_how_many(folder):
    from analysis.alarms import overview

    results = load(folder)
    assert overview(results).startswith(
        "2 of 2 conditions have report trials, 4 of 4 report trials are recorded (2 recovered, 2 stable)"
    )

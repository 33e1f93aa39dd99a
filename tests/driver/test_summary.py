"""The end of a run on any terminal: no number and no name is cut, and what is promised is true."""

import dataclasses
import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from analysis.conditions import conditions_table
from harness.condition import Outcome
from harness.driver.columns import SHORTEST, print_columns, shortened, without_middle
from harness.driver.summary import print_conditions, summarise
from harness.errors import RecordsError
from harness.planning.space import Space
from tests.folders import TUNED, drops_folder, made_grid

NAMES = {
    "mypackage.cells.recurrent:GatedCell": "mypackage.cells.recurrent:PlainCell",
    "a" * 80 + ":Cell": "a" * 79 + "b:Cell",
    "日本語" * 10 + ":C": "日本語" * 9 + "日本人:C",
    "lstm": "rnn",
}
"""Two models each."""

COLUMNS = {
    "model": ["x" * 30 + "1", "x" * 30 + "2"],
    "T": ["5", "10"],
    "95 %\ninterval": ["[0.34, 1.00]"] * 2,
}


def printed(print_to, width: int, terminal: bool) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None, soft_wrap=True)
    print_to(console)
    return file.getvalue()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    results = made_grid(tmp_path_factory.mktemp("s"), lambda *_: Outcome.STABLE, seeds=2, lengths=(5, 10_000))
    return conditions_table(results)


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
@pytest.mark.parametrize(("one", "other"), NAMES.items(), ids=range(len(NAMES)))
def test_no_number_and_no_name_is_cut(table, one, other, width, terminal):
    renamed = table.frame["model"].map({"lstm": one, "rnn": other})
    odd = dataclasses.replace(table, frame=table.frame.assign(model=renamed))
    said = printed(lambda out: print_conditions(odd, out), width, terminal)
    assert said.count("[0.34, 1.00]") == said.count("2 of 2") / 2 == len(table.frame)
    assert said.count(" 10000 ") == len(table.frame) / 2
    assert "\u2026" not in said
    for name in (one, other):
        whole = name if len(name) <= 60 else re.escape(name[:30]) + r" \.\.\. .{15} #[0-9a-f]{8}"
        assert re.search(whole, said), "at least where it is said what is short for it"


@pytest.mark.parametrize("width", [40, 60, 79])
def test_names_are_shortened_as_little_as_needed_on_a_terminal_only(width):
    said = printed(lambda out: print_columns(COLUMNS, out, ["model"]), width, True).splitlines()
    assert max(map(cell_len, said[:4])) <= width
    assert len(said) == (6 if width == 40 else 4)
    assert printed(lambda out: print_columns(COLUMNS, out, ["model"]), 10, False).count("x" * 30) == 2


def test_what_is_short_says_what_it_stands_for():
    said = printed(lambda out: print_columns(COLUMNS, out, ["model"]), 40, True).splitlines()
    for name in COLUMNS["model"]:
        (line,) = [line for line in said if line.endswith(f" is {name}")]
        short = line.removesuffix(f" is {name}")
        assert sum(row.startswith(short) for row in said) == 2


@pytest.mark.parametrize(
    "names", [["abcdefghijklmnop", "abcdefghijklXmnop"], ["a" * 50 + c + "b" * 50 for c in "xyz"]]
)
def test_short_names_are_never_the_same(names):
    legend = shortened({"model": names}, 9, ["model"])
    shown = [legend.get(name, name) for name in names]
    assert len(set(shown)) == len(names)


def test_a_name_keeps_its_beginning_and_its_end():
    assert without_middle("mypackage.cells:MyCell", 14) == "mypa..s:MyCell"
    assert len(without_middle("x" * 99, SHORTEST)) == SHORTEST


def test_an_option_named_like_a_head_takes_no_column_away(table):
    odd = dataclasses.replace(table, frame=table.frame.assign(T=[7] * 4 + [8] * 4), keys=[*table.keys, "T"])
    heads = printed(lambda out: print_conditions(odd, out), 120, False).splitlines()
    assert any("length" in line and " T " in line for line in heads)


@pytest.mark.parametrize("with_table", [False, True])
def test_the_end_of_a_run_says_what_was_found_and_has_rows_on_request(tmp_path, monkeypatch, with_table):
    folder = drops_folder(tmp_path)
    monkeypatch.setattr("harness.driver.summary.write_report", lambda _: folder / "report.html")
    space = Space(**TUNED, learning_rate=(0.1,))
    said = printed(lambda out: summarise(space, folder, 0, out, with_table), 200, False)
    assert (
        "Without clipping, within 1,000 steps, the RNN solved its task in 2 of its 2 runs at T = 5." in said
    )
    assert f"report:  {folder / 'report.html'}" in said
    assert ("2 of 2" in said.split("Without")[0]) == with_table
    assert ("the same command with --table" in said) != with_table


@pytest.mark.parametrize("name", ["report.html"])
def test_a_folder_in_the_place_of_the_report_is_said_and_everything_else_is_printed(tmp_path, name):
    folder = drops_folder(tmp_path)
    (folder / name).mkdir()
    space = Space(**TUNED, learning_rate=(0.1,))
    file = io.StringIO()
    with pytest.raises(RecordsError) as error:
        summarise(space, folder, 0, Console(file=file, width=200))
    said = str(error.value)
    assert "\n" not in said
    assert f"{folder / name} is a folder" in said
    assert "The 4 trials that ended are recorded" in said
    assert f"python -m analysis.report {folder} --out FILE" in said
    assert "4 trials recorded" in file.getvalue()

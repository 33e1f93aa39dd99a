"""The folder for a paper: what is in it, that it compiles, and that each condition can be trained again."""

import io
import itertools
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import fsspec
import matplotlib
import pandas as pd
import pytest

from analysis import again
from analysis.conditions import conditions_table
from analysis.headline import Headline, Limits, choose
from analysis.lines import look_of
from analysis.load import LoadError, load
from analysis.paper import caption, figure, latex, references, table, write
from analysis.report import main, write_report
from analysis.reserved import apart
from harness.condition import Outcome
from harness.errors import UserError
from harness.planning.load import built_in_spaces, load_space
from harness.run import chosen_space, parser
from tests.analysis.test_odd_names import ODD
from tests.folders import ENDS_BY_RATE, drops_folder, grid_folder, made_grid
from tests.trials import mostly_contract

WRITTEN = {
    "paper.tex", "figure.pdf", "figure.svg", "figure.csv", "figure-caption.tex", "table.tex",
    "table-caption.tex", "conditions.csv", "runs.csv", "references.bib",
}  # fmt: skip


def some_results(tmp_path, **changes):
    """RNN and LSTM at three lengths: the RNN solves up to 9 and keeps nothing at 9, one LSTM diverges."""

    def ends(condition, seed):
        if condition.model == "lstm":
            return Outcome.DIVERGED if (condition.length, seed) == (14, 5) else Outcome.STABLE
        return {5: Outcome.STABLE, 9: Outcome.RECOVERED}.get(condition.length, Outcome.UNSOLVED)

    return made_grid(tmp_path, ends, **dict(models=("rnn", "lstm"), lengths=(5, 9, 14)) | changes)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return some_results(tmp_path_factory.mktemp("paper"))


# A command that trains a condition again


def row_of(condition, columns) -> dict:
    """A condition as a row of a table of a space with these columns."""
    known = {apart(name): own for name, own in condition.fields().items()}
    return {name: math.nan if known.get(name) is None else known[name] for name in columns}


def given_back(command: str):
    """The space that a command names."""
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "harness.run"]
    return chosen_space(parser().parse_args(words[3:]))


def assert_named_alone(space, argv):
    """The commands of the first and the last condition name them, with the budget of the space."""
    definition, conditions = space.definition(), space.conditions()
    columns = {apart(name) for condition in conditions for name in condition.fields()}
    for condition in (conditions[0], conditions[-1]):
        found = given_back(again.joined([again.arguments_of(row_of(condition, columns), definition, argv)]))
        assert [c.condition_id for c in found.conditions()] == [condition.condition_id]
        same, budget = found.definition(), (*again.budget(definition), "scale", "tuned_by")
        assert {name: same.get(name) for name in budget} == {name: definition.get(name) for name in budget}


@pytest.mark.parametrize("name", mostly_contract(built_in_spaces(), "clipping_study", "graph_study"))
def test_the_command_of_a_condition_names_it_alone_and_with_its_budget(name):
    space = load_space(name)
    assert_named_alone(space, ["--space", name])
    assert_named_alone(space, None)


@pytest.mark.contract
@pytest.mark.parametrize("name", [name for name in built_in_spaces() if name != "smoke"])
def test_the_command_of_a_condition_at_paper_scale_names_it_alone(name):
    assert_named_alone(load_space(name).at_scale("paper"), ["--space", name, "--scale", "paper"])


def test_the_command_keeps_what_the_recorded_one_set_and_replaces_its_axes():
    argv = ["--se", "tasks=adding,palindrome", "--space=smoke", "--set=lengths.adding=6,8", "--workers", "2",
            "--set", "forget_bias=0,2", "--set", "max_steps=50", "--set", "seeds=3"]  # fmt: skip
    space = chosen_space(parser().parse_args(argv))
    definition = space.definition() | {"engine": "eager", "device": "cpu"}
    columns = {name for condition in space.conditions() for name in condition.fields()}
    for condition in space.conditions():
        command = again.joined([again.arguments_of(row_of(condition, columns), definition, argv)])
        found = given_back(command)
        assert [c.condition_id for c in found.conditions()] == [condition.condition_id]
        assert (found.max_steps, found.seeds) == (50, 3)
        assert "--engine eager --device cpu --results again" in command
        assert "--workers" not in command


@pytest.mark.parametrize("own", ["a,b", 'a"b', "[a", "(", " a ", "", "plain"])
def test_a_text_is_set_to_what_it_was(own):
    from harness.planning.fields import listed

    assert listed("x", again.value(own).strip()) == ((own.strip(),) if own else ("",))


def test_a_file_is_named_as_the_recorded_command_named_it():
    definition = load_space("text_study").definition()
    condition = load_space("text_study").conditions()[0]
    row = row_of(condition, condition.fields())
    assert "corpus" not in again.joined([again.arguments_of(row, definition, ["--space", "text_study"])])
    argv = ["--space", "text_study", "--set", "corpus=my text.txt"]
    assert "--set 'corpus=my text.txt'" in again.joined([again.arguments_of(row, definition, argv)])


# LaTeX


@pytest.mark.parametrize("name", ODD)
def test_latex_has_every_name_as_it_is(name):
    set_as = latex.latex(ODD[name])
    assert set_as.isascii() and set_as.isprintable()
    commands = r"\\[a-zA-Z]+(\{\})?|\\[^a-zA-Z]|\$\\[a-z]+\$|\{\}|\{\\[ij]\}|\{[a-zA-Z]\}"
    assert not re.search(r"[\\{}$&#%_~^<>|\"`]|--|,,|''", re.sub(commands, "", set_as))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a_b & 50%", r"a\_b \& 50\%"),
        ("Müller\u2013Łódź", r"M\"{u}ller--{}\L{}\'{o}d\'{z}"),
        ("naïve", r"na\"{\i}ve"),
        ("λ 漢", r"$\lambda$ [U+6F22]"),
        ("a--b", "a-{}-b"),
        ("\\", r"\textbackslash{}"),
    ],
)
def test_latex_of(words, expected):
    assert latex.latex(words) == expected


# What is written


def test_a_folder_has_all_of_a_paper(tmp_path, capsys):
    folder = drops_folder(tmp_path)
    assert main([str(folder), "--format", "paper"]) == 0
    assert f"report: {folder}/paper" in capsys.readouterr().out
    assert {path.name for path in (folder / "paper").iterdir()} == WRITTEN
    page = (folder / "paper" / "paper.tex").read_text()
    assert {"\\input{figure-caption}", "\\input{table}", "\\bibliography{references}"} <= set(
        re.findall(r"\\(?:input|bibliography)\{[a-z-]+\}", page)
    )
    assert main([str(folder), "--format", "paper"]) == 0, "it is written again"
    assert load(folder).notes == load(drops_folder(tmp_path / "other")).notes


@pytest.mark.slow
def test_the_same_results_give_the_same_bytes_in_another_process(tmp_path, results):
    here = write.files(results)
    command = [sys.executable, "-m", "analysis.report", *results.folders, "--format", "paper"]
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    subprocess.run(
        [*command, "--out", str(tmp_path / "out")], check=True, env=environment, capture_output=True
    )
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == here


def test_a_place_that_is_taken_is_refused(tmp_path, capsys):
    folder = drops_folder(tmp_path)
    own = tmp_path / "own"
    own.mkdir()
    (own / "paper.tex").write_text("\\documentclass{article}")
    (tmp_path / "file").write_text("")
    for out, why in [
        (own, "holds other files"),
        (folder, "holds other files"),
        (tmp_path / "file", "is not a"),
    ]:
        assert main([str(folder), "--format", "paper", "--out", str(out)]) == 2
        assert why in capsys.readouterr().err
    assert (own / "paper.tex").read_text() == "\\documentclass{article}"
    (folder / "paper").write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        write_report(load(folder), style="paper")


def test_a_paper_lies_beside_tables_behind_a_uri(tmp_path):
    folder = drops_folder(tmp_path)
    fsspec.filesystem("memory").put(str(folder), "/papers/x", recursive=True)
    assert write_report(load("fsspec+memory://papers/x"), style="paper") == "fsspec+memory://papers/x/paper"
    assert fsspec.filesystem("memory").cat_file("/papers/x/paper/figure.pdf").startswith(b"%PDF")


def test_nothing_is_written_before_a_run_is_reported(tmp_path):
    results = load(grid_folder(tmp_path, ENDS_BY_RATE))
    with pytest.raises(LoadError, match="no report trial yet"):
        write_report(results, style="paper")
    assert not (tmp_path / "x" / "paper").exists()


def test_conditions_are_in_the_csv_to_the_last_digit_with_their_commands(results):
    found = pd.read_csv(io.BytesIO(table.conditions_csv(results)))
    expected = conditions_table(results).frame
    for name in ("p_solved_low", "p_stable_high", "drops_per_1000_high", "max_norm", "median_steps_to_solve"):
        pd.testing.assert_series_equal(found[name], expected[name], check_exact=True)
    assert (found["command"].str.count("--set lengths=") == 1).all()
    runs = pd.read_csv(io.BytesIO(table.runs_csv(results)))
    assert len(runs) == found["n"].sum()
    assert set(runs["condition_id"]) == set(found["condition_id"])


def test_the_table_counts_runs_and_has_critical_lengths(results):
    rows = [line for line in table.table_tex(results).splitlines() if line.startswith("rnn")]
    assert rows == [
        r"rnn & max\_norm 1 & 6 (6) & 6 (0) & 0 (0) & 9--14 & 5--9 \\",
        r"rnn & no clipping & 6 (6) & 6 (0) & 0 (0) & 9--14 & 5--9 \\",
    ]


def test_a_long_table_breaks_between_pages():
    rows = ["1"] * (table.ROWS_ON_A_PAGE + 1)
    assert table.tabular(["a"], "l", rows).startswith(r"\begin{longtable}")
    assert table.tabular(["a"], "l", rows[1:]).startswith(r"\begin{tabular}")


def test_the_caption_says_task_n_budgets_interval_and_version(tmp_path, results):
    said = caption.figure_caption(results, of_paper(results))
    for words in (
        r"\textsl{palindrome}", "$n = 6$ runs a point", "1,000 updates", "800 updates", "Wilson",
        "32 hidden units", "batches 32 sequences", "fixed at 0.1", "2 of 72 runs diverged",
        "stability-harness 0.1.0",
    ):  # fmt: skip
        assert words in said
    assert not re.search(r"missing", said)
    tuned = load(drops_folder(tmp_path / "d"))
    smoke = load_space("smoke").definition()
    assert caption.tuning(smoke) == (
        "each run has its own, the slowest of 4 tried on 1 seed apart from the reported ones that did "
        "nearly as well as the best at learning fast, the lowest loss over all of training"
    )
    assert "at staying stable" in caption.tuning(smoke | {"tune_for": "stable"})
    few = replace(tuned, trials=tuned.trials.iloc[:3])
    assert "1 runs that were asked for are missing" in " ".join(caption.budgets(few))


def test_a_caption_speaks_of_layers_where_these_are_counted(tmp_path):
    layered = made_grid(tmp_path, lambda *_: Outcome.STABLE, tasks=("sbm",), models=("gcn",), lengths=(2, 4))
    assert "against number of layers." in caption.figure_caption(layered, of_paper(layered))
    assert "of 6 at number of layers}" in table.table_tex(layered)


def test_references_name_software_definition_and_nothing_unrecorded(tmp_path):
    results = load(drops_folder(tmp_path))
    entries = references.bibliography(results)
    software, folder = references.cited(results)
    assert re.findall(r"@misc\{(.*),", entries) == [software, folder]
    seal = (tmp_path / "x" / "space.json").read_text().rpartition('"sha256": "')[2][:16]
    assert f"Definition {seal}" in entries
    assert folder == f"x-{seal[:8]}"
    assert not re.search(r"year|doi|url|date", entries)
    twice = replace(results, folders=results.folders * 2, definitions=results.definitions * 2)
    assert references.cited(twice) == [software, folder, f"{folder}.2"]


# The figure


def of_paper(results, limits: Limits = figure.LIMITS) -> Headline:
    """What the figure of a paper shows where no way of clipping differs."""
    return choose(results, [], limits)


def test_a_panel_has_no_more_lines_than_can_be_told_apart(tmp_path):
    many = some_results(
        tmp_path, models=("rnn", "lstm", "gru", "mgu", "irnn", "lru", "min_gru", "reservoir"),
        optimizers=("sgd", "adam"), lengths=(5,), seeds=1,
    )  # fmt: skip
    shown = of_paper(many)
    assert len(shown.lines) == 8
    for _, points in shown.panels():
        assert points.groupby(["line", "arm"]).ngroups <= figure.LIMITS.lines
    assert shown.points.groupby(["line", "panel"]).ngroups == 16
    looks = [look_of(shown, line, shown.arms[0], figure.PEN) for line in shown.lines]
    assert len({(look["marker"], str(look["linestyle"])) for look in looks}) == 8, "also without any colour"


def test_panels_beyond_a_page_are_said_to_be_left_out(results):
    shown = of_paper(results, Limits(lines=1, panels=1))
    assert (shown.lines, shown.arms) == (["LSTM"], ["no clipping"])
    assert shown.left_out == [
        "Drawn are runs without clipping, of 2 ways of clipping.",
        "Of 2 panels the first 1 are drawn.",
    ]
    assert "The table has all." in caption.figure_caption(results, shown)


def test_two_models_and_two_arms_are_told_apart_without_colour(results):
    shown = of_paper(results)
    looks = [look_of(shown, line, arm, figure.PEN) for line in shown.lines for arm in shown.arms]
    assert len({(look["marker"], str(look["linestyle"])) for look in looks}) == 4


def test_the_figure_is_a_column_wide_with_letters_of_seven_points(tmp_path):
    shown = of_paper(some_results(tmp_path, optimizers=("sgd", "adam", "rmsprop")))
    with matplotlib.rc_context(figure.STYLE):
        drawn = figure.draw(shown)
        drawn.canvas.draw()
    assert drawn.get_figwidth() == figure.WIDTH
    texts = [text for text in drawn.findobj(matplotlib.text.Text) if text.get_visible() and text.get_text()]
    assert min(text.get_fontsize() for text in texts) >= 7
    for axis in drawn.axes:
        boxes = [label.get_window_extent() for label in axis.get_xticklabels()]
        assert all(one.x1 < two.x0 for one, two in itertools.pairwise(boxes)), "labels are apart"


def test_fonts_are_embedded_and_each_point_has_the_id_of_its_condition(results):
    shown = of_paper(results)
    drawn = figure.pdf(shown)
    assert drawn == figure.pdf(shown) and figure.svg(shown) == figure.svg(shown)
    assert b"/FontFile2" in drawn and b"/Type3" not in drawn
    assert not re.search(rb"CreationDate|matplotlib", drawn)
    ids = {element.get("id") for element in ElementTree.fromstring(figure.svg(shown)).iter()}
    assert {f"stable-{name}" for name in shown.points["condition_id"]} <= ids


def test_points_of_a_single_length_have_bars(tmp_path):
    shown = of_paper(some_results(tmp_path, lengths=(9,), max_norms=(1.0,)))
    assert figure.svg(shown).count(b"LineCollection") == 4


# LaTeX itself

needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")


def compiled(where, name: str, *commands: str) -> str:
    """The log of LaTeX after these commands."""
    for command in commands:
        options = ["-interaction=nonstopmode", "-halt-on-error"] if command == "pdflatex" else []
        done = subprocess.run([command, *options, name], cwd=where, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    return (where / f"{name}.log").read_text(errors="replace")


@pytest.mark.slow
@needs_latex
@pytest.mark.parametrize("rows", [table.ROWS_ON_A_PAGE, 3])
def test_the_page_compiles_also_with_odd_names(tmp_path, results, rows, monkeypatch):
    monkeypatch.setattr(table, "ROWS_ON_A_PAGE", rows)
    odd = {"rnn": "Zoë_100% & {$x^2~\\} #1 \"漢\" --λ'' <a|b>"}
    changed = {
        name: getattr(results, name).assign(model=getattr(results, name)["model"].astype(object).replace(odd))
        for name in ("conditions", "trials")
    }
    out = write.write_paper(replace(results, **changed), tmp_path / "paper")
    log = compiled(out, "paper", "pdflatex", "bibtex", "pdflatex", "pdflatex")
    assert not re.search(r"undefined|Overfull|multiply", log)
    assert "bitmap" not in log and (out / "paper.pdf").read_bytes().count(b"/Type3") == 0


@pytest.mark.slow
@needs_latex
@pytest.mark.parametrize("encoding", ["", r"\usepackage[T1]{fontenc}"])
def test_every_odd_name_compiles(tmp_path, encoding):
    names = "\n\n".join(map(latex.latex, ODD.values()))
    page = rf"\documentclass{{article}}{encoding}\begin{{document}}\sloppy {names}\end{{document}}"
    (tmp_path / "names.tex").write_text(page)
    assert "Missing character" not in compiled(tmp_path, "names", "pdflatex")

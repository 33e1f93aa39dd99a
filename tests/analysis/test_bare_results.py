"""Results that lack what a section asks for: every section, page and documented line still works."""

import dataclasses
import io
import json
import math
import re
from pathlib import Path

import pytest

from analysis.as_json import as_json, json_text
from analysis.conditions import conditions_table, readable
from analysis.load import Results, load
from analysis.page import render, view
from analysis.sections import SECTIONS
from harness.condition import FIRST_TUNING_SEED, Outcome
from harness.planning.space import Space
from tests.folders import ENDS_BY_RATE, TUNED, a_result, drops_folder, grid_folder, make_folder
from tests.trials import make_trial

DOCS = Path(__file__).parents[2] / "docs"


def folder_of(path: Path, *ends: tuple[Outcome, dict], **changes) -> Path:
    """A folder with one condition and a report trial for each of these outcomes."""
    space = Space(**TUNED | changes, seeds=max(1, len(ends)))
    return make_folder(path, space, [a_result(make_trial(i), o, **s) for i, (o, s) in enumerate(ends)])


def one_trial(path):
    return load(folder_of(path, (Outcome.STABLE, dict(solved_step=50, watched_steps=10))))


def one_trial_of_nothing_but_its_outcome(path):
    """Every measure is missing."""
    return load(folder_of(path, (Outcome.UNSOLVED, dict(seconds=None, steps=None))))


def all_diverged(path):
    ends = dict(final_loss=math.nan, initial_loss=2.0, diverged_step=3, diverged_reason="loss_not_finite")
    return load(folder_of(path, *[(Outcome.DIVERGED, ends | dict(grad_norm_max=math.inf))] * 3))


def all_unsolved(path):
    return load(folder_of(path, *[(Outcome.UNSOLVED, dict(watched_steps=0))] * 3))


def no_drops(path):
    return load(folder_of(path, *[(Outcome.STABLE, dict(solved_step=50, watched_steps=100))] * 3))


def drops(path):
    path.mkdir()
    return load(drops_folder(path))


def tuning_only(path):
    path.mkdir()
    return load(grid_folder(path, ENDS_BY_RATE))


def one_tuning_trial(path):
    trial = make_trial(FIRST_TUNING_SEED)
    return load(make_folder(path, Space(**TUNED), [a_result(trial, Outcome.DIVERGED)]))


def no_trials(path):
    """As `load` never gives it, but a filter may."""
    results = one_trial(path)
    return dataclasses.replace(results, trials=results.trials.iloc[:0])


BARE = [
    one_trial, one_trial_of_nothing_but_its_outcome, all_diverged, all_unsolved, no_drops, drops, tuning_only,
    one_tuning_trial, no_trials,
]  # fmt: skip


QUICK = (one_trial, all_diverged, no_drops, no_trials)

PARAMETERS = [make if make in QUICK else pytest.param(make, marks=pytest.mark.slow) for make in BARE]


@pytest.fixture(scope="module", params=PARAMETERS, ids=lambda make: make.__name__)
def results(request, tmp_path_factory) -> Results:
    return request.param(tmp_path_factory.mktemp("bare") / "x")


NOT_FOR_PEOPLE = re.compile(r"(?<![\w.])(nan|NaN|None(?! of the)|NaT|<NA>|-0(\.0+)?)(?![\w.])")
"""What no page may say."""


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_every_section_draws_words_and_warns(results, section):
    table = section.table(results)
    figure = section.render(table)
    if not figure.axes:
        assert figure.texts[0].get_text(), "it says why nothing is drawn"
    sentences = [*section.findings(table), *section.warnings(table), *section.commands(table)]
    cells = section.readable(table).astype(str).to_numpy().ravel()
    for said in [*sentences, *cells]:
        assert not NOT_FOR_PEOPLE.search(said)


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_every_figure_can_be_saved(results, section):
    """Their layout takes seconds."""
    section.render(section.table(results)).savefig(io.BytesIO(), dpi=20)


@pytest.mark.parametrize("style", ["html", pytest.param("md", marks=pytest.mark.slow)])
def test_every_page_has_numbers_or_a_dash(results, style):
    page = render(results, [view(section, results) for section in SECTIONS], style)
    shown = re.sub(r"(?s)<script>.*?</script>|<style>.*?</style>|<[^>]*>", " ", page)
    assert not NOT_FOR_PEOPLE.search(shown)


def test_json_is_strict(results):
    def refuse(literal):
        raise AssertionError(f"{literal} is not JSON")

    assert json.loads(json_text(results), parse_constant=refuse) == as_json(results)
    assert "-0.0" not in re.findall(r": (-0\.0)\b", json_text(results))


def test_the_terminal_has_numbers_or_a_dash(results):
    cells = readable(conditions_table(results)).astype(str).to_numpy().ravel()
    assert not [cell for cell in cells if NOT_FOR_PEOPLE.search(cell)]


def test_every_documented_line_works(results, tmp_path, monkeypatch):
    """The library example of docs/results.md and the custom figure, on any results."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("analysis.load.load", lambda *_: results)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "results.md").read_text(), flags=re.DOTALL)
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda _, path: Path(path).touch())
    for block in (block for block in blocks if "from analysis" in block):
        exec(block, {})
    monkeypatch.setattr("sys.argv", ["", "folder", "figure.png"])
    exec((DOCS / "custom_figure.py").read_text(), {})
    for name in ("drops.png", "figure.png"):
        assert (tmp_path / name).exists()

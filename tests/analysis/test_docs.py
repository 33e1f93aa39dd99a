"""What the docs show of the results runs as shown."""

import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from analysis.as_json import as_json
from analysis.conditions import condition_keys
from analysis.load import load
from analysis.sections import SECTIONS
from analysis.sections.gradient_flow import MEASURES
from harness.condition import Outcome
from tests.folders import made_grid

DOCS = Path(__file__).parents[2] / "docs"

BLOCKS = re.findall(r"```python\n(.*?)```", (DOCS / "results.md").read_text(), flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    """Half of the runs of every condition are stable."""
    return made_grid(tmp_path, lambda _, seed: (Outcome.STABLE, Outcome.UNSOLVED)[seed % 2], seeds=4).folders[
        0
    ]


def test_pandas_polars_and_duckdb_give_the_same_counts(folder):
    found = []
    for library in ("pandas", "polars", "duckdb"):
        (block,) = [b for b in BLOCKS if f"import {library}" in b]
        names: dict = {}
        exec(block.replace("results/length_study", folder), names)
        found.append(as_dict(names["counts"]))
    assert found[0] == found[1] == found[2]
    assert found[0][("rnn", "sgd", 5, "stable")] == 2 * 2, "two ways of clipping"


def as_dict(answer) -> dict[tuple, int]:
    """The number of trials by model, optimizer, length and outcome."""
    if isinstance(answer, pd.Series):
        return answer.to_dict()
    if isinstance(answer, duckdb.DuckDBPyRelation):
        return {row[:-1]: row[-1] for row in answer.fetchall()}
    return {row[:-1]: row[-1] for row in answer.rows()}


def test_the_library_example_runs(tmp_path, folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = [b for b in BLOCKS if "drops.render" in b]
    names: dict = {}
    exec(block.replace("results/drops_study", folder).replace("drops.render(table).savefig", "print"), names)
    assert len(names["steps"]) == 3


@pytest.mark.contract
def test_the_custom_figure_runs(tmp_path, folder):
    out = tmp_path / "figure.png"
    subprocess.run([sys.executable, DOCS / "custom_figure.py", folder, out], check=True, cwd=DOCS.parent)
    assert out.read_bytes().startswith(b"\x89PNG")


def test_the_keys_of_the_json_report_are_documented(folder):
    documented = set(re.findall(r"`(\w+)`", (DOCS / "results.md").read_text()))
    assert set(as_json(load(folder))) - documented == {"name"}


def parts_of_the_reference() -> dict[str, set[str]]:
    """By heading of docs/report.md: the names that stand below it."""
    parts = re.split(r"^## (.*)$", (DOCS / "report.md").read_text(), flags=re.MULTILINE)
    return {
        head: set(re.findall(r"`(\w+)`", body)) for head, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_every_key_and_column_of_the_json_report_is_documented(folder):
    results = load(folder)
    report, parts = as_json(results), parts_of_the_reference()
    keys = set(condition_keys(results))
    rows = [*report["standings"], *report["p_stable"], *report["p_solved"]]
    assert {*report, *(name for row in rows for name in row)} - keys <= parts["At the top"]
    for section in SECTIONS:
        table = section.table(results)
        columns = {name for name in table.frame.columns if name not in (*keys, Path(folder).name)}
        assert columns <= parts[section.title], section.title
    for name in MEASURES:
        assert {name, f"{name}_low", f"{name}_high"} <= parts["Gradient through time"]


def test_the_unit_of_a_share_of_the_budget_is_said():
    (line,) = [line for line in (DOCS / "results.md").read_text().splitlines() if "`standings`" in line]
    assert "share of the budget" in line

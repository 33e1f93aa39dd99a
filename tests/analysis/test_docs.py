"""What the docs show of the results runs as shown."""

import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from analysis.as_json import as_json
from analysis.load import load
from harness.condition import Outcome
from tests.helpers import made_grid

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

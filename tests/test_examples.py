"""What shows how to call the harness from Python runs as shown."""

import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent


@pytest.mark.contract
def test_the_call_from_python_in_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    section = (ROOT / "README.md").read_text().partition("## From Python")[2]
    exec(re.search(r"```python\n(.*?)```", section, re.DOTALL).group(1), {})
    assert capsys.readouterr().out == ""
    assert (tmp_path / "stability.png").read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_parquet(tmp_path / "results" / "first_look" / "trials")) == 2 * 4 * 8


@pytest.mark.contract
def test_the_notebook_runs_in_a_kernel_and_draws_from_the_folder_it_made(tmp_path):
    notebook = nbformat.read(ROOT / "examples" / "stability.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    shown = {
        kind for cell in notebook.cells for out in cell.get("outputs", []) for kind in out.get("data", {})
    }
    assert "image/png" in shown
    assert (tmp_path / "results" / "first_look" / "report.html").exists()

"""What a file does to the process when it is imported, and where modules are looked for."""

import os
from pathlib import Path

import pytest
import torch

from harness.errors import UserError
from harness.held import held
from harness.models import models
from harness.planning.load import load_space

CELL = "from harness.models.rnn import RNN\n{}\nclass Cell(RNN):\n    pass\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a module of a model, and say its import path."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, lines):
        (tmp_path / f"{name}.py").write_text(CELL.format(lines))
        return f"{name}:Cell"

    with held():
        yield write


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("float64", "import torch; torch.set_default_dtype(torch.double)", "dtype() from torch.float32 to"),
        ("meta", "import torch; torch.set_default_device('meta')", "default_device() from cpu to meta"),
        ("no_grad", "import torch; torch.set_grad_enabled(False)", "is_grad_enabled() from True to False"),
        ("leaves", "import sys; sys.exit(0)", "SystemExit: 0 (leaves.py:2)"),
        ("mute", "raise ValueError", "ValueError (mute.py:2: raise ValueError)"),
        ("missing", "import no_such", "ModuleNotFoundError: No module named 'no_such' (missing.py:2)"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_used_is_refused_each_time_in_one_line(write, name, line, said):
    path = write(f"{name}", line)
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            models.get(path)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
    assert torch.get_default_dtype() is torch.float32


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("moves", "import os; os.chdir('/')"),
        ("threads", "import torch; torch.set_num_threads(2)"),
        ("shuts", "import sys; sys.stdout.close()"),
    ],
)
def test_what_an_import_changes_is_put_back(write, name, line):
    before = (Path.cwd(), torch.get_num_threads())
    assert models.get(write(name, line)).__name__ == "Cell"
    assert (Path.cwd(), torch.get_num_threads()) == before
    print("still open")  # noqa: T201


def test_a_space_file_that_goes_elsewhere_leaves_results_here(tmp_path):
    file = tmp_path / "moving.py"
    fields = 'name="x", summary="", models=("rnn",), optimizers=("sgd",), lengths=(4,), learning_rate=(0.1,)'
    file.write_text(f'import os\nfrom harness import Space\nos.chdir("/")\nSPACE = Space({fields})\n')
    before = os.getcwd()  # noqa: PTH109
    with held():
        assert load_space(str(file)).name == "x"
        assert os.getcwd() == before  # noqa: PTH109

"""The switch --traceback: where an error arose, before the run and in it."""

import sys

import pytest

from harness.driver.terminal import Terminal
from tests.commands import run_tiny

CELL = """
from harness.models.rnn import RNN

class Early(RNN):
    def __init__(self, input_size: int, hidden_size: int, output_size: int):
        raise KeyError("early")

class Late(RNN):
    armed = False

    def __init__(self, input_size: int, hidden_size: int, output_size: int):
        super().__init__(input_size, hidden_size, output_size)
        if Late.armed:
            raise KeyError("late")
"""


@pytest.fixture
def _cells(tmp_path, monkeypatch):
    """A module of models."""
    (tmp_path / "traced.py").write_text(CELL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "traced", raising=False)


@pytest.mark.usefixtures("_cells")
@pytest.mark.parametrize("switch", [[], ["--traceback"]])
def test_a_class_that_cannot_be_built_is_one_line_or_a_whole_traceback(tmp_path, capsys, switch):
    assert run_tiny(tmp_path, *switch, models="traced:Early") == 2
    said = capsys.readouterr().err.strip()
    assert "KeyError: 'early' (traced.py:6)" in said
    assert (f'{tmp_path}/traced.py", line 6' in said) == bool(switch)
    assert ("\n" in said) == bool(switch)


@pytest.mark.usefixtures("_cells")
@pytest.mark.parametrize("switch", [[], ["--traceback"]])
def test_a_pack_that_fails_is_one_line_or_a_whole_traceback(tmp_path, capsys, monkeypatch, switch):
    def started(terminal, start, real=Terminal.started):
        import traced

        traced.Late.armed = True
        real(terminal, start)

    monkeypatch.setattr(Terminal, "started", started)
    assert run_tiny(tmp_path, *switch, models="traced:Late", learning_rate="0.1,1", lr_trials=None) == 1
    said = capsys.readouterr().err
    assert "KeyError: 'late' (traced.py:14)" in said
    assert (f'{tmp_path}/traced.py", line 14' in said) == bool(switch)

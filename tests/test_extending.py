"""What docs/extending.md shows works as it stands, and what is wrong is refused before anything starts."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from harness.records import read
from harness.run import main

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"
TINY = {
    "lengths": "4", "max_norms": "1", "hidden_size": "8", "batch_size": "8", "learning_rate": "0.1",
    "seeds": "1", "max_steps": "20", "observe": "0", "eval_every": "10",
}  # fmt: skip


@pytest.fixture
def my_parts(tmp_path, monkeypatch):
    """The page's code blocks as a module; more can be appended."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    (tmp_path / "my_parts.py").write_text("\n\n".join(blocks))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_parts", raising=False)
    return tmp_path / "my_parts.py"


def run(results, **settings) -> int:
    sets = [f"--set={name}={value}" for name, value in (TINY | settings).items()]
    return main(["--space", "smoke", "--executor", "serial", "--results", str(results), *sets])


def moments(results) -> pd.DataFrame:
    trials, found = read(results / "smoke", "trials"), read(results / "smoke", "moments")
    return found.merge(trials[["trial_id", "model"]], on="trial_id").set_index("model")


def test_the_cells_of_the_page_are_trained_and_probed(my_parts, tmp_path):
    results = tmp_path / "results"
    assert run(results, models="my_parts:LeakyRNN,my_parts:GRU", leak="0.2,0.5", optimizers="sgd") == 0
    found = moments(results)
    assert found.loc["my_parts:LeakyRNN", "sigma_max"].notna().all()
    assert found["lyapunov_1"].notna().all()
    assert found["grad_state_rate"].notna().all()
    assert found.loc["my_parts:GRU", "sigma_max"].isna().all(), "it does not say what its recurrent weight is"


def test_the_clipping_rule_and_the_optimizer_of_the_page_are_trained(my_parts, tmp_path):
    results = tmp_path / "results"
    rules, optimizers = "norm,my_parts:SoftClip", "my_parts:SignDescent"
    assert run(results, models="rnn", clip_rules=rules, limit="0.5", optimizers=optimizers) == 0
    trials = read(results / "smoke", "trials").set_index("clip_rule")
    assert set(trials.index) == {"norm", "my_parts:SoftClip"}
    assert trials.loc["my_parts:SoftClip", "clipped_share"] == 1.0
    assert trials["max_norm"].isna().tolist() == (trials.index != "norm").tolist()


BROKEN = {
    "NoState": """
class NoState:
    def clip(self, grads_RP, norm_R1, max_norm_R1, state):
        return grads_RP
""",
    "Backwards": """
class Backwards(LeakyRNN):
    def forward(self, inputs):
        return super().forward(inputs.flip(1))
""",
    "Single": """
class Single(LeakyRNN):
    def step(self, x_BI, state):
        return (torch.nn.functional.linear(state[0].float(), self.cell_weight[:, -self.hidden_size:]),)
""",
    "Narrow": """
class Narrow(nn.Linear):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
""",
}


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("NoState", "clip_rules", "has no attribute 'init'"),
        ("Backwards", "models", "probe gradient_flow cannot measure this model"),
        ("Single", "models", "float64"),
        ("Narrow", "models", "unexpected keyword argument 'output_size'"),
    ],
)
def test_what_does_not_work_is_said_in_one_line_and_nothing_is_started(
    my_parts, tmp_path, capsys, name, kind, said
):
    my_parts.write_text(my_parts.read_text() + "\n\n" + BROKEN[name])
    results = tmp_path / "results"
    settings = {"models": "rnn", "optimizers": "sgd"} | {kind: f"my_parts:{name}"}
    assert run(results, **settings) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "cannot be trained" in error
    assert not results.exists()

"""What docs/extending.md shows works as it stands, and what is wrong is refused before anything starts."""

import importlib
import math
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from harness.driver.tryout.child import judge
from harness.driver.tryout.watch import Watch
from harness.results.reader import read
from tests.commands import own_space, run_without_pictures

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"
TINY = {
    "lengths": "4", "max_norms": "1", "hidden_size": "8", "batch_size": "8", "learning_rate": "0.1",
    "seeds": "1", "max_steps": "20", "observe": "0", "eval_every": "10",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _tried_here(monkeypatch):
    """Classes are tried in this process, which saves each test two more."""
    monkeypatch.setattr("harness.driver.tryout.tried_apart", lambda job: judge(job, Watch(None, 60)))


@pytest.fixture
def my_parts(tmp_path, monkeypatch):
    """The page's code blocks as a module; more can be appended."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    (tmp_path / "my_parts.py").write_text("\n\n".join(blocks))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_parts", raising=False)
    return tmp_path / "my_parts.py"


def run(results, **settings) -> int:
    space = own_space(results.with_name("spaces"), "smoke", TINY)
    sets = [f"--set={name}={value}" for name, value in settings.items()]
    return run_without_pictures(["--space", space, "--executor", "serial", "--results", str(results), *sets])


def moments(results) -> pd.DataFrame:
    trials, found = read(results / "smoke", "trials"), read(results / "smoke", "moments")
    return found.merge(trials[["trial_id", "model"]], on="trial_id").set_index("model")


@pytest.mark.contract
def test_the_cells_of_the_page_are_trained_and_probed(my_parts, tmp_path):
    results = tmp_path / "results"
    assert run(results, models="my_parts:LeakyRNN,my_parts:GRU", leak="0.2,0.5", optimizers="sgd") == 0
    found = moments(results)
    assert found.loc["my_parts:LeakyRNN", "sigma_max"].notna().all()
    assert found["lyapunov_1"].notna().all()
    assert found["grad_state_rate"].notna().all()
    assert found.loc["my_parts:GRU", "sigma_max"].isna().all(), "it does not say what its recurrent weight is"


@pytest.mark.contract
def test_the_clipping_rule_and_the_optimizer_of_the_page_are_trained(my_parts, tmp_path):
    results = tmp_path / "results"
    rules, optimizers = "norm,my_parts:SoftClip", "my_parts:SignDescent"
    assert run(results, models="rnn", clip_rules=rules, limit="0.5", optimizers=optimizers) == 0
    trials = read(results / "smoke", "trials").set_index("clip_rule")
    assert set(trials.index) == {"norm", "my_parts:SoftClip"}
    assert trials.loc["my_parts:SoftClip", "clipped_share"] == 1.0
    assert trials["max_norm"].isna().tolist() == (trials.index != "norm").tolist()


@pytest.mark.contract
def test_the_task_of_the_page_is_trained_and_probed(my_parts, tmp_path):
    results = tmp_path / "results"
    assert run(results, tasks="my_parts:Latch", models="rnn,lstm", optimizers="sgd") == 0
    trials = read(results / "smoke", "trials")
    assert set(trials["task"]) == {"my_parts:Latch"}
    assert (trials["initial_loss"] - math.log(4)).abs().max() < 0.3
    assert moments(results)["grad_state_rate"].notna().all()


def test_a_task_whose_constructor_fails_is_refused_in_one_line(my_parts, tmp_path, capsys):
    my_parts.write_text(my_parts.read_text() + "\n\nclass Timeless(Generated):\n    pass\n")
    assert run(tmp_path / "results", tasks="my_parts:Timeless", models="rnn", optimizers="sgd") == 2
    error = capsys.readouterr().err
    assert "task 'my_parts:Timeless' cannot be built for length=4: TypeError" in error
    assert error.count("\n") == 1


BROKEN = {
    "Mean": """
class Mean(Latch):
    def loss(self, outputs_BC, targets_B):
        return F.cross_entropy(outputs_BC, targets_B)
""",
    "Lawless": """
class Lawless(Generated):
    every_step, input_size, output_size = False, 1, 1
    def __init__(self, length):
        self.length = length
    def draw(self, generator, size):
        return torch.rand(size, self.length, 1, generator=generator), torch.zeros(size)
    def loss(self, outputs_B1, targets_B):
        return (outputs_B1[:, 0] - targets_B) ** 2
    score = loss
""",
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
        return (torch.nn.functional.linear(state[0].float(), self.layers[0].weight[:, -self.hidden_size:]),)
""",
    "Narrow": """
class Narrow(nn.Linear):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
""",
    "Wide": """
class Wide(LeakyRNN):
    def forward(self, inputs):
        return super().forward(inputs).repeat(1, 2)
""",
    "Pair": """
class Pair(LeakyRNN):
    def forward(self, inputs):
        return super().forward(inputs), None
""",
    "Double": """
class Double(LeakyRNN):
    def forward(self, inputs):
        return super().forward(inputs).double()
""",
    "Elsewhere": """
class Elsewhere(LeakyRNN):
    def forward(self, inputs):
        return super().forward(inputs).to("meta")
""",
    "NotFinite": """
class NotFinite(LeakyRNN):
    def forward(self, inputs):
        return super().forward(inputs) / 0
""",
    "Untrained": """
class Untrained(LeakyRNN):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__(input_size, hidden_size, output_size)
        self.requires_grad_(False)
""",
    "NoModule": """
class NoModule:
    def __init__(self, input_size, hidden_size, output_size):
        pass
""",
    "Crashing": """
class Crashing(LeakyRNN):
    def __init__(self, input_size, hidden_size, output_size):
        raise RuntimeError("no weights on this machine")
""",
}


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("Mean", "tasks", "the task's loss has shape (); expected one per sequence, (8,)"),
        ("Lawless", "tasks", "my_parts:Lawless is no task: it has no solved_at, drop_at"),
        ("NoState", "clip_rules", "my_parts:NoState is no clip_rule: it has no init; write a class"),
        ("Backwards", "models", "probe gradient_flow cannot measure this model"),
        ("Single", "models", "float64"),
        ("Narrow", "models", "its constructor must take input_size, hidden_size, output_size"),
        ("Wide", "models", "outputs have shape (8, 20); the task reads (8, 10)"),
        ("Pair", "models", "forward gives a tuple; expected a tensor"),
        ("Double", "models", "outputs are torch.float64; training is in torch.float32"),
        ("Elsewhere", "models", "outputs are on meta, its inputs on cpu"),
        ("NotFinite", "models", "held-out loss is nan before the first step"),
        ("Untrained", "models", "Untrained has no parameters to train"),
        ("NoModule", "models", "my_parts:NoModule is no model: it is no torch.nn.Module"),
        ("Crashing", "models", "no weights on this machine"),
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
    assert "cannot be trained" in error or "is no" in error
    assert not results.exists()


def test_options_that_make_no_model_are_refused_before_anything_starts(tmp_path, capsys):
    results = tmp_path / "results"
    assert run(results, models="transformer", optimizers="sgd", heads="3") == 2
    assert capsys.readouterr().err == "error: model transformer: heads=3 does not divide hidden_size=8\n"
    assert not results.exists()


TAKEN_AT_ITS_WORD = {
    "models=torch.nn:LSTM": "model 'torch.nn:LSTM' cannot be built .*; its constructor must take input",
    "models=torch.nn:GRU": "its constructor must take input_size, hidden_size, output_size",
    "models=torch.nn:Linear": "its constructor must take input_size, hidden_size, output_size",
    "models=torch.nn:Module": "torch.nn:Module is no model: it has no forward; .* such as TorchLSTM",
    "models=torch.optim:AdamW": "torch.optim:AdamW is no model: it is no torch.nn.Module; write",
    "models=torch:nn": "model 'torch:nn' is not a class",
    "models=torch.nn": "no model named 'torch.nn'.*did you mean torch:nn",
    "models=torch.nn.LSTM": "no model named 'torch.nn.LSTM'.*did you mean torch.nn:LSTM",
    "models=torch.nn:LSTN": "cannot import model 'torch.nn:LSTN': AttributeError",
    "optimizers=torch.optim:AdamW": "it has no learning_rates, init, update; .* such as AdamW",
    "optimizers=torch.optim:SGD": "it has no learning_rates, init, update",
    "optimizers=torch.nn:LSTM": "it has no learning_rates, init, update",
    "clip_rules=torch.nn.utils:clip_grad_norm_": "is not a class; write one that calls it",
    "clip_rules=torch.optim:SGD": "SGD is no clip_rule: it has no init, clip; .* such as SoftClip",
    "tasks=torch.utils.data:Dataset": "its constructor must take length",
    "tasks=torch.nn:LSTM": "its constructor must take length",
    "tasks=torch:Size": "its constructor must take length",
    "tasks=builtins:object": "its constructor must take length",
}


@pytest.mark.parametrize("setting", TAKEN_AT_ITS_WORD)
def test_a_class_of_torch_is_refused_with_what_to_write(setting, tmp_path, capsys):
    part, _, name = setting.partition("=")
    settings = {"models": "rnn", "optimizers": "sgd", part: name}
    assert run(tmp_path / "results", **settings) == 2
    error = capsys.readouterr().err
    assert re.search(TAKEN_AT_ITS_WORD[setting], error), error
    assert error.count("\n") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.contract
def test_the_wrapped_classes_of_torch_are_trained(my_parts, tmp_path):
    assert run(tmp_path / "results", models="my_parts:TorchLSTM", optimizers="my_parts:AdamW") == 0


def test_the_adamw_of_the_page_takes_the_steps_of_torch(my_parts):
    weights = torch.nn.Parameter(torch.linspace(-1, 1, 5))
    theirs = torch.optim.AdamW([weights], lr=0.1)
    ours = importlib.import_module("my_parts").AdamW()
    weights_RP = weights.detach().clone()[None]
    state = ours.init(weights_RP)
    for step in range(5):
        grads_RP = torch.cos(step + weights_RP)
        weights.grad = torch.cos(step + weights.detach())
        theirs.step()
        weights_RP, state = ours.update(weights_RP, grads_RP, state, torch.tensor([[0.1]]))
    torch.testing.assert_close(weights_RP[0], weights.detach())


@pytest.mark.contract
def test_what_an_own_model_was_found_to_have_is_said_before_it_is_trained(my_parts, tmp_path, capsys):
    assert run(tmp_path / "results", models="my_parts:LeakyRNN,my_parts:GRU", optimizers="sgd") == 0
    said = capsys.readouterr().err
    steps, spectrum = "steps (gradient through time, Lyapunov exponents)", "recurrent weight (spectrum)"
    assert f"found: my_parts:LeakyRNN: one program for all replicas; {steps}; {spectrum}" in said
    assert f"found: my_parts:GRU: replicas run one after the other; {steps}; no recurrent weight" in said


def test_a_misspelt_declaration_is_refused_before_anything_starts(my_parts, tmp_path, capsys):
    my_parts.write_text(my_parts.read_text() + "\n\nclass Alone(LeakyRNN):\n    vectorisable = False\n")
    results = tmp_path / "results"
    assert run(results, models="my_parts:Alone", optimizers="sgd") == 2
    error = capsys.readouterr().err
    assert error == "error: my_parts:Alone has 'vectorisable'; did you mean 'vectorizable'?\n"
    assert not results.exists()

"""Models of other packages, wrapped as in examples/third_party.py, are trained and probed by import path."""

import pytest
import torch

from harness.condition import Pack
from harness.driver.tryout.child import judge
from harness.driver.tryout.watch import Watch
from harness.results.reader import read
from tests.commands import own_space, run_without_pictures
from tests.trials import end_weights, make_trial, trained

examples = pytest.importorskip("examples.third_party")
NAMES = [f"examples.third_party:{name}" for name in ("CfC", "LEM", "MinGRU")]


@pytest.mark.contract
def test_they_are_trained_in_a_study_with_gradient_through_time(tmp_path, monkeypatch):
    """They are tried in this process, which saves two more."""
    monkeypatch.setattr("harness.driver.tryout.tried_apart", lambda job: judge(job, Watch(None, 60)))
    settings = {
        "models": ",".join(NAMES), "lengths": "4", "max_norms": "1", "hidden_size": "8", "batch_size": "8",
        "learning_rate": "0.01", "optimizers": "rmsprop", "seeds": "1", "max_steps": "2", "eval_every": "1",
        "probes": "gradient_flow",
    }  # fmt: skip
    space, results = own_space(tmp_path, "smoke", settings), tmp_path / "results"
    arguments = ["--space", space, "--executor", "serial", "--results", str(results)]
    assert run_without_pictures(arguments) == 0
    trials, moments = read(results / "smoke", "trials"), read(results / "smoke", "moments")
    assert set(trials["model"]) == set(NAMES)
    found = moments.merge(trials[["trial_id", "model"]], on="trial_id").set_index("model")
    assert (found["grad_state_rate"] > 0).all()
    assert found.loc[NAMES[1], "grad_c_rate"].notna().all(), "its state has two parts"


@pytest.mark.contract
@pytest.mark.parametrize("name", NAMES)
def test_their_numbers_do_not_depend_on_packing(name):
    changes = {"model": name, "options": (("encoding", "one_hot"),), "optimizer": "rmsprop"}
    for size in ({"hidden_size": 8}, {"hidden_size": 13, "batch_size": 1}):
        trials = [make_trial(seed, 1e-3, max_steps=10, **changes, **size) for seed in range(8)]
        alone, packed = trained(Pack((trials[0],)))[0], trained(Pack(tuple(trials)))[0]
        assert torch.equal(end_weights(alone), end_weights(packed))


def test_the_wrapped_cells_give_what_their_packages_give():
    import ncps.torch
    import torchrecurrent

    torch.manual_seed(0)
    x = torch.randn(4, 9, 3)
    lem, layer = examples.LEM(3, 5, 2), torchrecurrent.LEM(3, 5, batch_first=True)
    layer.cells[0].load_state_dict(lem.cells[0].state_dict())
    assert torch.allclose(lem(x), lem.readout(layer(x)[0][:, -1]), atol=1e-6)
    cfc = examples.CfC(3, 5, 2)
    sequence = ncps.torch.CfC(3, 5, backbone_units=5, return_sequences=False)
    sequence.rnn_cell.load_state_dict(cfc.cells[0].state_dict())
    assert torch.allclose(cfc(x), cfc.readout(sequence(x)[0]), atol=1e-6)
    wrapped = examples.MinGRU(3, 5, 2)
    widen, recur = wrapped.cells[0]
    assert torch.allclose(wrapped(x), wrapped.readout(recur(widen(x))[:, -1]), atol=1e-6), "its parallel form"

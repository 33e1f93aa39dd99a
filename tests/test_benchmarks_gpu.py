"""The benchmark of the GPU engine, on a CPU with a stand-in for graphs: it runs to its table."""

import dataclasses
import subprocess
import sys

import pytest

from benchmarks import gpu
from harness.training import captured
from harness.training.captured import Captured
from tests.training.tape import taped

WORK = gpu.Work("lstm", 4, 2, 6, 2)

pytestmark = pytest.mark.usefixtures("few_heldout")


@pytest.fixture(autouse=True)
def _taped(monkeypatch):
    monkeypatch.setattr(captured, "cuda_graph", taped)
    monkeypatch.setattr(gpu, "SECONDS", 0.01)


def test_a_row_has_both_engines_their_ratio_and_replica_steps():
    name, eager, own, ratio, per_second, goal = gpu.row_of_training(WORK, "cpu", rounds=2)
    assert name == "2 lstm x 4, batch 2, T=6: training step"
    assert min(float(x.replace(",", "")) for x in (eager, own, ratio, per_second)) > 0
    assert goal == ""


def test_the_anchor_is_loss_and_gradient_alone():
    name, *times, none, goal = gpu.row_of_passes(WORK, "cpu", rounds=1)
    assert name.endswith("forward and backward") and goal == "8.2 ms" and none == ""
    assert all(float(x) > 0 for x in times)


def test_engines_that_differ_are_not_timed(monkeypatch):
    assert gpu.difference(WORK, "cpu") is None
    step = Captured.step

    def wrong(self, weights_RP, *rest):
        weights_RP, states, scalars_4R = step(self, weights_RP, *rest)
        return weights_RP, states, 1.01 * scalars_4R

    monkeypatch.setattr(Captured, "step", wrong)
    assert "losses by 1.0e-02 of the loss" in gpu.difference(WORK, "cpu")


def test_the_goals_are_measured_at_their_shapes():
    assert dataclasses.astuple(gpu.TRAINED[0]) == ("lstm", 32, 32, 20, 32)
    assert dataclasses.astuple(gpu.PASSES) == ("lstm", 32, 16, 1024, 24)


@pytest.mark.contract
def test_without_a_gpu_it_says_so_in_a_line_and_without_ray_and_optuna():
    program = (
        "import sys, torch; sys.modules['ray'] = sys.modules['optuna'] = None\n"
        "torch.cuda.is_available = lambda: False\n"
        "from benchmarks.gpu import main\n"
        "sys.exit(main([]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("no GPU here: ") and done.stderr.count("\n") == 1

"""A trial that ends, hangs or fills its worker is found and named; its siblings are recorded, on Ray."""

import pytest

from harness.results.reader import read
from tests.helpers import started_tiny

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FOUR = dict(
    models="tests.executors.paced:Paced", learning_rate="0.1", lr_trials=None, lr_batch=None, seeds="4",
    max_norms="1", pack_size="4", max_steps="10", observe="0", eval_every="10",
)  # fmt: skip
"""One pack of four trials."""

SAID = {
    "segfault": "it ends its worker (killed, out of memory, a crash in C, os._exit)",
    "exit": "it ends its worker (killed, out of memory, a crash in C, os._exit)",
    "hang": "it hangs: no block of updates was finished within",
    "memory": "allocate memory",
}


@pytest.mark.parametrize("fault", SAID)
def test_the_trial_at_fault_is_named_and_its_siblings_are_recorded(fault, tmp_path, monkeypatch):
    monkeypatch.setenv("PACED_FAULT", fault)
    how = ["--executor", "ray", "--workers", "2", "--engine", "eager", "--hang-after", "0.1"]
    with started_tiny(tmp_path, *how, **FOUR) as process:
        _, error = process.communicate(timeout=300)
    assert process.returncode == 1, error
    (folder,) = tmp_path.glob("smoke*")
    assert sorted(read(folder, "trials")["seed"]) == [0, 2, 3]
    (failed,) = read(folder, "failures")["error"]
    assert SAID[fault] in failed
    assert "failed: 1 trial, palindrome tests.executors.paced:Paced" in error
    assert "seed=1: " in error
    assert "Traceback" not in error

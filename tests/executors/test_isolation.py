"""A trial that ends, hangs or fills its worker is found and named; its siblings are recorded, on Ray."""

import pytest

from harness.results.reader import read
from tests.commands import started_tiny

pytestmark = [pytest.mark.ray, pytest.mark.slow]

EIGHT = dict(
    models="tests.executors.paced:Paced", learning_rate="0.1", lr_trials=None, lr_batch=None, seeds="8",
    max_norms="1", pack_size="8", max_steps="10", observe="0", eval_every="10",
)  # fmt: skip
"""One pack of eight trials."""

AT_FAULT = {1: "segfault", 3: "exit", 5: "memory", 7: "hang"}
"""By seed."""

SAID = {
    "segfault": "it ends its worker (killed, out of memory, a crash in C, os._exit)",
    "exit": "it ends its worker (killed, out of memory, a crash in C, os._exit)",
    "hang": "it hangs: no block of updates was finished within",
    "memory": "allocate memory",
}


def test_every_trial_at_fault_is_named_and_its_siblings_are_recorded(tmp_path, monkeypatch):
    """A pack in which four trials are, each in its own way: all four are found."""
    monkeypatch.setenv("PACED_FAULT", ",".join(f"{seed}={fault}" for seed, fault in AT_FAULT.items()))
    how = ["--executor", "ray", "--workers", "2", "--engine", "eager", "--hang-after", "0.1"]
    with started_tiny(tmp_path, *how, **EIGHT) as process:
        _, error = process.communicate(timeout=600)
    assert process.returncode == 1, error
    assert "Traceback" not in error
    (folder,) = tmp_path.glob("smoke*")
    assert sorted(read(folder, "trials")["seed"]) == [0, 2, 4, 6]
    failures = read(folder, "failures")["error"]
    assert len(failures) == len(AT_FAULT)
    named = [line for line in error.splitlines() if line.startswith("failed: 1 trial")]
    for seed, fault in AT_FAULT.items():
        assert any(f"seed={seed}: " in line and SAID[fault] in line for line in named), (fault, named)
    assert all(any(said in failure for said in SAID.values()) for failure in failures)

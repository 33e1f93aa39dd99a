"""What needs Ray: started once on this machine, on loopback."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness.results.reader import read
from tests.commands import (
    HELD,
    assert_same_tables,
    run_command,
    run_tiny,
    started_tiny,
    tiny_arguments,
    wait_until_held,
)

pytestmark = pytest.mark.ray

ON_RAY = ["--executor", "ray", "--workers", "2"]


def test_serial_and_ray_give_identical_rates_and_results_and_ray_is_quiet(tmp_path, monkeypatch):
    """RAY_ADDRESS, where nothing is, does not redirect a run of this machine's."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert run_tiny(tmp_path / "serial") == 0
    with started_tiny(tmp_path / "ray", *ON_RAY) as process:
        output, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert_same_tables(tmp_path / "ray" / "smoke", tmp_path / "serial" / "smoke")
    lines = error.strip().splitlines()
    assert len(lines) <= 3, f"Ray should be quiet: {error}"
    assert "stability-tune" not in output + error


def test_killed_on_ray_the_same_command_finishes_the_rest(tmp_path):
    with started_tiny(tmp_path / "ray", *ON_RAY, hold_after=2) as process:
        wait_until_held(process, tmp_path / "ray")
        os.kill(process.pid, signal.SIGKILL)
    assert 2 * 2 <= len(read(tmp_path / "ray" / "smoke", "trials")) < 10
    assert run_tiny(tmp_path / "ray", *ON_RAY, models=HELD) == 0
    assert run_tiny(tmp_path / "serial", models=HELD) == 0
    assert_same_tables(tmp_path / "ray" / "smoke", tmp_path / "serial" / "smoke")


MODEL = '''
import os, signal, sys
from pathlib import Path
from harness.models.rnn import RNN

class Fragile(RNN):
    """On a worker: kills it the first time it is built, and raises when it has few units."""

    def __init__(self, input_size, hidden_size, output_size):
        mark = Path(os.environ["FRAGILE_MARK"])
        on_worker = "ray" in sys.modules  # not yet where the run starts
        if on_worker and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if on_worker and hidden_size == 3:
            raise RuntimeError("three units are too few")
        super().__init__(input_size, hidden_size, output_size)
'''


def test_a_lost_worker_is_retried_and_a_users_bug_is_recorded(tmp_path):
    """The model is the user's own, by import path; Ray's workers find it where the driver did."""
    (tmp_path / "fragile.py").write_text(MODEL)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "FRAGILE_MARK": str(tmp_path / "mark")}
    arguments = tiny_arguments(tmp_path, *ON_RAY, models="fragile:Fragile", hidden_size="3,8")
    done = subprocess.run(
        run_command(arguments, "fragile:Fragile"),
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert (tmp_path / "mark").exists(), "a worker was lost"
    assert "three units are too few" in done.stderr
    trials, failures = read(tmp_path / "smoke", "trials"), read(tmp_path / "smoke", "failures")
    assert set(trials["hidden_size"]) == {8}
    assert len(trials) == 16
    assert failures["error"].str.contains("three units are too few").all()


def test_ctrl_c_on_ray_exits_130_and_leaves_no_ray_behind(tmp_path):
    with started_tiny(tmp_path, *ON_RAY, hold_after=2) as process:
        wait_until_held(process, tmp_path)
        children = psutil.Process(process.pid).children(recursive=True)
        assert any("raylet" in child.name() for child in children)
        sockets = [c for child in children for c in child.net_connections() if c.status == psutil.CONN_LISTEN]
        assert sockets
        assert {socket.laddr.ip.removeprefix("::ffff:") for socket in sockets} <= {"127.0.0.1", "::1"}
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "the same command does the rest" in error
    assert "Traceback" not in error
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:1"])
def test_a_cluster_that_is_not_there_is_one_line_and_nothing_is_held_to_it(tmp_path, capsys, address):
    assert run_tiny(tmp_path, "--executor", "ray", "--address", address) == 2
    error = capsys.readouterr().err
    assert "Ray cannot be reached" in error
    assert "Traceback" not in error
    assert not (tmp_path / "smoke" / "space.json").exists()


def test_a_cell_from_outside_the_project_is_the_same_on_ray_with_its_gradient_through_time(
    tmp_path, monkeypatch
):
    """The first example of docs/extending.md, in a folder that only PYTHONPATH knows."""
    page = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()
    (tmp_path / "outside.py").write_text(re.search(r"```python\n(.*?)```", page, re.S).group(1))
    changes = dict(models="outside:LeakyRNN", learning_rate="1,3", lr_trials=None)
    arguments = tiny_arguments(tmp_path / "ray", *ON_RAY, **changes)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-m", "harness.run", *arguments], check=True, env=environment, timeout=300
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert run_tiny(tmp_path / "serial", **changes) == 0
    folder = "smoke--learning_rate-fixed"  # a variant has its own
    assert_same_tables(tmp_path / "ray" / folder, tmp_path / "serial" / folder)
    found = read(tmp_path / "ray" / folder, "moments")
    assert len(found) >= 4
    assert found["grad_state_rate"].notna().all()

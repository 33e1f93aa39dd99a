"""Kills at random: of the worker or the driver, at times drawn from a seed, until the run has finished.

SOAK_KILLS=200 SOAK_SEED=3 pytest -m ray tests/executors/test_soak.py
"""

import os
import random
import time

import psutil
import pytest

from harness.results.reader import read
from tests.executors.test_kills import ONE_PACK, folder_in, paced_run
from tests.helpers import assert_same_tables, run_tiny

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SEVERAL_PACKS = ONE_PACK | dict(pack_size="1", max_steps="400", learning_rate="0.001,0.01")


def kill_one(draw: random.Random, driver: psutil.Process, pid_file) -> str:
    """Kill the worker, if there is one, or the driver; say which."""
    wanted = draw.choice(["worker", "worker", "driver"])
    if wanted == "worker" and pid_file.exists():
        try:
            worker = psutil.Process(int(pid_file.read_text()))
            if driver.pid in {parent.pid for parent in worker.parents()}:
                worker.kill()
                return "worker"
        except (psutil.NoSuchProcess, ValueError):
            pass
    driver.kill()
    return "driver"


def test_kills_at_random_lose_no_trial_double_none_and_change_no_number(tmp_path):
    kills, seed = int(os.environ.get("SOAK_KILLS", "6")), int(os.environ.get("SOAK_SEED", "0"))
    draw, killed, recorded = random.Random(seed), [], 0
    count = tmp_path / "count"
    while True:
        with paced_run(tmp_path, count, "0.05", **SEVERAL_PACKS) as process:
            while len(killed) < kills:
                deadline = time.monotonic() + draw.uniform(2, 20)
                while time.monotonic() < deadline and process.poll() is None:
                    time.sleep(0.01)
                if process.poll() is not None:
                    break
                killed.append(kill_one(draw, psutil.Process(process.pid), count.with_name("count.pid")))
                if killed[-1] == "driver":
                    break
            process.communicate(timeout=300)
        trials = read(folder_in(tmp_path), "trials")
        assert len(trials) >= recorded, "a recorded trial is lost"
        assert trials["trial_id"].is_unique
        recorded = len(trials)
        if process.returncode == 0:
            break
    (tmp_path / "killed").write_text("\n".join(killed))
    assert recorded == 4
    assert run_tiny(tmp_path / "whole", "--engine", "eager", **SEVERAL_PACKS) == 0
    assert_same_tables(folder_in(tmp_path), folder_in(tmp_path / "whole"))
    assert killed, "the run was over before the first kill"

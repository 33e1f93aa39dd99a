"""What is killed in the middle of a pack goes on from its last state: workers, and the driver."""

import os
import signal
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.commands import assert_same_tables, run_tiny, started_tiny

pytestmark = pytest.mark.ray

ON_RAY = ["--executor", "ray", "--workers", "1", "--engine", "eager", "--save-every", "0"]

ONE_PACK = dict(
    models="tests.executors.paced:Paced", learning_rate="0.1,1", lr_trials=None, lr_batch=None, seeds="2",
    max_norms="1", pack_size="4", max_steps="300", observe="0", eval_every="10",
)  # fmt: skip


def folder_in(results: Path) -> Path:
    """The one results folder there."""
    return next(iter(results.glob("smoke*")), results / "none")


@contextmanager
def paced_run(results: Path, count: Path, seconds: str = "0.01", **changes: str | None):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACED_COUNT", str(count))
        patch.setenv("PACED_SECONDS", seconds)
        with started_tiny(results, *ON_RAY, **ONE_PACK | changes) as process:
            yield process


def wait_for_states(results: Path, number: int) -> None:
    """Return when the pack has come so far that its state was kept so many times."""
    seen: set[int] = set()
    deadline = time.monotonic() + 120
    while len(seen) < number:
        assert time.monotonic() < deadline
        with suppress(FileNotFoundError):
            files = folder_in(results).glob("progress/*.safetensors")
            seen |= {file.stat().st_mtime_ns for file in files}
        time.sleep(0.01)


def passes(count: Path) -> int:
    return count.stat().st_size if count.exists() else 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an undisturbed run, and its forward passes."""
    results = tmp_path_factory.mktemp("whole")
    count = results / "count"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACED_COUNT", str(count))
        assert run_tiny(results, "--engine", "eager", **ONE_PACK) == 0
    return folder_in(results), passes(count)


def test_a_worker_that_is_killed_five_times_in_a_row_costs_a_few_blocks_each(tmp_path, whole):
    folder, undisturbed = whole
    with paced_run(tmp_path, tmp_path / "count") as process:
        for _ in range(5):
            wait_for_states(tmp_path, 3)
            worker = psutil.Process(int((tmp_path / "count.pid").read_text()))
            assert process.pid in {parent.pid for parent in worker.parents()}
            worker.kill()
            psutil.wait_procs([worker], 10)
        _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert_same_tables(folder_in(tmp_path), folder)
    assert passes(tmp_path / "count") < 2.5 * undisturbed, "from its start each time it would be more"


def test_a_driver_that_is_killed_costs_a_few_blocks_and_the_same_command_goes_on(tmp_path, whole):
    folder, undisturbed = whole
    with paced_run(tmp_path, tmp_path / "count") as process:
        wait_for_states(tmp_path, 12)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    trained = passes(tmp_path / "count")
    with paced_run(tmp_path, tmp_path / "count", "0") as process:
        _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert_same_tables(folder_in(tmp_path), folder)
    assert passes(tmp_path / "count") < undisturbed + trained / 2 + 200

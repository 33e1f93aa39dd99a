"""Nodes and heads that go in the middle of a pack: on a cluster of several raylets on this machine."""

import os
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.commands import assert_same_tables, run_command, run_tiny, tiny_arguments
from tests.executors.test_kills import ONE_PACK, folder_in, passes, wait_for_states

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an undisturbed run, and its forward passes."""
    results = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACED_COUNT", str(results / "count"))
        assert run_tiny(results, "--engine", "eager", **ONE_PACK) == 0
    return folder_in(results), passes(results / "count")


@contextmanager
def cluster_of(**head):
    from ray.cluster_utils import Cluster

    os.environ["PACED_SECONDS"] = "0.03"
    cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **head})
    try:
        yield cluster
    finally:
        del os.environ["PACED_SECONDS"]
        cluster.shutdown()


@contextmanager
def run_on(cluster, results, *more):
    """A run on a cluster, in a process of its own, that keeps states all the time."""
    how = ["--executor", "ray", "--address", cluster.address, "--engine", "eager", "--save-every", "0", *more]
    command = run_command(tiny_arguments(results, *how, **ONE_PACK))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finishes(process, results, whole) -> None:
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert "Traceback" not in error
    assert_same_tables(folder_in(results), whole[0])


def test_a_node_that_is_killed_in_the_middle_of_a_pack_costs_a_few_blocks(tmp_path, whole):
    with cluster_of(num_cpus=0) as cluster:
        node = cluster.add_node(num_cpus=1)
        with run_on(cluster, tmp_path) as process:
            wait_for_states(tmp_path, 5)
            cluster.remove_node(node, allow_graceful=False)
            cluster.add_node(num_cpus=1)
            finishes(process, tmp_path, whole)


def test_a_node_that_is_about_to_go_hands_its_pack_on_before(tmp_path, whole):
    """A spot notice: what `ray start --block` does on SIGTERM, and what an autoscaler does."""
    from ray._raylet import GcsClient
    from ray.core.generated import autoscaler_pb2

    reason = autoscaler_pb2.DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION
    with cluster_of(num_cpus=0) as cluster:
        node = cluster.add_node(num_cpus=1)
        with run_on(cluster, tmp_path) as process:
            wait_for_states(tmp_path, 3)
            cluster.add_node(num_cpus=1)
            deadline = int(1000 * (time.time() + 60))
            client = GcsClient(address=cluster.address)
            assert client.drain_node(node.node_id, reason, "spot notice", deadline)[0]
            wait_until_gone(node)
            finishes(process, tmp_path, whole)


def wait_until_gone(node) -> None:
    """A raylet that drains ends when nothing runs there any more."""
    deadline = time.monotonic() + 60
    (raylet,) = node.all_processes["raylet"]
    while raylet.process.poll() is None:
        assert time.monotonic() < deadline, "its worker stayed"
        time.sleep(0.1)


def test_a_node_that_was_cut_off_comes_back_and_its_pack_has_gone_on_elsewhere(tmp_path, whole):
    quick = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 1000,
        "health_check_failure_threshold": 3,
    }
    with cluster_of(num_cpus=0, _system_config=quick) as cluster:
        node = cluster.add_node(num_cpus=1)
        with run_on(cluster, tmp_path) as process:
            wait_for_states(tmp_path, 3)
            (raylet,) = node.all_processes["raylet"]
            os.kill(raylet.process.pid, signal.SIGSTOP)
            cluster.add_node(num_cpus=1)
            try:
                finishes(process, tmp_path, whole)
            finally:
                os.kill(raylet.process.pid, signal.SIGCONT)


def test_when_the_head_is_gone_the_run_ends_in_a_line_and_the_same_command_goes_on(tmp_path, whole):
    with cluster_of(num_cpus=1) as cluster, run_on(cluster, tmp_path) as process:
        wait_for_states(tmp_path, 5)
        killed = time.monotonic()
        cluster.head_node.kill_gcs_server()
        _, error = process.communicate(timeout=120)
        took = time.monotonic() - killed
    assert process.returncode == 1, error
    assert "does not answer any more" in error.splitlines()[-1]
    assert error.splitlines()[-1].endswith("the same command does the rest.")
    assert took < 60
    assert len(list(folder_in(tmp_path).glob("progress/*"))) == 1
    with cluster_of(num_cpus=1) as cluster, run_on(cluster, tmp_path) as process:
        finishes(process, tmp_path, whole)

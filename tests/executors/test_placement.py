"""Where packs train on a cluster: on GPUs if they ask for them, on as many nodes as there is work for."""

import math
import os
import subprocess
import sys

import pytest

from harness.errors import ExecutorError, UserError
from tests.commands import tiny_arguments
from tests.executors.naps import Nap, Naps

pytestmark = pytest.mark.ray


SOON = 12
"""Packs that are left then."""


@pytest.fixture
def ray_tune():
    """Imported only where these tests run."""
    from harness.executors import ray_tune

    return ray_tune


@pytest.fixture(scope="module")
def head():
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


@pytest.fixture
def cluster(head):
    """A cluster of one node; what a test adds goes with it."""
    yield head
    for node in list(head.worker_nodes):
        head.remove_node(node)


def blind(ray_tune):
    class Blind(ray_tune.PackTrainable):
        """A worker that believes in its GPU."""

        def setup(self, config):
            super().setup({})

    return Blind


class Loads(Naps):
    """A source that remembers what trained when; soon over once so many processes have trained."""

    def __init__(self, naps, processes=math.inf):
        super().__init__(naps)
        self.loads = []
        self._processes = processes

    def done(self, pack, outcome):
        super().done(pack, outcome)
        if len(self.processes()) >= self._processes:
            del self._left[SOON:]

    @property
    def waiting(self):
        return len(self._left)

    def works(self, load):
        self.loads.append(load)


def test_a_node_without_a_gpu_gets_no_gpu_pack_and_a_gpu_as_many_as_workers_say(
    ray_tune, cluster, monkeypatch
):
    from harness.driver.preflight import choose_device

    assert choose_device("auto", cluster.address) == "cpu"
    with pytest.raises(UserError, match=r"device=cuda: no node of the cluster at .* has a GPU; known: cpu"):
        choose_device("cuda", cluster.address)
    cluster.add_node(num_cpus=4, num_gpus=2)
    assert choose_device("auto", cluster.address) == "cuda"
    monkeypatch.setattr(ray_tune, "PackTrainable", blind(ray_tune))
    monkeypatch.setattr("harness.executors.pack_queue.LOOK_EVERY", 0.1)
    source = Loads([Nap(n, 0.5) for n in range(1_000)], processes=4)
    ray_tune.run_ray(source, "cuda", "eager", 4, cluster.address)
    assert not source.failures
    assert len(source.nodes()) == 1
    assert len(source.processes()) == 4
    assert {(load.nodes, load.gpus, load.places) for load in source.loads} == {(1, 2, 4)}
    assert max(load.training for load in source.loads) == 4


def test_a_worker_that_sees_no_gpu_says_so(ray_tune, cluster):
    cluster.add_node(num_cpus=1, num_gpus=1)
    source = Naps([Nap(0)])
    ray_tune.run_ray(source, "cuda", "eager", 1, cluster.address)
    assert "no worker could be started" in source.failures[0].reason
    assert "torch sees no GPU on node" in source.failures[0].reason


def test_a_node_that_is_not_up_yet_is_waited_for_if_the_run_says_so(ray_tune, cluster, monkeypatch):
    monkeypatch.setattr(ray_tune, "PackTrainable", blind(ray_tune))
    monkeypatch.setattr("harness.executors.cluster.LOOK_AGAIN", 0.5)
    source = Naps([Nap(n) for n in range(6)])
    with pytest.raises(UserError, match=r"no node of the cluster at .* has the 1 CPU and 1 GPU"):
        ray_tune.run_ray(source, "cuda", "eager", None, cluster.address)
    with pytest.raises(ExecutorError, match=r"no node with 1 CPU and 1 GPU has come in 0\.05 min"):
        ray_tune.run_ray(source, "cuda", "eager", None, cluster.address, wait_for_nodes=0.05)

    class Joins(Loads):
        def works(self, load):
            super().works(load)
            if len(self.loads) == 1:
                cluster.add_node(num_cpus=2, num_gpus=2)

    source = Joins([Nap(n) for n in range(6)])
    ray_tune.run_ray(source, "cuda", "eager", None, cluster.address, wait_for_nodes=2)
    assert source.loads[0].nodes == 0
    assert len(source.rested) == 6
    assert len(source.nodes()) == 1


def test_more_workers_are_asked_for_than_fit_and_in_the_tail_none_is_kept_without_work(
    ray_tune, cluster, monkeypatch
):
    from ray._private import state

    monkeypatch.setattr("harness.executors.pack_queue.LOOK_EVERY", 0.1)
    monkeypatch.setattr("harness.executors.pack_queue.LINGER", 1.0)
    alive = []

    class Tail(Loads):
        def works(self, load):
            super().works(load)
            if load.training == 1 and not load.waiting:
                alive.append(sum(actor["State"] == "ALIVE" for actor in state.actors().values()))

    source = Tail([Nap(0, 20), *(Nap(n, 0.2) for n in range(1, 12))])
    ray_tune.run_ray(source, "cpu", "eager", None, cluster.address)
    assert len(source.rested) == 12
    most = max(source.loads, key=lambda load: load.starting + load.training)
    assert most.starting + most.training > most.places == 2, "an autoscaler sees that more are wanted"
    assert source.loads[-1].starting == 0
    assert (alive[0], alive[-1]) == (2, 1)


@pytest.mark.slow
def test_a_cluster_that_wants_a_token_says_what_to_do(cluster, tmp_path):
    """In a process of its own: Ray reads its token once."""
    where = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")}
    how = ["--executor", "ray", "--address", cluster.address]
    done = subprocess.run(
        [sys.executable, "-m", "harness.run", *tiny_arguments(tmp_path, *how)],
        capture_output=True, text=True, env=os.environ | where, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "the cluster asks for a token, and this process has none" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr

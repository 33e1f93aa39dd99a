"""Who trains when: every worker from the moment it is up, each started once, whatever else happens."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.executors.naps import Nap, Naps

pytestmark = pytest.mark.ray


@pytest.fixture
def ray_tune():
    """Imported only where these tests run."""
    from harness.executors import ray_tune

    return ray_tune


def actors() -> int:
    """How many actors have been started on the Ray that this process is connected to."""
    from ray._private import state

    return len(state.actors())


def counting(started: list[int]) -> Callable[[Naps], object]:
    """Note after each pack how many actors have been started."""
    return lambda _: started.append(actors())


def test_two_slots_and_many_short_packs_are_two_actors_which_both_train(ray_tune):
    started: list[int] = []
    source = Naps([Nap(n, 0.1) for n in range(100)], counting(started))
    ray_tune.run_ray(source, "cpu", "eager", 2, None)
    assert len(source.rested) == 100
    assert len(source.processes()) == 2
    assert started[-1] == 2
    ended = max(rested.ended for rested in source.rested.values())
    for process in source.processes():
        mine = [rested for rested in source.rested.values() if rested.process == process]
        assert ended - max(rested.ended for rested in mine) < 1, "to the last"
        worked = max(rested.ended for rested in mine) - min(rested.begun for rested in mine)
        assert 0.1 * len(mine) > 0.7 * worked, "without long waits"


def slow_to_start(ray_tune):
    class SlowToStart(ray_tune.PackTrainable):
        """A worker that takes a while to start, unless it is the first."""

        def setup(self, config):
            mark = Path(os.environ["SLOW_MARK"])
            try:
                mark.mkdir()
            except FileExistsError:
                time.sleep(5)
            super().setup(config)

    return SlowToStart


def test_the_first_worker_that_is_up_trains_while_the_others_start_and_nobody_starts_twice(
    ray_tune, tmp_path, monkeypatch
):
    monkeypatch.setenv("SLOW_MARK", str(tmp_path / "mark"))
    monkeypatch.setattr(ray_tune, "PackTrainable", slow_to_start(ray_tune))
    started: list[int] = []
    source = Naps([Nap(n, 0.2) for n in range(60)], counting(started))
    ray_tune.run_ray(source, "cpu", "eager", 3, None)
    assert len(source.rested) == 60
    assert len(source.processes()) == 3
    assert started[-1] == 3
    begun = sorted(min(r.begun for r in source.rested.values() if r.process == p) for p in source.processes())
    assert begun[1] - begun[0] > 3


def test_a_worker_that_is_killed_loses_its_pack_to_the_next_and_no_other_pack(ray_tune, tmp_path):
    naps = [Nap(n, 0.1, kills={3: 1, 7: 9}.get(n, 0), marks=str(tmp_path)) for n in range(20)]
    started: list[int] = []
    source = Naps(naps, counting(started))
    ray_tune.run_ray(source, "cpu", "eager", 2, None)
    assert sorted(source.rested) == [n for n in range(20) if n != 7]
    assert "it ends its worker" in source.failures[7].reason
    assert sorted(mark.name for mark in tmp_path.iterdir()) == ["3-0", *(f"7-{n}" for n in range(6))]
    assert 2 <= started[-1] <= 2 + 7


def test_no_worker_can_be_started_and_every_pack_says_why(ray_tune, monkeypatch):
    class Broken(ray_tune.PackTrainable):
        def setup(self, config):
            raise ImportError("no module named so")

    monkeypatch.setattr(ray_tune, "PackTrainable", Broken)
    source = Naps([Nap(n) for n in range(5)])
    ray_tune.run_ray(source, "cpu", "eager", 1, None)
    assert len(source.failures) == 5
    assert all("no worker could be started" in f.reason for f in source.failures.values())
    assert all("no module named so" in f.reason for f in source.failures.values())


def test_a_node_that_joins_trains_too_and_one_that_goes_costs_no_pack(ray_tune, monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setattr("harness.executors.cluster.LOOK_AGAIN", 0.5)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    other = []

    def heard(source):
        if len(source.rested) == 2:
            other.append(cluster.add_node(num_cpus=1))
        elif other and len(source.nodes()) == 2:
            cluster.remove_node(other.pop())

    try:
        source = Naps([Nap(n, 0.3) for n in range(80)], heard)
        ray_tune.run_ray(source, "cpu", "eager", None, cluster.address)
    finally:
        cluster.shutdown()
    assert len(source.nodes()) == 2
    assert sorted(source.rested) == list(range(80))
    assert not source.failures

"""What scheduling costs: a grid of short trials by the harness, by plain Tune trainables, and ideally.

    python benchmarks/scheduling.py [--trials 64] [--seconds 1] [--workers 2] [--tiny 10000] [--beside]
    python benchmarks/scheduling.py --nodes 4 --gpus 4 --trials 640       on a simulated cluster

A trial here takes so many processor seconds and trains nothing. With `--sleep` it sleeps instead, so that
other load does not matter. `ideal` is trials x seconds over the cores that the workers can have. Beside one
busy process (`--beside`), which has its fair share, those are fewer. "in all" counts from the call to its
return, the start and the end of Ray included. "training" counts from the first trial's start to the last
one's end. "busy" is the share of it that a worker spends in trials. "all up" is that share from when the last
worker has started to when the first one has ended. `--tiny` are trials that take no time: what is left is
overhead. With `--nodes` Ray simulates a cluster on this machine: so many nodes, each with so many logical
GPUs, and a worker on each GPU. There trials sleep.
"""

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # read by Ray's import: loopback only

from harness.executors import base, ray_tune

Worked = tuple[int, float, float]
"""The process of a trial, and when it began and ended."""


def work(seconds: float, sleeping: bool) -> Worked:
    """Take so many processor seconds, or sleep."""
    begun, used = time.time(), time.process_time()
    if sleeping:
        time.sleep(seconds)
        return os.getpid(), begun, time.time()
    while time.process_time() - used < seconds:
        pass
    return os.getpid(), begun, time.time()


class Blind(ray_tune.PackTrainable):
    """A worker that believes in its logical GPU."""

    def setup(self, config: dict[str, Any]) -> None:
        """As on a CPU."""
        super().setup({**config, "device": "cpu"})


class Task(NamedTuple):
    """A pack that takes processor time and trains nothing."""

    pack_id: str
    seconds: float
    sleeping: bool

    def __reduce__(self) -> tuple[Any, ...]:
        return arrived, tuple(self)


def arrived(*fields: Any) -> Task:
    """A task on its worker, which from now on works instead of training."""
    base.blocks = blocks  # type: ignore[assignment]
    return Task(*fields)


def blocks(task: Task, *_how: Any) -> Generator[None, None, Worked]:
    """Work in place of a training."""
    yield from ()
    return work(task.seconds, task.sleeping)


class Tasks(base.Source):
    """A source of tasks, and what came of them."""

    def __init__(self, trials: int, seconds: float, sleeping: bool) -> None:
        self._left = [Task(str(number), seconds, sleeping) for number in range(trials)]
        self._trials = trials
        self.worked: list[Worked] = []

    @property
    def finished(self) -> bool:
        """Whether all have come back."""
        return len(self.worked) == self._trials

    def ask(self) -> Task | None:
        """The next one."""
        return self._left.pop() if self._left else None

    def done(self, _task: Task, outcome: Any) -> None:
        """Take what came of it."""
        assert isinstance(outcome, tuple), outcome
        self.worked.append(outcome)


def harness(trials: int, seconds: float, workers: int, sleeping: bool) -> list[Worked]:
    """All trials by the executor of the harness."""
    source = Tasks(trials, seconds, sleeping)
    ray_tune.run_ray(source, "cpu", "eager", workers, None)  # type: ignore[arg-type]
    return source.worked


def plain_tune(trials: int, seconds: float, workers: int, sleeping: bool) -> list[Worked]:
    """All trials as function trainables of a grid, as Tune's guide writes them."""
    ray, tune = ray_tune.ray, ray_tune.tune

    def trainable(config: dict[str, Any]) -> None:  # noqa: ARG001
        tune.report(dict(zip(("process", "begun", "ended"), work(seconds, sleeping), strict=True)))

    ray_tune.connect(workers, None)
    with tempfile.TemporaryDirectory() as scratch:
        grid = tune.Tuner(
            trainable,
            param_space={"number": tune.grid_search(list(range(trials)))},
            run_config=tune.RunConfig(storage_path=scratch, verbose=0),
        ).fit()
        worked = [tuple(r.metrics[k] for k in ("process", "begun", "ended")) for r in grid]
    ray.shutdown()
    return worked  # type: ignore[return-value]


def on_nodes(nodes: int, gpus: int) -> Callable[..., list[Worked]]:
    """All trials by the executor of the harness, a worker on each logical GPU of a simulated cluster."""

    def call(trials: int, seconds: float, _workers: int, sleeping: bool) -> list[Worked]:
        simulated = importlib.import_module("ray.cluster_utils").Cluster
        ray_tune.PackTrainable = Blind  # type: ignore[misc]
        cluster = simulated(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        try:
            for _ in range(nodes):
                cluster.add_node(num_cpus=gpus, num_gpus=gpus)
            source = Tasks(trials, seconds, sleeping)
            ray_tune.run_ray(source, "cuda", "eager", None, cluster.address)  # type: ignore[arg-type]
        finally:
            cluster.shutdown()
        return source.worked

    return call


def steady(worked: list[Worked]) -> float:
    """The share of their time that all workers sleep, from when the last one is up to when the first ends."""
    processes = {process for process, _, _ in worked}
    up = max(min(begun for p, begun, _ in worked if p == process) for process in processes)
    over = min(max(ended for p, _, ended in worked if p == process) for process in processes)
    inside = sum(max(0.0, min(ended, over) - max(begun, up)) for _, begun, ended in worked)
    return inside / (over - up) / len(processes)


@contextmanager
def beside_a_busy_process(wanted: bool) -> Iterator[None]:
    """Run the block beside another program that never waits."""
    if not wanted:
        yield
        return
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def ideal(trials: int, seconds: float, workers: int, beside: bool, sleeping: bool) -> float:
    """Seconds if every core that the workers can have trains all the time."""
    if sleeping:
        return trials * seconds / workers
    cores = len(os.sched_getaffinity(0))
    share = cores * workers / (workers + 1) if beside else float(cores)
    return trials * seconds / min(workers, share)


def row(name: str, call: Any, trials: int, seconds: float, workers: int, beside: bool, sleep: bool) -> None:
    """Run one side, and print its line."""
    begun = time.time()
    worked = call(trials, seconds, workers, sleep)
    in_all = time.time() - begun
    training = max(end for _, _, end in worked) - min(start for _, start, _ in worked)
    in_trials = sum(end - start for _, start, end in worked)
    best = ideal(trials, seconds, workers, beside, sleep)
    processes = len({process for process, _, _ in worked})
    overhead = 1000 * (training * workers - in_trials) / trials
    print(
        f"| {name} | {trials} x {seconds:g} s | {best:.1f} | {training:.1f} | {in_all:.1f} "
        f"| {in_trials / training / workers:.1%} | {steady(worked):.1%} | {overhead:.2f} | {processes} |",
        flush=True,
    )


HEAD = (
    *("grid", "trials", "ideal s", "training s", "in all s", "busy", "all up", "ms between trials"),
    "processes",
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tiny", type=int, default=10_000)
    parser.add_argument("--beside", action="store_true", help="beside one busy process")
    parser.add_argument("--sleep", action="store_true", help="trials sleep")
    parser.add_argument("--nodes", type=int, default=0, help="of a simulated cluster; trials sleep there")
    parser.add_argument("--gpus", type=int, default=4, help="logical GPUs of each of these nodes")
    parser.add_argument("--no-tune", action="store_true", help="leave plain Tune out")
    given = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    if given.nodes:
        name, workers = f"harness, {given.nodes} nodes x {given.gpus} GPUs", given.nodes * given.gpus
        call = on_nodes(given.nodes, given.gpus)
        row(name, call, given.trials, given.seconds, workers, False, True)
        return
    with beside_a_busy_process(given.beside):
        how = (given.workers, given.beside, given.sleep)
        if given.trials:
            row("harness", harness, given.trials, given.seconds, *how)
        if given.trials and not given.no_tune:
            row("plain Tune", plain_tune, given.trials, given.seconds, *how)
        if given.tiny:
            row("harness", harness, given.tiny, 0.0, *how)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()

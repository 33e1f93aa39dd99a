"""Runs on a simulated cluster of two nodes, whose workers, nodes and drivers are killed in the middle.

Which is killed, and after how many more packs, follows from the seed. What each of them does at that moment
is up to the system.
"""

import dataclasses
import importlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.soak import local
from benchmarks.soak.forks import in_a_child
from benchmarks.soak.local import Tally, Watched, looked, said
from benchmarks.soak.tables import Contents
from harness import run_space

SPACE = dataclasses.replace(
    local.SPACE,
    name="soak-on-ray",
    summary="Packs of about a second.",
    seeds=6,
    max_steps=400,
    eval_every=100,
)

NODES = 2

LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""With this in the environment all of Ray listens on loopback: nobody else can reach it."""

VICTIMS = ("worker", "worker", "node", "driver")

STARTS = 5
"""Times that a node is started, until it is there."""

PATIENCE = 480.0
"""Seconds in which something must happen."""

SPREAD = 1.0
"""Seconds over which a kill is spread after a pack was recorded."""

RETRIES = 6
"""Times that the command is given again without a kill, since a pack fails after several lost workers."""


class Nodes:
    """The simulated cluster."""

    def __init__(self) -> None:
        os.environ.update(LOOPBACK, RAY_worker_niceness="0")
        simulated = importlib.import_module("ray.cluster_utils").Cluster
        self._cluster = simulated(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        self._nodes: list[Any] = []
        for _ in range(NODES):
            self._add()

    @property
    def address(self) -> str:
        """Of the head, host:port."""
        return str(self._cluster.address)

    def _add(self) -> None:
        for _ in range(STARTS - 1):
            with suppress(Exception):  # Ray gives a node 30 s, which is short on a busy machine
                self._nodes.append(self._cluster.add_node(num_cpus=1))
                return
        self._nodes.append(self._cluster.add_node(num_cpus=1))

    def workers(self) -> list[psutil.Process]:
        """Processes that train."""
        found = []
        for node in self._nodes:
            for child in psutil.Process(raylet(node)).children(recursive=True):
                try:
                    found += [child] if any("Trainable." in word for word in child.cmdline()) else []
                except psutil.NoSuchProcess:
                    continue
        return found

    def kill_worker(self, draw: random.Random) -> bool:
        """Kill one that trains; False if there is none."""
        workers = self.workers()
        if workers:
            draw.choice(workers).kill()
        return bool(workers)

    def kill_node(self, draw: random.Random) -> bool:
        """Kill a node's raylet, and have another node join."""
        node = self._nodes.pop(draw.randrange(len(self._nodes)))
        os.kill(raylet(node), signal.SIGKILL)
        self._cluster.remove_node(node, allow_graceful=False)
        self._add()
        return True

    def close(self) -> None:
        """End them all."""
        self._cluster.shutdown()


def raylet(node: Any) -> int:
    """The process that is a node."""
    return int(node.all_processes["raylet"][0].process.pid)


class Run:
    """A driver in a process of its own."""

    def __init__(self, folder: Path, address: str) -> None:
        self.log = folder.with_suffix(".log")
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.soak.cluster", str(folder), address],
                stdout=log,
                stderr=log,
            )

    def over(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def kill(self) -> bool:
        """Kill it."""
        self.process.kill()
        self.process.wait()
        return True


def packs(folder: Path) -> int:
    """How many packs are recorded: only names are looked at, for this goes on all the time."""
    return len(list((folder / SPACE.name / "trials").glob("[0-9a-f]*.parquet")))


def soak(seed: int, faults: int, scratch: Path, tally: Tally) -> Iterator[str]:
    """So many kills on one cluster, in fresh folders one after the other; a line for each folder."""
    ended = in_a_child(lambda: str(run_space(SPACE, scratch / "serial", executor="serial", engine="eager")))
    if ended.answer is None:
        raise RuntimeError(f"the undisturbed run did not end: {ended}")
    expected = looked(scratch / "serial" / SPACE.name, Tally(), "undisturbed")
    draw, left, number = random.Random(f"ray {seed}"), faults, 0
    nodes = Nodes()
    try:
        while left > 0:
            before, folder = left, scratch / f"ray{number}"
            left = one_folder(folder, draw, left, expected, nodes, tally)
            yield f"on Ray {number}: {before - left} faults, {len(expected.trials)} trials, {said(tally)}"
            number += 1
    finally:
        nodes.close()


def one_folder(
    folder: Path, draw: random.Random, left: int, expected: Contents, nodes: Nodes, tally: Tally
) -> int:
    """Kill until the run has finished; how many kills are left."""
    watched = Watched(folder / SPACE.name, tally, folder.name)
    run, again = Run(folder, nodes.address), 0
    try:
        while again < RETRIES:
            if left and wait_for(folder, run, packs(folder) + draw.choice((0, 1, 1, 2))):
                time.sleep(draw.uniform(0, SPREAD))
                victim = draw.choice(VICTIMS)
                if killed(victim, nodes, run, draw):
                    left -= 1
                    tally.faults[f"on Ray: {victim}"] += 1
                    watched.look(f"{victim} killed")
                if victim == "driver":
                    run = Run(folder, nodes.address)
                continue
            if run.process.wait(PATIENCE) == 0:
                break
            again += 1  # what failed is tried again
            run = Run(folder, nodes.address)
        else:
            tally.wrong.append(
                f"{folder.name}: not finished after {RETRIES} runs: {run.log.read_text()[-500:]}"
            )
    except subprocess.TimeoutExpired:
        tally.wrong.append(f"{folder.name}: nothing happened for {PATIENCE:g} s")
    finally:
        run.kill()
    watched.finish(expected)
    return left


def wait_for(folder: Path, run: Run, number: int) -> bool:
    """Wait until so many packs are recorded; False if the run ends before."""
    deadline = time.monotonic() + PATIENCE
    while packs(folder) < number and not run.over():
        if time.monotonic() > deadline:
            raise subprocess.TimeoutExpired("a run", PATIENCE)
        time.sleep(0.05)
    return not run.over()


def killed(victim: str, nodes: Nodes, run: Run, draw: random.Random) -> bool:
    """Kill this; False if there is none."""
    if victim == "driver":
        return run.kill()
    return nodes.kill_worker(draw) if victim == "worker" else nodes.kill_node(draw)


def drive(folder: str, address: str) -> None:
    """One run on the cluster: the command that is given again and again."""
    run_space(SPACE, folder, executor="ray", address=address, engine="eager", yes=True)


if __name__ == "__main__":
    drive(*sys.argv[1:])

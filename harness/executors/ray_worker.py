"""What runs on a worker: one Tune trial for as long as the run lasts, which trains the packs it is sent."""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from harness.executors.quiet import prepare

prepare()

import ray
import torch
from ray import tune
from ray._private.state import state as cluster_state
from ray.exceptions import RayError

from harness.condition import Checkpoint, Pack
from harness.executors.base import SAVE_EVERY, Leaves, News, Outcome, attempt
from harness.executors.cluster import SearchPath, with_path

LOOK_AGAIN = 5.0
"""Seconds between looks at whether the node of a worker is about to go."""


@dataclass(frozen=True)
class How:
    """What a worker is told with every pack: where modules are looked for, the minutes between states."""

    device: str
    engine: str
    path: SearchPath
    save_every: float = SAVE_EVERY


class PackTrainable(tune.Trainable):
    """A worker."""

    def setup(self, config: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        self._node = ray.get_runtime_context().get_node_id()
        if config.get("device") == "cuda" and not torch.cuda.is_available():
            raise RuntimeError(f"torch sees no GPU on node {self._node}")
        self._looked = time.monotonic()

    def step(self) -> dict[str, Any]:
        """Tell the driver whom to send packs to; Tune asks for no further step."""
        return {"worker": ray.get_runtime_context().current_actor}

    def train_pack(self, pack: Pack, how: How, begun: Checkpoint | None) -> Iterator[News | Outcome | Leaves]:
        """What is heard of a pack while it trains, and last what came of it."""
        sys.path[:] = with_path(sys.path, how.path)
        yield (yield from attempt(pack, how.device, how.engine, begun, how.save_every, self.leaving))

    def leaving(self) -> bool:
        """Whether this node is about to go: its provider, or who drains it, has said so."""
        if time.monotonic() - self._looked < LOOK_AGAIN:
            return False
        self._looked = time.monotonic()
        with suppress(RayError):
            return self._node in cluster_state.get_draining_nodes()
        return False

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save: the driver keeps what a pack goes on from."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to load."""

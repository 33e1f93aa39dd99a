"""All packs in this process, one after the other."""

import torch

from harness.executors.base import Source, attempt


def run_serial(source: Source, device: str) -> None:
    """Train until the source has finished. One thread: at these sizes more are slower."""
    torch.set_num_threads(1)
    while not source.finished:
        pack = source.ask()
        if pack is None:
            raise RuntimeError("the plan waits for results, but none are out")
        source.done(pack, attempt(pack, device))

"""What an executor does: take packs from a source, train them, hand back what came of them."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch

from harness.condition import Pack, Result
from harness.training.loop import train


@dataclass(frozen=True)
class Failure:
    """A fault while training a pack: the last line names it, the whole is the traceback."""

    error: str

    @property
    def reason(self) -> str:
        """What went wrong, on one line: the traceback without its frames."""
        lines = [line for line in self.error.splitlines() if line and not line[0].isspace()]
        return " ".join(lines).removeprefix("Traceback (most recent call last): ")


class Source(Protocol):
    """Where packs come from and results go. Called from one thread of the driver only."""

    @property
    def finished(self) -> bool:
        """Nothing more will come."""

    def ask(self) -> Pack | None:
        """The next pack, or None while none is ready."""

    def done(self, pack: Pack, outcome: list[Result] | Failure) -> None:
        """What came of a pack."""


def attempt(pack: Pack, device: str) -> list[Result] | Failure:
    """Train a pack; a fault is returned, not raised, so that the run goes on.

    This is the one place that catches everything. Divergence never comes here: it is a result.
    """
    try:
        return train(pack, device)
    except Exception as error:
        if "vmap" in str(error) or "atching rule" in str(error):
            error.add_note(
                "If the model cannot be mapped by torch.func.vmap, set vectorizable = False on it."
            )
        return Failure(traceback.format_exc())


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: at these sizes more are slower. Leave torch as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

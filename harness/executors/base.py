"""What an executor does: take packs from a source, train them, hand back what came of them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

import torch

from harness.condition import Pack, Result
from harness.errors import one_line, text_of, whole
from harness.held import held, in_main_thread
from harness.training.loop import train
from harness.training.step import Eager

NOT_MAPPED = ("vmap", "atching rule")
"""What torch says of a model that torch.func.vmap cannot map."""


@dataclass(frozen=True)
class Failure:
    """A fault while training a pack: `reason` is one line, `error` the whole traceback if there is one."""

    reason: str
    error: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """The fault that an exception was."""
        return cls(one_line(error), whole(error))


class Source(Protocol):
    """Where packs come from and results go. Called from one thread of the driver only."""

    @property
    def finished(self) -> bool:
        """Nothing more will come."""

    def ask(self) -> Pack | None:
        """The next pack, or None while none is ready."""

    def done(self, pack: Pack, outcome: list[Result] | Failure) -> None:
        """What came of a pack."""


def attempt(pack: Pack, device: str, engine: str = Eager.name) -> list[Result] | Failure:
    """Train a pack; a fault is returned, not raised, so that the run goes on.

    This is the one place that catches everything, also what a user's class raises to end the process. Only
    what the handler of a signal raises goes through. Divergence never comes here: it is a result. The pack
    trains in float32, on one thread; what it changed of the process is put back, and where that could have
    changed its numbers, it has failed.
    """
    with held() as changed:
        outcome = _attempt(pack, device, engine)
    if changed and not isinstance(outcome, Failure):
        reason = f"what was trained changed {', '.join(changed)}; take that out: its numbers depend on it"
        return Failure(reason, reason)
    return outcome


def _attempt(pack: Pack, device: str, engine: str) -> list[Result] | Failure:
    with noted_signals() as received:
        try:
            return train(pack, device, engine)
        except BaseException as error:
            if received or (isinstance(error, KeyboardInterrupt) and not in_main_thread()):
                raise
            if any(said in text_of(error) for said in NOT_MAPPED):
                error.add_note(
                    "If the model cannot be mapped by torch.func.vmap, set vectorizable = False on it."
                )
            return Failure.of(error)


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Note which of SIGINT and SIGTERM come in the block; what answers them is as before.

    So a KeyboardInterrupt or SystemExit of the user's own code is told from Ctrl-C and from an end by Ray.
    `held` puts the handlers back.
    """
    received: list[int] = []
    if not in_main_thread():
        yield received
        return
    answers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        answers[signal.Signals(number)](number, frame)  # type: ignore[operator, misc]

    for number, answer in answers.items():
        if callable(answer):
            signal.signal(number, note)
    yield received


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: at these sizes more are slower. Leave torch as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

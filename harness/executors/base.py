"""What an executor does: take packs from a source, train them, hand back what came of them."""

import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Protocol

import torch

from harness.condition import Checkpoint, Pack, Result
from harness.errors import one_line, text_of, whole
from harness.held import held, in_main_thread
from harness.training.loop import blocks
from harness.training.step import Eager

NOT_MAPPED = ("vmap", "atching rule")
"""What torch says of a model that torch.func.vmap cannot map."""

NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")
"""What torch says, in a RuntimeError, of memory that it did not get."""

MOST_CAUSES = 10
"""Exceptions that are looked at of those that led to one: such a chain may be a circle."""

SAVE_EVERY = 5.0
"""Minutes of training after which the state of a pack is kept, so that no more is ever lost."""

LEAST_BETWEEN = 100
"""How many times as long as taking a state took a pack trains before the next: it costs at most 1 %."""

HANG_AFTER = 10.0
"""Minutes without a finished block after which a pack counts as hanging, if its blocks are short."""

MEASURING = 10.0
"""How many times the usual silence may follow the last block: probes are taken then."""

BEAT_EVERY = 5.0
"""Seconds of training after which a sign of life is due."""


@dataclass(frozen=True)
class Failure:
    """A fault while training a pack: `reason` is one line, `error` the whole traceback if there is one.

    `divisible` says that smaller packs may do without it: it took too much memory, or it is not known which
    of its trials ended the worker.
    """

    reason: str
    error: str
    divisible: bool = False

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """The fault that an exception was."""
        return cls(one_line(error), whole(error))


Outcome = list[Result] | Failure
"""What comes of a pack: a result for each of its trials, or the fault of all."""


@dataclass(frozen=True)
class Beat:
    """A sign of life of a pack that trains; `patience` is how many times the usual silence may follow."""

    patience: float = 1.0


@dataclass(frozen=True)
class Leaves:
    """What comes of a pack whose node is about to go: its state was given, and it can go on elsewhere."""


@dataclass(frozen=True)
class Load:
    """What trains at the moment, and what waits for what.

    `places` is how many packs the `nodes` can train at once, with their `gpus` if these train. `training` is
    how many they do. `waiting` packs wait for a place, and `starting` workers for a node or for their start.
    """

    nodes: int
    gpus: int
    places: int
    training: int
    waiting: int
    starting: int


class Hangs(BaseException):
    """A pack has been silent for too long; what trains does not catch it by mistake."""


News = Checkpoint | Beat
"""What is heard of a pack that trains: a state that it can go on from, or that it lives."""


class Source(Protocol):
    """Where packs come from and results go.

    `finished`, `waiting`, `ask`, `done` and `works` are called from one thread of the driver only, the others
    from the thread that hears of the pack.
    """

    @property
    def finished(self) -> bool:
        """Nothing more will come."""

    def ask(self) -> Pack | None:
        """The next pack, or None while none is ready."""

    def done(self, pack: Pack, outcome: Outcome) -> None:
        """What came of a pack."""

    @property
    def waiting(self) -> int:
        """How many packs could be asked for at once."""
        return 0

    def works(self, load: Load) -> None:
        """How much of what there is trains; told every few seconds, where packs train elsewhere."""

    def patience(self, pack: Pack) -> float:  # noqa: ARG002 - the same for every pack
        """Seconds without a sign of life after which a pack counts as hanging."""
        return 60 * HANG_AFTER

    def begun(self, pack: Pack) -> Checkpoint | None:  # noqa: ARG002 - a source that keeps nothing
        """The state that a pack goes on from, if one is kept."""
        return None

    def keep(self, pack: Pack, state: Checkpoint) -> None:
        """Keep the state of a pack that trains, in place of an earlier one."""


def attempt(
    pack: Pack,
    device: str,
    engine: str = Eager.name,
    begun: Checkpoint | None = None,
    save_every: float = SAVE_EVERY,
    leaving: Callable[[], bool] = lambda: False,
) -> Generator[News, None, Outcome | Leaves]:
    """Train a pack, from the state `begun` if there is one; a fault is returned, not raised.

    Every `save_every` minutes it yields the pack's state, and every few seconds a beat. When `leaving` says
    that this process is about to be ended, it yields the state and returns Leaves. This is the one place that
    catches everything, also what a user's class raises to end the process. Only what the handler of a signal
    raises goes through. Divergence never comes here: it is a result. The pack trains in float32, on one
    thread; what it changed of the process is put back, and where that could have changed its numbers, it has
    failed.
    """
    with held() as changed:
        outcome = yield from _attempt(pack, device, engine, begun, Pace(save_every), leaving)
    if changed and not isinstance(outcome, Failure):
        reason = f"what was trained changed {', '.join(changed)}; take that out: its numbers depend on it"
        return Failure(reason, reason)
    return outcome


def _attempt(
    pack: Pack,
    device: str,
    engine: str,
    begun: Checkpoint | None,
    pace: "Pace",
    leaving: Callable[[], bool],
) -> Generator[News, None, Outcome | Leaves]:
    with noted_signals() as received:
        training = None
        while True:
            try:
                training = training or blocks(pack, device, engine, begun)
                at_block = next(training)
                leaves = not at_block.finished and leaving()
                state = at_block.state() if pace.save_due() or leaves else None
            except StopIteration as end:
                results: list[Result] = end.value
                return results
            except BaseException as error:
                stopped = isinstance(error, KeyboardInterrupt) and not in_main_thread()
                if received or stopped or isinstance(error, Hangs):
                    raise
                return fault_of(error)
            if state is not None:
                yield state
                pace.saved()
            if leaves:
                return Leaves()
            if at_block.finished:
                yield Beat(MEASURING)
            elif pace.beat_due():
                yield Beat()


def hanging(seconds: float) -> Failure:
    """The fault of a pack from which nothing was heard for so long."""
    reason = f"it hangs: no block of updates was finished within {seconds / 60:.3g} min (hang_after)"
    return Failure(reason, reason, divisible=True)


def fault_of(error: BaseException) -> Failure:
    """The fault that an exception of a training was, with what helps to mend it."""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
        error = error.__cause__  # what a generator makes of it
    if any(words in text_of(error) for words in NOT_MAPPED):
        error.add_note("If the model cannot be mapped by torch.func.vmap, set vectorizable = False on it.")
    return replace(Failure.of(error), divisible=any(map(lacked_memory, led_to(error))))


def led_to(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that led to it, the nearest first; no more than a few."""
    led: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if led is None:
            return
        yield led
        led = led.__cause__ or led.__context__


def lacked_memory(error: BaseException) -> bool:
    """Whether an exception says that there was too little memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in text_of(error) for words in NO_MEMORY)


class Pace:
    """When a pack that trains is to say something: its state every so many minutes, or that it lives."""

    def __init__(self, save_every: float) -> None:
        self._save_every = 60 * save_every
        self._said = self._saved = self._asked = time.monotonic()
        self._took = 0.0

    def save_due(self) -> bool:
        """Whether the state is due; not before LEAST_BETWEEN times as long as taking it took."""
        self._asked = time.monotonic()
        return self._asked - self._saved >= max(self._save_every, LEAST_BETWEEN * self._took)

    def saved(self) -> None:
        """The state that was due has been taken and sent."""
        self._said = self._saved = time.monotonic()
        self._took = self._saved - self._asked

    def beat_due(self) -> bool:
        """Whether a beat is due; it counts as given."""
        due = self._asked - self._said >= BEAT_EVERY
        self._said = self._asked if due else self._said
        return due


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

"""All packs in this process, one after the other."""

import math
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import FrameType

from harness.condition import Checkpoint, Pack
from harness.executors.base import SAVE_EVERY, Beat, Hangs, Outcome, Source, attempt, hanging, one_thread
from harness.held import in_main_thread


def run_serial(source: Source, device: str, engine: str, save_every: float = SAVE_EVERY) -> None:
    """Train until the source has finished; every `save_every` minutes the state of the pack is kept."""
    with one_thread():
        while not source.finished:
            pack = source.ask()
            if pack is None:
                raise RuntimeError("the plan waits for results, but none are out")
            source.done(pack, train_here(source, pack, device, engine, save_every))


def train_here(source: Source, pack: Pack, device: str, engine: str, save_every: float) -> Outcome:
    """What comes of a pack; one that hangs in Python code is ended, one that hangs in C code is not."""
    usual = patience = source.patience(pack)
    with closing(attempt(pack, device, engine, source.begun(pack), save_every)) as training:
        while True:
            try:
                with at_most(patience):
                    news = next(training)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            except Hangs:
                return hanging(patience)
            patience = usual * (news.patience if isinstance(news, Beat) else 1)
            if isinstance(news, Checkpoint):
                source.keep(pack, news)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise Hangs in the block after so many seconds.

    Not where that cannot be: in another thread than the main one, and where the caller's own alarm is set.
    """
    own_alarm = signal.getitimer(signal.ITIMER_REAL) != (0, 0)
    if not in_main_thread() or math.isinf(seconds) or own_alarm:
        yield
        return

    def hangs(_number: int, _frame: FrameType | None) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, hangs)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

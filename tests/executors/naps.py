"""Packs that sleep instead of training, and a source of them: scheduling alone is tested."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.executors import base
from harness.executors.base import Failure, Source


@dataclass(frozen=True)
class Nap:
    """A pack that sleeps. It kills its worker so many times before, counted by files in a folder."""

    number: int
    seconds: float = 0.1
    kills: int = 0
    marks: str = ""

    @property
    def pack_id(self) -> str:
        return str(self.number)

    @property
    def trials(self) -> tuple[int, ...]:
        return (self.number,)

    def __reduce__(self):
        return arrived, (self.number, self.seconds, self.kills, self.marks)


def arrived(*fields: Any) -> Nap:
    """A nap that another process sent here: from now on this one sleeps instead of training."""
    base.blocks = nap
    return Nap(*fields)


@dataclass(frozen=True)
class Rested:
    """What comes of a nap: which process of which node slept, from when to when."""

    process: int
    node: str
    begun: float
    ended: float


def nap(pack: Nap, *how: Any) -> Iterator[None]:
    """Instead of the blocks of a training: one that is over when the pack has slept."""
    from ray import get_runtime_context

    begun = time.time()
    for number in range(pack.kills):
        mark = Path(pack.marks, f"{pack.number}-{number}")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(pack.seconds)
    return Rested(os.getpid(), get_runtime_context().get_node_id(), begun, time.time())
    yield


class Naps(Source):
    """A source of naps, which remembers what came of them, and calls `heard` after each."""

    def __init__(self, naps: list[Nap], heard: Callable[["Naps"], object] = lambda _: None) -> None:
        self._left = list(naps)
        self._out: set[int] = set()
        self._heard = heard
        self.rested: dict[int, Rested] = {}
        self.failures: dict[int, Failure] = {}

    @property
    def finished(self) -> bool:
        return not self._left and not self._out

    def ask(self) -> Nap | None:
        if not self._left:
            return None
        pack = self._left.pop(0)
        self._out.add(pack.number)
        return pack

    def done(self, pack: Nap, outcome: Rested | Failure) -> None:
        self._out.remove(pack.number)
        known = self.failures if isinstance(outcome, Failure) else self.rested
        assert pack.number not in {*self.failures, *self.rested}, "twice"
        known[pack.number] = outcome
        self._heard(self)

    def processes(self) -> set[int]:
        return {rested.process for rested in self.rested.values()}

    def nodes(self) -> set[str]:
        return {rested.node for rested in self.rested.values()}


@dataclass(frozen=True)
class Crowd:
    """A pack of several trials, which are numbers."""

    trials: tuple[int, ...]

    @property
    def pack_id(self) -> str:
        return str(self.trials)

    @property
    def number(self) -> tuple[int, ...]:
        return self.trials


class Crowds(Naps):
    """A source of crowds, which divides those that it is told to."""

    def done(self, pack: Crowd, outcome: list | Failure) -> None:
        if isinstance(outcome, Failure) and outcome.divisible and len(pack.trials) > 1:
            middle = len(pack.trials) // 2
            self._out.remove(pack.number)
            self._left[:0] = [Crowd(pack.trials[:middle]), Crowd(pack.trials[middle:])]
        else:
            super().done(pack, outcome)

"""What follows a run while it goes on: progress bars, summaries, pages.

class Counter(Listener):
    def done(self, pack, outcome):
        print(pack, "failed" if isinstance(outcome, Failure) else [result.outcome for result in outcome])
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.condition import Pack, Result
from harness.executors.base import Failure, Load
from harness.planning.cost import Workload
from harness.planning.space import Space


@dataclass(frozen=True, kw_only=True)
class Start:
    """What is to be done when a run starts.

    `folder` holds the results. `recorded` is the number of trials in it. `left` is the number of trials still
    to be trained, by task, model and length. `may_grow` says whether there may be more: where a range of
    learning rates grows, or seeds are added. `notes` has a line for each thing worth knowing, such as models
    that run eagerly, and what models named by import path were found to have. `repaired` has a line for each
    kind of thing in the folder that was no sound part of it, and was set aside or made again.
    """

    space: Space
    folder: Path | str
    recorded: int
    left: Mapping[Workload, int]
    may_grow: bool = False
    notes: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Trials of the whole space, recorded or not, as far as they are known."""
        return self.recorded + sum(self.left.values())


class Listener(Protocol):
    """Follows a run. Subclass it and define what you need: each method does nothing by default.

    All methods are called in the thread that called `run_space`. A listener that raises an Exception is not
    called again, except for `closed`; the run goes on, and the exception is raised at its end. A listener
    that raises KeyboardInterrupt stops the run as Ctrl-C does.
    """

    def started(self, start: Start) -> None:
        """Everything is checked, and training begins."""

    def done(self, pack: Pack, outcome: list[Result] | Failure) -> None:
        """What came of a pack is recorded: a result for each of its trials, or the fault of all."""

    def grew(self, more: Mapping[Workload, int]) -> None:
        """Trials that were not known before are to be trained: a range of rates grew, or seeds were added."""

    def divided(self, pack: Pack, failure: Failure) -> None:
        """A pack met a fault, such as too little memory; its trials are tried again, in two packs of half."""

    def works(self, load: Load) -> None:
        """How much of what there is trains at the moment, every few seconds on Ray."""

    def closed(self, error: BaseException | None) -> None:
        """The run is over; `error` is what ended it early (KeyboardInterrupt for Ctrl-C), or None."""


class Audience:
    """All listeners of a run; what one of them raises reaches neither the run nor the others."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._all = list(listeners)
        self._attentive = list(self._all)
        self.error: Exception | None = None  # the first that a listener raised

    @contextmanager
    def following(self, start: Start) -> Iterator[None]:
        """Tell every listener that the run starts, and in any case that it is over."""
        try:
            self._tell(lambda listener: listener.started(start))
            yield
        except BaseException as error:
            self._close(error)
            raise
        self._close(None)

    def done(self, pack: Pack, outcome: list[Result] | Failure) -> None:
        """Tell every listener that has not raised."""
        self._tell(lambda listener: listener.done(pack, outcome))

    def grew(self, more: Mapping[Workload, int]) -> None:
        """Tell every listener that has not raised."""
        self._tell(lambda listener: listener.grew(more))

    def divided(self, pack: Pack, failure: Failure) -> None:
        """Tell every listener that has not raised."""
        self._tell(lambda listener: listener.divided(pack, failure))

    def works(self, load: Load) -> None:
        """Tell every listener that has not raised."""
        self._tell(lambda listener: listener.works(load))

    def _close(self, error: BaseException | None) -> None:
        self._attentive = list(self._all)
        self._tell(lambda listener: listener.closed(error))

    def _tell(self, call: Callable[[Listener], None]) -> None:
        for listener in list(self._attentive):
            try:
                call(listener)
            except Exception as error:  # a user's listener may raise anything; results come first
                self._attentive.remove(listener)
                self.error = self.error or error

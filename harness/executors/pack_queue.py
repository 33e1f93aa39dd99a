"""The queue between the driver and its workers: packs go out, outcomes come back, lost packs go out again."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from queue import Empty, SimpleQueue

from harness.condition import Checkpoint, Pack, Trial
from harness.executors.base import Failure, Outcome, Source

LOOK_EVERY = 5.0
"""Seconds between looks at what trains."""

LINGER = 60.0
"""Seconds without a pack after which a worker gives its place back, if others will do."""

TRIES = 2
"""How often a pack may lose its worker on the way to one state before its trials are tried by halves."""

TRIES_ALONE = 6
"""How often a trial may, with others and alone, before it counts as what ends its workers."""

NODES_LOST = 10
"""How often the node of a pack's worker may go away, which is taken to be no fault of the pack."""


class PackQueue:
    """Packs of a source for workers that each have a thread of this process.

    `serve` runs in the driver's thread, and only it calls the source. All other methods may be called from
    any thread. `slots` says how many workers there may be: so many packs are kept ready. `look` is called
    every few seconds in the driver's thread.
    """

    def __init__(
        self, source: Source, slots: Callable[[], int], look: Callable[[], object] = lambda: None
    ) -> None:
        self._source = source
        self._slots = slots
        self._look = look
        self._out = 0  # packs asked for that the source was not told of
        self._changed = threading.Condition()  # guards the next three
        self._ready: deque[Pack] = deque()
        self._training = 0
        self._waiting = 0  # packs that could be asked for
        self._looked = time.monotonic()
        self._over = False
        self._losses: Counter[str] = Counter()  # by pack_id, since the pack came as far as it has
        self._nodes_lost: Counter[str] = Counter()  # by pack_id
        self._lost_with: Counter[Trial] = Counter()
        self._reached: dict[str, int] = {}  # the step of its state, by pack_id
        self._came_back: SimpleQueue[tuple[Pack, Outcome] | BaseException | None] = SimpleQueue()
        self._no_workers: Failure | None = None

    def serve(self) -> None:
        """Ask the source for packs, and tell it what came of them, until it has finished.

        Raises what the source raises, and what `break_down` was given.
        """
        while not self._source.finished:
            self.fill()
            if not self._out:
                raise RuntimeError("the plan waits for results, but none are out")
            for pack, outcome in self._back():
                self._source.done(pack, outcome)
                self._out -= 1
            if time.monotonic() - self._looked > LOOK_EVERY:
                self._look()
                self._looked = time.monotonic()

    def fill(self) -> None:
        """Ask for as many packs as could be started at once."""
        while len(self._ready) < self._slots() and (pack := self._source.ask()) is not None:
            self._out += 1
            with self._changed:
                self._ready.append(pack)
                self._changed.notify()
        self._waiting = self._source.waiting

    def _back(self) -> list[tuple[Pack, Outcome]]:
        """Wait a while for the next outcome; where no worker can be started, every pack has one."""
        if self._no_workers is not None:
            with self._changed:
                packs = list(self._ready)
                self._ready.clear()
            return [(pack, self._no_workers) for pack in packs]
        try:
            back = self._came_back.get(timeout=LOOK_EVERY)
        except Empty:
            return []
        if isinstance(back, BaseException):
            raise back
        return [] if back is None else [back]

    def take(self, spare: Callable[[], bool] = lambda: False) -> Pack | None:
        """Wait for the next pack; None when the run is over, or after a while when `spare` says so."""
        with self._changed:
            while not self._changed.wait_for(lambda: self._ready or self._over, LINGER):
                if spare():
                    return None
            if self._over:
                return None
            self._training += 1
            return self._ready.popleft()

    def begun(self, pack: Pack) -> Checkpoint | None:
        """The state that a pack that was taken goes on from."""
        return self._source.begun(pack)

    def keep(self, pack: Pack, state: Checkpoint) -> None:
        """Keep how far a pack has come; if it is further than before, it has all its tries again."""
        self._source.keep(pack, state)
        step, name = state.metadata["step"], pack.pack_id
        if step > self._reached.get(name, 0):
            self._reached[name] = step
            self._losses[name] = 0

    def patience(self, pack: Pack) -> float:
        """Seconds without a sign of life after which a pack counts as hanging."""
        return self._source.patience(pack)

    def hand_back(self, pack: Pack, outcome: Outcome) -> None:
        """What came of a pack that was taken."""
        with self._changed:
            self._training -= 1
        self._came_back.put((pack, outcome))

    def lose(self, pack: Pack, failure: Failure, node_lost: bool = False) -> None:
        """The worker of a pack is gone: another one is next to try it, or it has failed with this.

        A pack of several trials that fails so is divisible: one of them may be at fault. A node that went
        away is nobody's fault, for a while.
        """
        name, alone = pack.pack_id, len(pack.trials) == 1
        if node_lost:
            self._nodes_lost[name] += 1
        else:
            self._losses[name] += 1
            self._lost_with.update(pack.trials)
        known = TRIES_ALONE if alone else 0  # losses that its trials must have seen
        given_up = self._losses[name] >= TRIES and self._lost_with[pack.trials[0]] >= known
        hopeless = self._nodes_lost[name] >= NODES_LOST or self._no_workers is not None or failure.divisible
        if given_up or hopeless:
            self.hand_back(pack, replace(failure, divisible=not alone))
        else:
            self.put_back(pack)

    def put_back(self, pack: Pack) -> None:
        """A pack that was taken was not begun: it is the next to be."""
        with self._changed:
            self._training -= 1
            self._ready.appendleft(pack)
            self._changed.notify()

    def useful(self) -> int:
        """How many workers have something to do: packs that train, are ready, or could be."""
        with self._changed:
            return self._waiting + len(self._ready) + self._training

    def counts(self) -> tuple[int, int]:
        """How many packs train, and how many wait for a worker."""
        with self._changed:
            return self._training, self._waiting + len(self._ready)

    def no_workers(self, failure: Failure) -> None:
        """No worker can be started: every pack that is ready, and every later one, has failed with this."""
        self._no_workers = failure
        self._came_back.put(None)

    def break_down(self, error: BaseException) -> None:
        """What the workers run on is gone: `serve` raises this."""
        self._came_back.put(error)

    def close(self) -> None:
        """The run is over: whoever waits for a pack gets None."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    @property
    def over(self) -> bool:
        """Whether the run is over."""
        return self._over

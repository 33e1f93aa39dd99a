"""The workers of a run: when to start one more, and a thread of this process that serves each."""

import threading
import time
from collections.abc import Callable
from typing import Any

from harness.condition import Pack
from harness.executors import pack_queue
from harness.executors.base import Failure, Outcome
from harness.executors.pack_queue import PackQueue

PATIENCE = 10.0
"""Seconds that a thread has to end in."""

STARTS = 3
"""How often a place tries to start a worker."""

IDLE = 1.0
"""Seconds without a pack after which a worker is asked whether it still lives."""


class WorkerLost(Exception):
    """A worker died with its pack; `failure` is what the pack has failed with if it is not tried again.

    `node_lost` says that the worker's whole node went away.
    """

    def __init__(self, failure: Failure, node_lost: bool = False) -> None:
        super().__init__(failure.reason)
        self.failure = failure
        self.node_lost = node_lost


class Slots:
    """Places for workers. A worker has the name of the Tune trial that it is.

    `limit` says how many may be asked for, `fit` how many can be up at once. `train` sends a pack to a worker
    and waits for what comes of it, or raises WorkerLost. `alive` asks a worker that was idle. `end` ends a
    worker, whatever it does.
    """

    def __init__(
        self,
        queue: PackQueue,
        limit: Callable[[], int],
        fit: Callable[[], int],
        train: Callable[[Any, Pack], Outcome],
        alive: Callable[[Any], bool],
        end: Callable[[Any], None],
    ) -> None:
        self.queue = queue
        self.changed = threading.Event()  # a worker is gone, or the run is over
        self.gone: set[str] = set()  # lost, and still a trial of Tune's
        self._limit = limit
        self._fit = fit
        self._train = train
        self._alive = alive
        self._end = end
        self._starting: dict[str, float] = {}  # since when
        self._workers: dict[str, Any] = {}
        self._given_up: set[str] = set()
        self._leaving = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._failed_starts: list[Failure] = []  # since a worker last was up

    @property
    def starting(self) -> bool:
        """Whether some worker will soon be up that is not yet."""
        return bool(self._starting) and len(self._workers) < self._fit()

    def counts(self) -> tuple[int, int]:
        """How many workers are up, and how many have been asked for and are not."""
        return len(self._workers), len(self._starting)

    def open(self, name: str) -> bool:
        """Whether to start one more worker: there is a place and a pack for it.

        A place has its tries. When none is left, and no worker, every pack fails as the last start did.
        """
        places = self._limit() - len(self._failed_starts) // STARTS
        there = len(self._starting) + len(self._workers)
        if places <= 0 and not there:
            self.queue.no_workers(self._failed_starts[-1])
        if there >= min(places, self.queue.useful()):
            return False
        self._starting[name] = time.monotonic()
        return True

    def give_up(self, name: str) -> bool:
        """Whether to wait no longer for a worker that nobody needs any more; it is forgotten then."""
        since = self._starting.get(name)
        if since is None or time.monotonic() - since < pack_queue.LINGER or not self._spare():
            return False
        del self._starting[name]
        self._given_up.add(name)
        return True

    def _spare(self) -> bool:
        """Whether there are more workers than packs for them; those that are not up yet go first."""
        return len(self._starting) + len(self._workers) > self.queue.useful()

    def up(self, name: str, worker: Any) -> None:
        """A worker is up: serve it."""
        if name in self._given_up:
            return
        self._workers[name] = worker
        self._starting.pop(name, None)
        self._failed_starts.clear()
        thread = threading.Thread(target=self._serve, args=(name, worker), daemon=True)
        self._threads.append(thread)
        thread.start()

    def failed_to_start(self, name: str, failure: Failure) -> None:
        """A worker ended before it was up."""
        self._failed_starts.append(failure)
        self._starting.pop(name, None)

    def _serve(self, name: str, worker: Any) -> None:
        idle_since = time.monotonic()
        while (pack := self.queue.take(self._leave(name))) is not None:
            if time.monotonic() - idle_since > IDLE and not self._alive(worker):
                self.queue.put_back(pack)  # it died while it had none
                break
            try:
                self.queue.hand_back(pack, self._train(worker, pack))
            except WorkerLost as lost:
                self.queue.lose(pack, lost.failure, lost.node_lost)
                break
            except BaseException as error:
                self.queue.break_down(error)
                break
            idle_since = time.monotonic()
        self.gone.add(name)
        self._workers.pop(name, None)
        self.changed.set()

    def _leave(self, name: str) -> Callable[[], bool]:
        """Whether the worker is to give its place back; it counts as gone then."""

        def leave() -> bool:
            with self._leaving:
                return self._spare() and self._workers.pop(name, None) is not None

        return leave

    def close(self, end: bool = True) -> None:
        """End every worker, also one that trains, and every thread; without `end` there are none left."""
        self.queue.close()
        self.changed.set()
        for worker in list(self._workers.values()) if end else []:
            self._end(worker)
        deadline = time.monotonic() + (PATIENCE if end else 0)
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))

"""The workers of a run: when to start one more, and a thread of this process that serves each."""

import threading
from collections.abc import Callable
from typing import Any

from harness.condition import Pack
from harness.executors.base import Failure
from harness.executors.pack_queue import LOST_WORKER_RETRIES, Outcome, PackQueue

PATIENCE = 10.0
"""Seconds that a thread has to end in."""


class WorkerLost(Exception):
    """A worker died with its pack; `failure` is what the pack has failed with if it is not tried again."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Slots:
    """Places for workers. A worker has the name of the Tune trial that it is.

    `limit` says how many there may be. `train` sends a pack to a worker and waits for what comes of it, or
    raises WorkerLost. `end` ends a worker, whatever it does.
    """

    def __init__(
        self,
        queue: PackQueue,
        limit: Callable[[], int],
        train: Callable[[Any, Pack], Outcome],
        end: Callable[[Any], None],
    ) -> None:
        self.queue = queue
        self.changed = threading.Event()  # a worker is gone, or the run is over
        self.gone: set[str] = set()  # lost, and still a trial of Tune's
        self._limit = limit
        self._train = train
        self._end = end
        self._starting: set[str] = set()
        self._workers: dict[str, Any] = {}
        self._threads: list[threading.Thread] = []
        self._failed_starts = 0

    @property
    def starting(self) -> bool:
        """Whether some worker has been asked for and is not up yet."""
        return bool(self._starting)

    def open(self, name: str) -> bool:
        """Whether to start one more worker: there is a place and a pack for it."""
        retired = self._failed_starts // (LOST_WORKER_RETRIES + 1)
        wanted = min(self._limit() - retired, self.queue.useful())
        if len(self._starting) + len(self._workers) >= wanted:
            return False
        self._starting.add(name)
        return True

    def up(self, name: str, worker: Any) -> None:
        """A worker is up: serve it."""
        self._workers[name] = worker
        self._starting.discard(name)
        thread = threading.Thread(target=self._serve, args=(name, worker), daemon=True)
        self._threads.append(thread)
        thread.start()

    def failed_to_start(self, name: str, failure: Failure) -> None:
        """A worker ended before it was up. Where every place has had its tries, all packs fail with this."""
        self._starting.discard(name)
        self._failed_starts += 1
        if not self._workers and self._failed_starts >= (LOST_WORKER_RETRIES + 1) * self._limit():
            self.queue.no_workers(failure)

    def _serve(self, name: str, worker: Any) -> None:
        while (pack := self.queue.take()) is not None:
            try:
                self.queue.hand_back(pack, self._train(worker, pack))
            except WorkerLost as lost:
                self.queue.lose(pack, lost.failure)
                break
            except BaseException as error:
                self.queue.break_down(error)
                break
        self.gone.add(name)
        del self._workers[name]
        self.changed.set()

    def close(self) -> None:
        """End every worker, also one that is training, and every thread."""
        self.queue.close()
        self.changed.set()
        for worker in list(self._workers.values()):
            self._end(worker)
        for thread in self._threads:
            thread.join(PATIENCE)

"""Faults at chosen points of a run in this process: the n-th of all its events fails in a chosen way.

Events are a step of training or of the driver, and every call that changes a file of the results: one event
before it, one after. They are counted from the start of a run, so the same number is the same point.
"""

import errno
import os
import signal
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from harness.driver.driver import Driver
from harness.training.loop import Training

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT, errno.ENOENT)
"""What a storage call may answer: full, broken, read-only, over quota, gone."""

KINDS = ("kill", "terminate", "storage error")
"""How an event fails: SIGKILL, SIGTERM, or an error of the next storage call."""

CHANGES = ("replace", "rename", "unlink", "mkdir", "rmdir", "link", "symlink", "truncate")
"""Functions of `os` that change the folder that their first argument lies in."""


class Injected(OSError):
    """An error that a storage call was made to raise."""


class Faults:
    """Counts the events of a run; at number `at`, from 1, the fault happens. With `at` 0 none does."""

    def __init__(self, folder: Path, kind: str, at: int, error: int) -> None:
        self._folder = str(folder.resolve())
        self._kind, self._at, self._error = kind, at, error
        self.events = 0

    def install(self) -> None:
        """Hook into this process, which from then on is good for one run."""
        for owner, name in ((Training, "advance"), (Driver, "ask"), (Driver, "done")):
            setattr(owner, name, self._counted(getattr(owner, name), lambda *_: True, storage=False))
        for name in CHANGES:
            setattr(os, name, self._counted(getattr(os, name), self._inside, storage=True))
        os.fsync = self._counted(os.fsync, self._open_inside, storage=True)

    def _counted(
        self, call: Callable[..., Any], counts: Callable[..., bool], storage: bool
    ) -> Callable[..., Any]:
        @wraps(call)
        def counted(*arguments: Any, **named: Any) -> Any:
            if not counts(*arguments):
                return call(*arguments, **named)
            self._event(storage)
            found = call(*arguments, **named)
            self._event(False)
            return found

        return counted

    def _event(self, storage: bool) -> None:
        self.events += 1
        if self._at == 0 or self.events < self._at:
            return
        if self._kind == "storage error":
            if storage:
                self._at = 0
                raise Injected(self._error, os.strerror(self._error))
        else:
            self._at = 0
            os.kill(os.getpid(), signal.SIGKILL if self._kind == "kill" else signal.SIGTERM)

    def _inside(self, path: Any, *_others: Any) -> bool:
        if isinstance(path, int):
            return self._open_inside(path)
        return os.path.abspath(os.fsdecode(path)).startswith(self._folder)  # noqa: PTH100

    def _open_inside(self, file: Any) -> bool:
        number = file if isinstance(file, int) else file.fileno()
        return os.readlink(f"/proc/self/fd/{number}").startswith(self._folder)  # noqa: PTH115

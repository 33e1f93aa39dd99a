"""Says what is being done with a class, and that the class left the process as it was."""

import contextlib
import faulthandler
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from harness.driver.tryout import process
from harness.driver.tryout.same import Impure

SAID, STACK, ERRORS = "said.jsonl", "stack.txt", "errors.txt"
"""Files of a child's folder: what it says, where it was when it ended, and why Python did not start."""


class Watch:
    """Tells the driver, in a folder, what is being done. Without a folder nothing is told."""

    def __init__(self, folder: Path | None, limit: float) -> None:
        """`limit` is the seconds that a class may take for one thing."""
        self._folder = folder
        self._limit = limit
        self._pid = os.getpid()
        self._stack: TextIO | None = None
        if folder is not None:
            self._stack = (folder / STACK).open("w")
            faulthandler.enable(self._stack)

    def say(self, **words: Any) -> None:
        """Add a line for the driver; a process that a class has forked off says nothing."""
        if self._folder is not None and os.getpid() == self._pid:
            with (self._folder / SAID).open("a", encoding="utf-8") as file:
                file.write(json.dumps(words) + "\n")

    @contextlib.contextmanager
    def doing(self, who: str, what: str, times: int = 1) -> Iterator[None]:
        """Do something of a class that may take `limit` seconds, or a multiple of it.

        Raises Impure if it changed the process, be it with an exception or without.
        """
        self._begin(who, what, self._limit * times)
        before = process.snapshot()
        try:
            yield
        finally:
            found = process.changes(before, process.snapshot())
            if found:
                raise Impure(
                    f"{who} changes {', '.join(found)} in {what}; the whole process would go on with it"
                )

    def _begin(self, who: str, what: str, limit: float) -> None:
        self.say(who=who, what=what, limit=limit)
        if self._stack is not None:
            faulthandler.dump_traceback_later(limit, file=self._stack)

"""Interruptions: what is being written is finished first, and SIGTERM counts as Ctrl-C.

Python delivers signals to the main thread only. In any other thread these blocks do nothing.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from harness.held import in_main_thread


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let what is being written be finished: Ctrl-C and SIGTERM count after the block."""
    if not in_main_thread():
        yield
        return
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Take SIGTERM, as batch systems send it, like Ctrl-C."""
    if not in_main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

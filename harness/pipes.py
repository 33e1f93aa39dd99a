"""Standard streams that end early: `python -m harness.run --list | head` is no error.

Whoever reads a pipe may go, and a shell may start a command without standard output (`>&-`).
"""

import functools
import os
import sys
from collections.abc import Sequence
from typing import IO, Protocol

READER_GONE = 141
"""Exit code of a command that said something to nobody: 128 + SIGPIPE, as a shell has it."""


class Main(Protocol):
    """A command line: from its arguments, by default the process's own, to its exit code."""

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        """Run it."""


def with_streams(main: Main) -> Main:
    """Let a command line end quietly where its reader has gone, and work where a stream is closed."""

    @functools.wraps(main)
    def guarded(argv: Sequence[str] | None = None) -> int:
        open_closed_streams()
        try:
            try:
                return main(argv)
            finally:
                if sys.stdout is not None:  # None: `analysis.command_line.say` met a reader that has gone
                    sys.stdout.flush()
        except BrokenPipeError:
            silence(sys.stdout)
            silence(sys.stderr)
            return READER_GONE

    return guarded


def open_closed_streams() -> None:
    """Point closed standard streams at nothing: else the next file opened takes the place of one."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115


def silence(stream: IO[str]) -> None:
    """Let what is still written to a stream go nowhere."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), stream.fileno())

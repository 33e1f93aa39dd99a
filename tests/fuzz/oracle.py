"""What a command may answer, whatever it is given: the one oracle of all fuzzing, and a count of the inputs.

A command ends with exit code 0, 1 or 2, or with argparse's own refusal. It never lets an exception out, never
prints a traceback, says what is wrong in a few bounded printable lines, and ends in bounded time and memory.
"""

import contextlib
import io
import itertools
import json
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.errors import one_line

CPU_SECONDS, WALL_SECONDS = 10, 120
"""A command that takes more processor time, or waits longer, hangs."""

MEMORY = 4 << 30
"""Bytes that a command may allocate."""

LINES, WIDTH = 12, 1_000
"""Lines of standard error, and characters of a line, that a person reads."""


class Hang(BaseException):
    """A command took too long; no `except Exception` stops it."""


@dataclass(frozen=True)
class Answer:
    """What a command did: its exit code, or the exception that left it, and what it wrote."""

    code: int | None
    error: BaseException | None
    out: str
    err: str

    @property
    def refused(self) -> bool:
        """Nothing was done."""
        return self.code == 2

    @property
    def said(self) -> str:
        """Everything it wrote."""
        return self.out + self.err


Main = Callable[[Sequence[str]], int]
"""A command line: its arguments to its exit code."""


def call(main: Main, argv: Sequence[str]) -> Answer:
    """Call a command line in this process, as its own process would be: bounded, captured, undone."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        with kept_state(), captured(out, "strict"), captured(err, "backslashreplace", "stderr"):
            code, error = ended(main, argv)
        said = [path.read_bytes().decode("utf-8", "replace") for path in (out, err)]
    return Answer(code, error, *said)


def ended(main: Main, argv: Sequence[str]) -> tuple[int | None, BaseException | None]:
    """The exit code of a command, or what left it. argparse may exit by itself, nobody else."""
    try:
        with bounded():
            return main(list(argv)), None
    except SystemExit as error:
        files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        own = error.code in (0, 2) and any(Path(file).name == "argparse.py" for file in files)
        return (int(error.code or 0), None) if own else (None, error)
    except BaseException as error:  # noqa: BLE001
        return None, error


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Raise Hang in this thread when the block takes too long, and let it allocate only so much."""
    over, here = threading.Event(), threading.get_ident()
    begun = time.process_time(), time.monotonic()

    def watch() -> None:
        while not over.wait(0.2):
            if time.process_time() - begun[0] > CPU_SECONDS or time.monotonic() - begun[1] > WALL_SECONDS:
                signal.pthread_kill(here, signal.SIGUSR2)
                over.wait(5)

    before = signal.signal(signal.SIGUSR2, hang)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, limits[1]))
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGUSR2, before)


def hang(_number: int, _frame: object) -> None:
    """A signal handler."""
    raise Hang(f"more than {CPU_SECONDS} s of processor time, or {WALL_SECONDS} s in all")


@contextlib.contextmanager
def captured(file: Path, errors: str, stream: str = "stdout") -> Iterator[None]:
    """Let this stream of `sys` fill a file, with the error handler that Python gives it."""
    before = getattr(sys, stream)
    raw = file.open("wb")
    text = io.TextIOWrapper(raw, encoding="utf-8", errors=errors, write_through=True)
    setattr(sys, stream, text)
    try:
        yield
    finally:
        setattr(sys, stream, before)
        with contextlib.suppress(ValueError):  # a user's class may have closed it
            text.close()


@contextlib.contextmanager
def kept_state() -> Iterator[None]:
    """Put back what the code of a user may change for the whole process."""
    folder, environment, path = Path.cwd(), dict(os.environ), list(sys.path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    dtype, threads, grad = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    deterministic, numbers = torch.are_deterministic_algorithms_enabled(), np.geterr()
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    limit, modules = sys.getrecursionlimit(), dict(sys.modules)
    start_generators(next(NUMBERS))
    try:
        with warnings.catch_warnings():
            yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        sys.modules.update({name: module for name, module in modules.items() if name in SHADOWED})
        for number, handler in handlers.items():
            signal.signal(number, handler)
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
        torch.set_grad_enabled(grad)
        torch.use_deterministic_algorithms(deterministic)
        np.seterr(**numbers)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        sys.setrecursionlimit(limit)


NUMBERS = itertools.count()


def start_generators(seed: int) -> None:
    """Start all global generators elsewhere, as every process does."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


SHADOWED = ("harness", "torch", "json", "random")
"""Modules that a space file may replace."""


def faults(answer: Answer) -> list[str]:
    """The kinds of fault in an answer, whatever the question was; none in a right one."""
    found = []
    if isinstance(answer.error, Hang):
        found.append("hang")
    elif answer.error is not None:
        found.append(f"exception {type(answer.error).__name__}")
    elif answer.code not in (0, 1, 2):
        found.append(f"exit code {answer.code}")
    lines = answer.err.splitlines()
    if "Traceback (most recent call last)" in answer.said:
        found.append("traceback shown")
    if answer.code == 2 and not lines:
        found.append("refused without a word")
    if len(lines) > LINES:
        found.append("too many lines")
    if any(len(line) > WIDTH for line in lines):
        found.append("line too long")
    if not all(line.isprintable() for line in answer.err.split("\n")):
        found.append("unprintable")
    return found


def listing(folder: Path) -> list[str]:
    """Everything below a folder, by name."""
    return sorted(str(path) for path in folder.rglob("*"))


class Census:
    """Counts the inputs of each part, and keeps what was wrong with them.

    With the environment variable FUZZ_LOG, a file, an input that shows a fault fails no test: each gets a
    line of JSON there. So a run on code that has faults counts them all.
    """

    def __init__(self) -> None:
        self.inputs: Counter[str] = Counter()
        self.outcomes: Counter[tuple[str, str]] = Counter()

    def begin(self, part: str, given: Any) -> None:
        """An input is about to be tried: if it kills this process, the log's last line says so."""
        self._log({"part": part, "begun": repr(given)[:2_000]})

    def judge(self, part: str, given: Any, answer: Answer, found: Sequence[str], way: str = "") -> None:
        """Count an input; AssertionError if its answer has a fault. `way` is how it went."""
        self.inputs[part] += 1
        way = way or f"exit code {answer.code}"
        self.outcomes[part, way] += 1
        if "FUZZ_LOG" in os.environ:
            told = {"given": repr(given)[-2_000:], "error": safe_repr(answer.error), "err": answer.err[-600:]}
            self._log({"part": part, "way": way, "faults": list(found), **told})
            return
        assert not found, f"{', '.join(found)}\ngiven: {given!r}\nanswer: {shown(answer)}"

    @staticmethod
    def _log(row: dict[str, Any]) -> None:
        if "FUZZ_LOG" in os.environ:
            with Path(os.environ["FUZZ_LOG"]).open("a") as file:
                file.write(json.dumps(row) + "\n")


def safe_repr(error: BaseException | None) -> str:
    """A short text of any exception, also of one that has none."""
    return one_line(error)[:300] if error else ""


def shown(answer: Answer) -> str:
    """An answer for a failing test, with the traceback of what left the command."""
    frames = traceback.format_tb(answer.error.__traceback__) if answer.error else []
    left = "".join(frames)[-4_000:] + safe_repr(answer.error)
    return f"exit code {answer.code}\n{answer.err[-2_000:]}\n{left}"


CENSUS = Census()

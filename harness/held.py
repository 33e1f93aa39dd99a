"""What a process shares with a user's code that runs in it: put back afterwards, whatever that code did.

with held() as changed:
    train(pack)
if changed:
    print(changed)  # ["torch.get_default_dtype() from torch.float32 to torch.float64"]
"""

import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple, TextIO

import numpy as np


class Setting(NamedTuple):
    """A setting of torch that can change numbers: how it is read and written, and what the block starts with.

    `start` None is what the caller has. `own` says that a line of the user's sets it; a library may set the
    others when it is loaded.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    start: Any = None
    own: bool = True


def settings(torch: Any) -> list[Setting]:
    """What code may set in torch for the whole process, or for its thread."""

    def set_default_device(device: Any) -> None:
        torch.set_default_device(None)
        if torch.get_default_device() != device:
            torch.set_default_device(device)

    def flushes_denormals() -> bool:
        return not (torch.tensor(1e-40, dtype=torch.float32, device="cpu") * 1).item()

    get, put = "torch.get_", torch.set_float32_matmul_precision
    sure = torch.are_deterministic_algorithms_enabled
    cpu, threads = torch.device("cpu"), torch.get_num_threads
    return [
        Setting(f"{get}default_dtype()", torch.get_default_dtype, torch.set_default_dtype, torch.float32),
        Setting(f"{get}default_device()", torch.get_default_device, set_default_device, cpu),
        Setting("torch.is_grad_enabled()", torch.is_grad_enabled, torch.set_grad_enabled, True),
        Setting(f"{get}num_threads()", threads, torch.set_num_threads, 1, own=False),
        Setting("flushing of denormals", flushes_denormals, torch.set_flush_denormal, False, own=False),
        Setting(f"{get}float32_matmul_precision()", torch.get_float32_matmul_precision, put),
        Setting("use of deterministic algorithms", sure, torch.use_deterministic_algorithms),
    ]


@contextmanager
def held(own: bool = False) -> Iterator[list[str]]:
    """Put back what the block changes of this process, and list what of it can change numbers.

    Put back are the current folder, standard output and error, signal handlers, timers, warnings that
    became errors, the recursion limit, NumPy's answer to overflow, and the `settings` of torch. The list is
    filled when the block is over; `own` leaves out settings that a library may have changed when it was
    loaded. A process that the block forked, and that comes out of it, ends.
    """
    changed: list[str] = []
    process = os.getpid()
    with ExitStack() as stack:
        stack.enter_context(_settings(changed, own))
        for hold in (_folder, _streams, _signals, _warnings, _recursion, np.errstate):
            stack.enter_context(hold())
        try:
            yield changed
        finally:
            if os.getpid() != process:
                os._exit(1)


@contextmanager
def _settings(changed: list[str], own: bool) -> Iterator[None]:
    if "torch" not in sys.modules:  # not imported here: results and registry do without it
        yield
        return
    known = settings(sys.modules["torch"])
    before = [setting.read() for setting in known]
    start = [now if s.start is None else s.start for s, now in zip(known, before, strict=True)]
    _put(known, start)
    try:
        yield
    finally:
        for setting, value in zip(known, start, strict=True):
            end = setting.read()
            if end != value and (setting.own or not own):
                changed.append(f"{setting.name} from {value} to {end}")
        _put(known, before)


def _put(known: list[Setting], values: list[Any]) -> None:
    for setting, value in zip(known, values, strict=True):
        if setting.read() != value:
            setting.write(value)


@contextmanager
def _folder() -> Iterator[None]:
    """The current folder, if there is one."""
    try:
        before = os.open(".", os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        os.fchdir(before)
        os.close(before)


class Open:
    """Standard output or error as the block sees it: what it does not close."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)

    def __enter__(self) -> "Open":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave it open."""

    def detach(self) -> None:
        """Refuse, as streams without a buffer do."""
        raise io.UnsupportedOperation("detach")


@contextmanager
def _streams() -> Iterator[None]:
    """sys.stdout and sys.stderr, and where the descriptors 1 and 2 lead."""
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    copies = {}
    for number in (1, 2):
        with suppress(OSError):
            copies[number] = os.dup(number)
    for name, stream in before.items():
        setattr(sys, name, stream and Open(stream))
    try:
        yield
    finally:
        for number, copy in copies.items():
            if not _same_file(number, copy):
                os.dup2(copy, number)
            os.close(copy)
        for number, (name, stream) in enumerate(before.items(), start=1):
            closed = getattr(stream, "closed", False) and number in copies
            setattr(sys, name, open(number, "w", closefd=False) if closed else stream)  # noqa: SIM115


def _same_file(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False


@contextmanager
def _signals() -> Iterator[None]:
    """Handlers and the timer of SIGALRM; only the main thread can set them."""
    if not in_main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    timer = signal.getitimer(signal.ITIMER_REAL)
    try:
        yield
    finally:
        if timer == (0, 0) != signal.getitimer(signal.ITIMER_REAL):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def in_main_thread() -> bool:
    """Whether signals reach this thread."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _warnings() -> Iterator[None]:
    """Warnings that do not raise; other filters stay, since modules add theirs when they are imported."""
    before = list(warnings.filters)
    try:
        yield
    finally:
        if any(new[0] == "error" and new not in before for new in warnings.filters):
            warnings.resetwarnings()
            warnings.filters.extend(before)  # type: ignore[attr-defined]


@contextmanager
def _recursion() -> Iterator[None]:
    before = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(before)

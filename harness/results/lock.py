"""Keeps two runs from writing to one folder, also where the storage has no locks.

    another run is writing to s3://bucket/smoke (process 71 on node-1 since 2026-01-31 12:00:00 +0000); wait
    for it, or add --take-over if it is dead

A lock of the system ends with its process. Elsewhere the file `.running` stands for it: one process makes it,
and removes it at its end. It holds a random token, which whoever takes the folder over replaces. So a run
that was taken for dead knows, before it records a pack, that the folder is no longer its own. No clocks are
compared.
"""

import errno
import fcntl
import json
import os
import secrets
import socket
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from harness.errors import RecordsError, plain
from harness.results.folder import Folder

NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What flock answers on a file system without locks, such as some network and FUSE mounts."""

OWNER = ".running"
"""There, and behind URIs, this file stands for the lock."""

Owner = dict[str, Any]
"""Who has a folder: host, process, since, token, and what tells whether that process still lives."""


class Lock:
    """A folder that this process has to itself until `close`."""

    def __init__(self, held: ExitStack, folder: Folder, token: str | None = None) -> None:
        """`token` is what OWNER holds, None for a lock of the system."""
        self._held = held
        self._folder = folder
        self._token = token

    def check(self) -> None:
        """Raise RecordsError if another process has taken the folder over. A lock of the system stays."""
        if self._token is None:
            return
        owner = read_owner(self._folder)
        if owner.get("token") != self._token:
            raise RecordsError(
                f"{self._folder} is no longer this run's: "
                f"{f'{said_of(owner)} took it over' if owner else f'its {OWNER} was removed'}. What this run "
                f"recorded before counts; leave the rest to one run"
            )

    def close(self) -> None:
        """Let other processes write to the folder."""
        self._held.close()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


def exclusive(folder: Folder, take_over: bool = False) -> Lock:
    """Make the folder if need be, and keep other processes from writing to it, until the lock is closed.

    What a process of this host left that is gone by now is taken over; what any other left, with `take_over`.
    Raises RecordsError, saying which process has the folder and since when, if another one has it or may have
    it, and OSError if the storage is at fault.
    """
    if folder.local:
        Path(folder.root).mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            file = held.enter_context(Path(folder.root, ".lock").open("a+"))
            if _locked(file, folder):
                held.callback(os.truncate, file.fileno(), 0)
                return Lock(held.pop_all(), folder)
    return _owned(folder, take_over)


def _locked(file: TextIO, folder: Folder) -> bool:
    """Lock a file and write into it who has it; False where the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        if not isinstance(error, BlockingIOError | PermissionError):
            raise RecordsError(
                f"{folder} cannot be locked ({error.strerror}); use another --results"
            ) from None
        who = said_of(read_owner(folder, ".lock"))
        raise RecordsError(
            f"another run is writing to {folder} ({who}); wait for it or use another --results"
        ) from None
    with suppress(OSError):  # a full disk: the lock is what counts
        os.truncate(file.fileno(), 0)
        os.write(file.fileno(), json.dumps(this_process()).encode())
    return True


def _owned(folder: Folder, take_over: bool) -> Lock:
    """Have OWNER say that the folder is this process's."""
    owner = this_process()
    content = json.dumps(owner).encode()
    if not folder.create(OWNER, content):
        other = read_owner(folder)
        if other.get("token") != owner["token"]:  # else the answer was lost, and it was made
            if not (take_over or is_gone(other)):
                raise RecordsError(
                    f"another run is writing to {folder} ({said_of(other)}); wait for it, or add --take-over "
                    f"if it is dead"
                )
            folder.write_whole(OWNER, lambda file: file.write(content))
    held = ExitStack()
    lock = Lock(held, folder, owner["token"])
    lock.check()  # of two that took it over at a time, one has it
    held.callback(partial(_release, lock, folder))
    return lock


def _release(lock: Lock, folder: Folder) -> None:
    """Remove OWNER, if it is still this process's. What cannot be removed is taken over by the next run."""
    with suppress(OSError, RecordsError):
        lock.check()
        folder.remove(OWNER)


def this_process() -> Owner:
    """Who this process is, for others to read."""
    return {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "token": secrets.token_hex(16),
        "place": _place(),
        "started": _started(os.getpid()),
    }


def read_owner(folder: Folder, name: str = OWNER) -> Owner:
    """What a file says of the process that made it; {} if it is gone or was cut short."""
    try:
        found = json.loads(folder.content(name) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def said_of(owner: Owner) -> str:
    """Which process it is, and since when."""
    if not owner.keys() >= {"host", "process", "since"}:
        return "it does not say which"
    return plain(f"process {owner['process']} on {owner['host']} since {owner['since']}")[:300]


def is_gone(owner: Owner) -> bool:
    """Whether it is a process of this host, since its last start, that has ended."""
    place, process = _place(), owner.get("process")
    here = place is not None and (owner.get("host"), owner.get("place")) == (socket.gethostname(), place)
    return here and isinstance(process, int) and _started(process) != owner.get("started")


def _place() -> list[str] | None:
    """What no process that counts in other numbers shares: this start of the system, and our view of it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return [boot, str(Path("/proc/self/ns/pid").readlink())]
    except OSError:
        return None


def _started(process: int) -> str | None:
    """When a process started, in the system's own ticks; None if there is no such process any more."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = status.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]

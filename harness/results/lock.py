"""Keeps two runs from writing to one folder, also where the file system has no locks."""

import errno
import fcntl
import json
import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path

from harness.errors import RecordsError

NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What flock answers on a file system without locks, such as some network and FUSE mounts."""

OWNER = ".running"
"""There, this file stands for the lock: it is made by one process only, which removes it at its end."""


def exclusive(folder: Path, where: str) -> ExitStack:
    """Make the folder if need be, and keep other processes from writing to it, until the stack is closed.

    The system frees a lock when its process ends, however it ends. Where there are no locks, a file takes its
    place, which a killed process leaves behind. Raises RecordsError if another process has the folder or may
    have it; `where` is what the user calls the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = ExitStack()
    file = held.enter_context((folder / ".lock").open("w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            held.close()
            raise _refusal(error, where) from None
        _own(folder / OWNER, where, held)
    return held


def _refusal(error: OSError, where: str) -> Exception:
    """What to raise for a lock that was not given: it is another run's, or something else is wrong."""
    if isinstance(error, BlockingIOError | PermissionError):
        return RecordsError(f"another run is writing to {where}; wait for it or use another --results")
    return RecordsError(f"{where} cannot be locked ({error.strerror}); use another --results")


def _own(path: Path, where: str, held: ExitStack) -> None:
    """Make the file that stands for the lock, to be removed when the stack is closed."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        held.close()
        raise RecordsError(
            f"{path} says that a run is writing to {where} ({_owner(path)}), and this file system has no "
            f"locks to make sure: wait for that run, or remove the file if it is over"
        ) from None
    held.callback(path.unlink, missing_ok=True)
    about = {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }
    with os.fdopen(descriptor, "w") as file:
        json.dump(about, file)


def _owner(path: Path) -> str:
    """What the file says of the process that made it."""
    try:
        about = json.loads(path.read_text())
        return f"process {about['process']} on {about['host']} since {about['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it does not say which"

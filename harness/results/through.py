"""Where a file may be replaced, and how to write where nothing may: pipes, devices and open files."""

import errno
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO

from harness.errors import RecordsError

OPEN_FILES = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")
"""How paths begin that name a file somebody has open, such as a shell's >(...): it stays, whatever it is."""


def is_stream(path: Path) -> bool:
    """Whether what lies there is written through and never replaced: a pipe, a device or an open file."""
    if str(path.absolute()).startswith(OPEN_FILES):
        return True
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def replaceable(path: Path) -> Path:
    """The file that writing to this path replaces or makes: behind a symbolic link, the one it points to.

    Raises RecordsError for a folder.
    """
    if path.is_dir():
        raise RecordsError(f"{path} is a folder, not a file: rename it, or write to another file (--out)")
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def write_through(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Send what `write` makes, whole, into the pipe, device or open file at this path.

    Raises RecordsError if nothing reads from a pipe.
    """
    whole = io.BytesIO()
    write(whole)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise RecordsError(f"{path} is a pipe or socket that nothing reads from") from None
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(whole.getvalue())

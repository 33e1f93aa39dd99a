"""A file system of this machine, as the door to a results folder uses it."""

import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, NamedTuple

from pyarrow import fs

from harness.results.through import is_stream, replaceable, write_through

PART = ".harness-part"
"""How the name of a file ends that we are still writing; it begins with a dot."""


class Entry(NamedTuple):
    """Something directly in a folder; `size` is in bytes, None for a folder."""

    name: str
    size: int | None


class Local:
    """Files by their absolute path."""

    leaves_parts = True
    """Whether a killed process may leave a file that it was writing, under a name that ends in PART."""

    def __init__(self) -> None:
        self._files = fs.LocalFileSystem()

    def kind(self, path: str) -> str | None:
        """What lies there: "file", "folder", or None."""
        found = self._files.get_file_info(path).type
        return {fs.FileType.NotFound: None, fs.FileType.Directory: "folder"}.get(found, "file")

    def entries(self, path: str) -> list[Entry]:
        """What lies directly in a folder, sorted; nothing if it does not exist."""
        found = self._files.get_file_info(fs.FileSelector(path, allow_not_found=True))
        known = {fs.FileType.File: True, fs.FileType.Directory: False}
        kept = (info for info in found if info.type in known)
        return sorted(Entry(info.base_name, info.size if known[info.type] else None) for info in kept)

    def content(self, path: str) -> bytes | None:
        """All bytes of a file, or None if there is none."""
        if self._files.get_file_info(path).type != fs.FileType.File:
            return None
        with self._files.open_input_stream(path) as file:
            content: bytes = file.read()
        return content

    def put(self, where: str, write: Callable[[IO[bytes]], object]) -> None:
        """Have `write` fill a file that appears whole or not at all; see `Folder.write_whole`."""
        path = Path(where)
        if is_stream(path):
            write_through(path, write)
            return
        path = replaceable(path)
        temporary = path.with_name(f".{path.name}{PART}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def create(self, path: str, content: bytes) -> bool:
        """Make a file unless there is one; whether it was made. Of several processes, one makes it."""
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return True

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files, those that are there."""
        for path in paths:
            Path(path).unlink(missing_ok=True)

    def move(self, path: str, target: str) -> None:
        """Move a file or folder; if the target is taken, to a numbered name beside it."""
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(path).rename(free_name(target, os.path.lexists))


def free_name(target: str, taken: Callable[[str], bool]) -> str:
    """The target, or a numbered name beside it if it is taken: x, x.2, x.3."""
    others = (f"{target}.{number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([target], others) if not taken(each))

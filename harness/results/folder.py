"""The one door to a results folder: nothing else opens, lists, writes or removes a file in it.

Reading works on this machine and behind URIs. Writing is local so far; its methods say what another storage
must keep.
"""

import itertools
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from harness.errors import RecordsError, UserError
from harness.results.lock import exclusive
from harness.results.schema import CONDITIONS, TABLES
from harness.results.seal import Broken, decoded, opened_table
from harness.results.through import is_stream, replaceable, write_through

READERS = 8
"""Files read at a time: on remote storage the wait for each is long, and decoding runs in threads."""

URI = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
"""How a URI begins. One slash is enough: pathlib makes s3:/bucket of s3://bucket."""

PART = ".harness-part"
"""How the name of a file ends that we are still writing; it begins with a dot."""

SET_ASIDE = "set_aside"
"""The folder for files that are no part of the results: damaged ones, copies, strangers."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class Folder:
    """A results folder: local, or (to read only) on any file system that pyarrow or fsspec knows.

    Names of files in it are relative and use '/', such as trials/0123456789abcdef.parquet. `where` is what
    the user called the folder, `root` what its file system calls it.
    """

    where: str
    filesystem: fs.FileSystem
    root: str

    @classmethod
    def of(cls, where: "Folder | Path | str") -> "Folder":
        """The folder at a local path, or at a URI (file, s3, gs, hdfs, ...); it need not exist.

        Raises RecordsError for a path that pyarrow cannot open because it is no text, and for a URI that
        pyarrow and fsspec cannot open: its scheme is not known, its package is not installed, or its host
        does not answer.
        """
        if isinstance(where, Folder):
            return where
        if not URI.match(str(where)):
            check_text(str(Path(where).absolute()))
            return cls(str(Path(where)), fs.LocalFileSystem(), str(Path(where).absolute()))
        try:
            filesystem, root = fs.FileSystem.from_uri(str(where))
        except (ValueError, ImportError, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise RecordsError(f"{where} cannot be opened: {reason}") from None
        return cls(str(where).rstrip("/"), filesystem, root.rstrip("/"))

    @classmethod
    def to_write(cls, where: "Folder | Path | str", argument: str = "--results") -> "Folder":
        """The folder at a local path, to write to; it need not exist. `argument` is where the user gave it.

        Raises UserError for a URI, without contacting what is behind it, and for a path that is no folder.
        """
        if URI.match(str(where)):
            raise UserError(
                f"{argument} {where}: nothing can be written to a URI yet; give a local folder, such as "
                f"results (python -m analysis.report and analysis.compare do read s3://, gs://, ...)"
            )
        folder = cls.of(where)
        if folder._type("") == fs.FileType.File:
            raise UserError(f"{argument} {where} is not a folder")
        return folder

    @staticmethod
    def is_uri(where: str) -> bool:
        """Whether it is read as a URI, not as a path."""
        return bool(URI.match(where))

    def __str__(self) -> str:
        return self.where

    @property
    def local(self) -> bool:
        """Whether a path named it, not a URI: then it can be written to."""
        return not URI.match(self.where)

    # Reading, here and behind URIs

    def folder(self, name: str) -> "Folder":
        """A folder in this one."""
        return Folder(f"{self.where}/{name}", self.filesystem, self._at(name))

    def folders(self) -> list[str]:
        """Names of the folders directly in it, sorted; none if it does not exist."""
        found = self.filesystem.get_file_info(fs.FileSelector(self.root, allow_not_found=True))
        return sorted(info.base_name for info in found if info.type == fs.FileType.Directory)

    def files(self, below: str, ending: str) -> list[str]:
        """Names of the files directly in the folder `below` that end like this, sorted: below/x.parquet.

        What is still being written is not counted. None if there is no such folder.
        """
        return [name for name in self.sizes(below) if name.endswith(ending)]

    def sizes(self, below: str) -> dict[str, int]:
        """Bytes of the files directly in the folder `below`, by name, but of those with a dot in front."""
        found = self.filesystem.get_file_info(fs.FileSelector(self._at(below), allow_not_found=True))
        files = sorted((info.base_name, info.size) for info in found if info.type == fs.FileType.File)
        return {f"{below}/{name}": size for name, size in files if name[0] != "."}

    def exists(self, name: str) -> bool:
        """Whether there is a file or folder of this name in it."""
        return bool(self._type(name) != fs.FileType.NotFound)

    def content(self, name: str) -> bytes | None:
        """All bytes of a file, or None if there is none."""
        if self._type(name) != fs.FileType.File:
            return None
        with self.filesystem.open_input_stream(self._at(name)) as file:
            content: bytes = file.read()
        return content

    def read(self, names: Sequence[str], columns: Sequence[str] | None = None) -> list[pa.Table]:
        """The tables in these Parquet files, or only these columns of them.

        Every file is read whole, because its seal covers all its bytes. Raises RecordsError, naming the file,
        if one is damaged, a copy of another, or missing.
        """
        wanted = None if columns is None else list(columns)
        return self._each(names, lambda name: decoded(self.opened(name), wanted))

    def footers(self, names: Sequence[str]) -> list[dict[bytes, bytes]]:
        """The metadata in the footers of these Parquet files. Raises RecordsError, as `read` does."""
        return self._each(names, lambda name: self.opened(name).metadata.metadata)

    def opened(self, name: str) -> pq.ParquetFile:
        """A Parquet file that is known to be as it was written; raises Broken if it is not."""
        return opened_table(self.whole(name), name)

    def whole(self, name: str) -> bytes:
        """All bytes of a file; raises Broken if there is none."""
        content = self.content(name)
        if content is None:
            raise Broken("is missing")
        return content

    # Writing, on this machine only

    def write_whole(self, name: str, write: Callable[[IO[bytes]], object]) -> None:
        """Have `write` fill a file that appears under this name whole, or not at all.

        Missing folders on the way are made. A killed process leaves at most a file that `leftovers` names.
        A symbolic link stays, and the file that it points to is the one replaced. A pipe or a device is
        written through. Raises RecordsError if a folder has this name.
        """
        path = self._path(name)
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

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._path(name).unlink(missing_ok=True)

    def set_aside(self, name: str) -> None:
        """Move a file or folder out of the results, below SET_ASIDE; what lies there already is kept."""
        path = self._path(name)
        target = self._path(f"{SET_ASIDE}/{name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        others = (target.with_name(f"{target.name}.{number}") for number in itertools.count(2))
        path.rename(next(free for free in itertools.chain([target], others) if not os.path.lexists(free)))

    def leftovers(self) -> list[str]:
        """Names of the files here and in the tables that were being written when a run was killed."""
        root = self._path("")
        below = [root, *(root / name for name in (*TABLES, "checkpoints", "progress"))]
        return sorted(
            path.relative_to(root).as_posix() for where in below for path in where.glob(f".*{PART}")
        )

    def exclusive(self) -> ExitStack:
        """Make the folder if need be, and keep other processes from writing to it.

        It lasts until `close()`, until the end of a `with`, or until this process ends; see `lock.exclusive`.
        Raises RecordsError if another process has it.
        """
        return exclusive(self._path(""), str(self))

    # From names to where they lie

    def _at(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def _path(self, name: str) -> Path:
        if not self.local:
            raise RecordsError(f"{self} can only be read: results are written to local folders so far")
        return Path(self._at(name))

    def _type(self, name: str) -> fs.FileType:
        return self.filesystem.get_file_info(self._at(name)).type

    def _each(self, names: Sequence[str], read: Callable[[str], Found]) -> list[Found]:
        """What `read` makes of each of these Parquet files, several at a time."""

        def one(name: str) -> Found:
            try:
                return read(name)
            except Broken as broken:
                raise RecordsError(said_of(self, name, str(broken))) from None

        with ThreadPoolExecutor(READERS) as pool:
            return list(pool.map(one, names))


def said_of(folder: Folder, name: str, why: str) -> str:
    """What everyone says of a file that is not as it was written: its name, why, and what to do."""
    remedies = {
        CONDITIONS: "makes it again",
        "failures": "sets it aside and trains its trials again",
    }
    remedy = remedies.get(name.partition("/")[0], "sets its pack aside and trains just that again")
    return f"{folder}/{name} {why}; restore it, or give the command of this run again: it {remedy}"


def check_text(path: str) -> None:
    """Raise RecordsError for a path that is not UTF-8 or has a null character: pyarrow takes neither."""
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise RecordsError(f"{shown} is not UTF-8, and no results can be in it; rename it") from None
    if "\0" in path:
        raise RecordsError(f"{path!a} has a null character, and no results can be in it; give another name")

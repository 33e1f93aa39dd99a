"""The one door to a results folder: nothing else opens, lists, writes or removes a file in it.

Reading works on this machine and behind URIs. Writing is local so far; its methods say what another storage
must keep.
"""

import fcntl
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
from harness.results.through import is_stream, replaceable, write_through

READERS = 8
"""Files read at a time: on remote storage the wait for each is long, and decoding runs in threads."""

URI = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
"""How a URI begins. One slash is enough: pathlib makes s3:/bucket of s3://bucket."""

PART = ".part"
"""How the name of a file ends that is still being written; it begins with a dot."""

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

        Raises RecordsError for a URI that pyarrow and fsspec cannot open: its scheme is not known, its
        package is not installed, or its host does not answer.
        """
        if isinstance(where, Folder):
            return where
        if not URI.match(str(where)):
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
        found = self.filesystem.get_file_info(fs.FileSelector(self._at(below), allow_not_found=True))
        names = [info.base_name for info in found if info.type == fs.FileType.File]
        return sorted(f"{below}/{name}" for name in names if name.endswith(ending) and name[0] != ".")

    def exists(self, name: str) -> bool:
        """Whether there is a file or folder of this name in it."""
        return bool(self._type(name) != fs.FileType.NotFound)

    def content(self, name: str) -> bytes | None:
        """All bytes of a file, or None if there is none."""
        if not self.exists(name):
            return None
        with self.filesystem.open_input_stream(self._at(name)) as file:
            content: bytes = file.read()
        return content

    def read(self, names: Sequence[str], columns: Sequence[str] | None = None) -> list[pa.Table]:
        """The tables in these Parquet files, or only these columns of them.

        Raises RecordsError, naming the file, if one is damaged.
        """
        wanted = None if columns is None else list(columns)
        return self._each(names, lambda file: file.read(columns=wanted, use_threads=False))

    def footers(self, names: Sequence[str]) -> list[dict[bytes, bytes]]:
        """The metadata in the footers of these Parquet files. Raises RecordsError, as `read` does."""
        return self._each(names, lambda file: file.schema_arrow.metadata or {})

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

    def leftovers(self) -> list[str]:
        """Names of the files, in this folder and all below, whose writer was killed (or is still writing)."""
        root = self._path("")
        return sorted(path.relative_to(root).as_posix() for path in root.glob(f"**/.*{PART}"))

    def exclusive(self) -> ExitStack:
        """Make the folder if need be, and keep other processes from writing to it.

        It lasts until `close()`, until the end of a `with`, or until this process ends, however it ends.
        Raises RecordsError if another process has it.
        """
        lock = self._path(".lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = ExitStack()
        file = held.enter_context(lock.open("w"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            held.close()
            raise RecordsError(
                f"another run is writing to {self}; wait for it or use another --results"
            ) from None
        return held

    # From names to where they lie

    def _at(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def _path(self, name: str) -> Path:
        if not self.local:
            raise RecordsError(f"{self} can only be read: results are written to local folders so far")
        return Path(self._at(name))

    def _type(self, name: str) -> fs.FileType:
        return self.filesystem.get_file_info(self._at(name)).type

    def _each(self, names: Sequence[str], read: Callable[[pq.ParquetFile], Found]) -> list[Found]:
        """What `read` makes of each of these Parquet files, several at a time."""

        def one(name: str) -> Found:
            try:
                file = pq.ParquetFile(self._at(name), filesystem=self.filesystem)
            except pa.ArrowInvalid as error:
                raise RecordsError(f"{self}/{name} is no Parquet file ({error}); remove it") from None
            with file:
                return read(file)

        with ThreadPoolExecutor(READERS) as pool:
            return list(pool.map(one, names))

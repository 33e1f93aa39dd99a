"""The one door to a results folder: nothing else opens, lists, writes or removes a file in it.

    Folder.of("results/smoke").write_whole("x.txt", lambda file: file.write(b"x"))
    Folder.of("s3://bucket/results/smoke").content("x.txt")

`local` and `remote` do what it says, on this machine and behind URIs.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import RecordsError, UserError
from harness.results.local import PART, Local
from harness.results.remote import Remote, store_of
from harness.results.schema import CONDITIONS, TABLES
from harness.results.seal import Broken, decoded, opened_table
from harness.results.through import is_stream, replaceable
from harness.results.uris import check_no_credentials, is_uri, proper

AT_A_TIME = 8
"""Files read or written at a time: the wait for a storage is long, and decoding runs in threads."""

SET_ASIDE = "set_aside"
"""The folder for files that are no part of the results: damaged ones, copies, strangers."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class Folder:
    """A results folder: local, or on any storage that fsspec knows.

    Names of files in it are relative and use '/', such as trials/0123456789abcdef.parquet. `where` is what
    the user called the folder, `root` what its storage calls it.
    """

    where: str
    store: Local | Remote
    root: str

    @classmethod
    def of(cls, where: "Folder | Path | str") -> "Folder":
        """The folder at a local path, or at a URI (file, s3, gs, hdfs, ...); it need not exist.

        Nothing is sent to a storage yet. Raises RecordsError for a path that pyarrow cannot open because it
        is no text, for a URI with a password or options, and for one that fsspec cannot open: its protocol is
        not known, or its package is not installed.
        """
        if isinstance(where, Folder):
            return where
        if is_uri(str(where)):
            check_no_credentials(str(where))
        place = proper(str(where))
        if not is_uri(place):
            path = Path(place).absolute()
            check_text(str(path))
            return cls(str(Path(place)), Local(), str(path))
        store = store_of(place)
        return cls(place, store, store.path(place))

    @classmethod
    def to_write(cls, where: "Folder | Path | str", argument: str = "--results") -> "Folder":
        """The folder at a path or URI, to write to; it need not exist. `argument` is where the user gave it.

        A storage is contacted. Raises UserError for a path that is no folder and for a bucket that does not
        exist, OSError if the storage does not answer or refuses.
        """
        folder = cls.of(where)
        if folder.store.kind(folder.root) == "file":
            raise UserError(f"{argument} {folder} is not a folder")
        if isinstance(folder.store, Remote) and (bucket := folder.store.lacks_bucket(folder.root)):
            raise UserError(f"{argument} {folder}: there is no bucket {bucket}; make it, or name another")
        return folder

    def __str__(self) -> str:
        return self.where

    @property
    def local(self) -> bool:
        """Whether it lies on this machine's file systems."""
        return isinstance(self.store, Local)

    # Reading

    def folder(self, name: str) -> "Folder":
        """A folder in this one."""
        return Folder(f"{self.where}/{name}", self.store, self._at(name))

    def folders(self) -> list[str]:
        """Names of the folders directly in it, sorted; none if it does not exist."""
        return [entry.name for entry in self.store.entries(self.root) if entry.size is None]

    def files(self, below: str, ending: str) -> list[str]:
        """Names of the files directly in the folder `below` that end like this, sorted: below/x.parquet.

        What is still being written is not counted. None if there is no such folder.
        """
        return [name for name in self.sizes(below) if name.endswith(ending)]

    def sizes(self, below: str) -> dict[str, int]:
        """Bytes of the files directly in the folder `below`, by name, but of those with a dot in front."""
        found = self.store.entries(self._at(below))
        return {f"{below}/{name}": size for name, size in found if size is not None and name[0] != "."}

    def listed(self, below: str) -> tuple[list[str], list[str]]:
        """Names of the files and of the folders directly in the folder `below`, but of those with a dot."""
        found = [entry for entry in self.store.entries(self._at(below)) if entry.name[0] != "."]
        files = [f"{below}/{entry.name}" for entry in found if entry.size is not None]
        return files, [f"{below}/{entry.name}" for entry in found if entry.size is None]

    def exists(self, name: str) -> bool:
        """Whether there is a file or folder of this name in it."""
        return self.store.kind(self._at(name)) is not None

    def content(self, name: str) -> bytes | None:
        """All bytes of a file, or None if there is none."""
        return self.store.content(self._at(name))

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

    # Writing

    def write_whole(self, name: str, write: Callable[[IO[bytes]], object]) -> None:
        """Have `write` fill a file that appears under this name whole, or not at all.

        Missing folders on the way are made. A killed process leaves at most a file that `leftovers` names.
        On this machine, a symbolic link stays, and the file that it points to is the one replaced. A pipe or
        a device is written through. Raises RecordsError if a folder has this name.
        """
        self.store.put(self._at(name), write)

    def is_stream(self, name: str) -> bool:
        """Whether a pipe, a device or an open file lies there, which is written through."""
        return isinstance(self.store, Local) and is_stream(Path(self._at(name)))

    def check_place(self, name: str) -> None:
        """Raise RecordsError if a folder of this machine has the name of a file that is to be written."""
        if isinstance(self.store, Local) and not self.is_stream(name):
            replaceable(Path(self._at(name)))

    def write_all(self, files: Mapping[str, bytes]) -> None:
        """Write these files, each whole or not at all: one by one here, several at a time elsewhere."""

        def one(name: str) -> None:
            self.write_whole(name, lambda file: file.write(files[name]))

        if self.local:
            for name in files:
                one(name)
        else:
            self.several(one, list(files))

    def create(self, name: str, content: bytes) -> bool:
        """Make a file unless there is one; whether it was made. Of several processes, one makes it."""
        return self.store.create(self._at(name), content)

    def remove(self, *names: str) -> None:
        """Remove files, those that are there."""
        if names:
            self.store.remove([self._at(name) for name in names])

    def set_aside(self, name: str) -> None:
        """Move a file or folder out of the results, below SET_ASIDE; what lies there already is kept.

        Behind a URI it is copied and then removed: a process that is killed in between leaves both.
        """
        self.store.move(self._at(name), self._at(f"{SET_ASIDE}/{name}"))

    def leftovers(self) -> list[str]:
        """Names of the files here and in the tables that were being written when a run was killed."""
        if not self.store.leaves_parts:
            return []
        found = []
        for below in ("", *TABLES, "checkpoints", "progress"):
            names = (entry.name for entry in self.store.entries(self._at(below)) if entry.size is not None)
            parts = [name for name in names if name[0] == "." and name.endswith(PART)]
            found += [f"{below}/{name}" if below else name for name in parts]
        return sorted(found)

    # From names to where they lie

    def _at(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def _each(self, names: Sequence[str], read: Callable[[str], Found]) -> list[Found]:
        """What `read` makes of each of these Parquet files, several at a time."""

        def one(name: str) -> Found:
            try:
                return read(name)
            except Broken as broken:
                raise RecordsError(said_of(self, name, str(broken))) from None

        return self.several(one, names)

    def several(self, work: Callable[[str], Found], names: Sequence[str]) -> list[Found]:
        """What comes of the work on each name, several at a time."""
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            return list(pool.map(work, names))


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

"""Where results lie: a folder of this machine, or one behind a URI such as s3://bucket/results/NAME."""

import fcntl
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from harness.errors import RecordsError

READERS = 8
"""Files read at a time: on remote storage the wait for each is long, and decoding runs in threads."""


@dataclass(frozen=True)
class Place:
    """A results folder that is read from: local, or on any file system that pyarrow or fsspec knows.

    Names within it are relative and use '/'.
    """

    filesystem: fs.FileSystem
    root: str

    @classmethod
    def of(cls, where: Path | str) -> "Place":
        """A local path, or a URI (file, s3, gs, hdfs, ...).

        Raises RecordsError for a URI of a scheme that is not known.
        """
        if "://" not in str(where):
            return cls(fs.LocalFileSystem(), str(where))
        try:
            filesystem, root = fs.FileSystem.from_uri(str(where))
        except (pa.ArrowInvalid, ImportError) as error:
            raise RecordsError(f"{where} cannot be opened: {error}") from None
        return cls(filesystem, root.rstrip("/"))

    def folders(self) -> list[str]:
        """Names of the folders directly in it, sorted; none if it does not exist."""
        found = self.filesystem.get_file_info(fs.FileSelector(self.root, allow_not_found=True))
        return sorted(info.base_name for info in found if info.type == fs.FileType.Directory)

    def tables(self, folder: str) -> list[str]:
        """Names of the Parquet files of a folder in it, sorted; those still being written are not counted."""
        where = fs.FileSelector(f"{self.root}/{folder}", allow_not_found=True)
        names = [info.base_name for info in self.filesystem.get_file_info(where)]
        return sorted(name for name in names if name.endswith(".parquet") and not name.startswith("."))

    def text(self, name: str) -> str | None:
        """The content of a text file, or None if there is none."""
        path = f"{self.root}/{name}"
        if self.filesystem.get_file_info(path).type == fs.FileType.NotFound:
            return None
        with self.filesystem.open_input_stream(path) as file:
            text: str = file.read().decode()
        return text

    def read(self, names: Sequence[str], columns: Sequence[str] | None = None) -> list[pa.Table]:
        """The tables in these Parquet files, or only these columns of them."""

        def one(name: str) -> pa.Table:
            with self._open(name) as file:
                return file.read(columns=None if columns is None else list(columns), use_threads=False)

        with ThreadPoolExecutor(READERS) as pool:
            return list(pool.map(one, names))

    def footers(self, names: Sequence[str]) -> list[dict[bytes, bytes]]:
        """The metadata in the footers of these Parquet files."""

        def one(name: str) -> dict[bytes, bytes]:
            with self._open(name) as file:
                return file.schema_arrow.metadata or {}

        with ThreadPoolExecutor(READERS) as pool:
            return list(pool.map(one, names))

    def _open(self, name: str) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(f"{self.root}/{name}", filesystem=self.filesystem)
        except pa.ArrowInvalid as error:
            raise RecordsError(f"{self.root}/{name} is no Parquet file ({error}); remove it") from None

    def __str__(self) -> str:
        return self.root


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have `write` fill a file that appears at `path` whole, or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _lock(folder: Path) -> IO[str]:
    """An exclusive lock on the folder, released when the process ends, however it ends."""
    file = (folder / ".lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise RecordsError(
            f"another run is writing to {folder}; wait for it or use another --results"
        ) from None
    return file

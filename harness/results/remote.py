"""A storage behind a URI, as the door to a results folder uses it: fsspec knows s3, gs, and many more.

It is asked again a few times before a run gives up. What was wrong is said in one line, without credentials.
"""

import errno
import functools
import io
import os
import time
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import IO, Any, TypeVar

from harness.errors import RecordsError, plain, shortened, text_of
from harness.results.local import PART, Entry, free_name
from harness.results.uris import below, protocol, without_credentials

BUCKETS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "oci", "oss"}
"""Protocols of object storage: a path begins with a bucket, which must exist, and a file appears whole."""

WHOLE = {*BUCKETS, "memory"}
"""Protocols that need no second name for a file that is being written."""

OPTIONS = {scheme: {"max_concurrency": 1} for scheme in ("s3", "s3a")}
"""What fsspec is told of a protocol: s3fs would ask for the size of every file before it reads it."""

PAUSES = (1.0, 4.0, 16.0)
"""Seconds to wait before a storage that has answered before is asked again."""

Found = TypeVar("Found")


def store_of(uri: str) -> "Remote":
    """The storage behind a URI; nothing is sent to it yet.

    Raises RecordsError if the protocol is not known, or if its package is not installed.
    """
    bucket = below(uri).partition("/")[0]
    try:
        return _store(f"{protocol(uri)}://{bucket}", os.getpid())
    except ImportError as error:
        package = getattr(error.__cause__ or error, "name", None) or "fsspec"
        reason = f"its package is not installed; give the command: pip install {package.partition('.')[0]}"
    except (ValueError, OSError) as error:
        reason = reason_of(error)
    raise RecordsError(f"{uri} cannot be opened: {reason}")


@functools.cache
def _store(uri: str, _process: int) -> "Remote":
    """One per bucket and process: fsspec's objects do not outlive a fork."""
    from fsspec.core import url_to_fs
    from fsspec.dircache import DirCache

    files, _ = url_to_fs(uri, skip_instance_cache=True, **OPTIONS.get(protocol(uri), {}))
    files.dircache = DirCache(use_listings_cache=False)  # others write there too
    return Remote(files, protocol(uri))


class Remote:
    """Files by their path in the storage, bucket included.

    Every method raises OSError in one line: FileNotFoundError or PermissionError, or with errno EHOSTUNREACH
    if the storage does not do what it was asked.
    """

    def __init__(self, files: Any, scheme: str) -> None:
        self._files = files
        self._scheme = scheme
        self._has_answered = False
        self.leaves_parts = scheme not in WHOLE

    def path(self, uri: str) -> str:
        """What the storage calls a URI of its own."""
        path: str = self._files._strip_protocol(f"{self._scheme}://{below(uri)}")
        return path.rstrip("/")

    def lacks_bucket(self, path: str) -> str | None:
        """The bucket of a path, if the storage has buckets and not this one. The storage is contacted."""
        bucket = path.partition("/")[0]
        if self.entries(path) or self._scheme not in BUCKETS:
            return None
        try:
            return None if self.kind(bucket) else bucket
        except PermissionError:  # to look at the bucket, but not to write to it
            return None

    def kind(self, path: str) -> str | None:
        """What lies there: "file", "folder", or None."""
        found = self._ask(path, lambda: self._files.info(path))
        return None if found is None else "folder" if found["type"] == "directory" else "file"

    def entries(self, path: str) -> list[Entry]:
        """What lies directly in a folder, sorted; nothing if it does not exist."""
        found = self._ask(path, lambda: self._files.ls(path, detail=True)) or []
        named = ((PurePosixPath(each["name"]), each) for each in found)
        return sorted(
            Entry(name.name, None if each["type"] == "directory" else int(each["size"]))
            for name, each in named
            if str(name.parent).strip("/") == path.strip("/")
        )

    def content(self, path: str) -> bytes | None:
        """All bytes of a file, or None if there is none."""
        content: bytes | None = self._ask(path, lambda: self._files.cat_file(path))
        return content

    def put(self, path: str, write: Callable[[IO[bytes]], object]) -> None:
        """Have `write` fill a file that appears whole or not at all."""
        buffer = io.BytesIO()
        write(buffer)
        content = buffer.getvalue()
        if not self.leaves_parts:
            self._must(path, lambda: self._files.pipe_file(path, content))
            return
        to = PurePosixPath(path)
        temporary = str(to.with_name(f".{to.name}{PART}"))
        self._make_parent(path)
        self._must(path, lambda: self._files.pipe_file(temporary, content))
        self._must(path, lambda: self._files.mv(temporary, path))

    def create(self, path: str, content: bytes) -> bool:
        """Make a file unless there is one; whether it was made. Of several processes, one makes it.

        False also where it was made, the answer was lost, and the storage was asked again. On storage without
        conditional writes, which object storage has, two processes may both make it.
        """
        try:
            self._make_parent(path)
            self._must(path, lambda: self._files.pipe_file(path, content, mode="create"))
        except FileExistsError:
            return False
        return True

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files, those that are there; on object storage a thousand at a time."""
        paths = list(paths)
        if len(paths) == 1:
            self._ask(paths[0], lambda: self._files.rm_file(paths[0]))
        elif self._scheme in BUCKETS:
            self._ask(paths[0], lambda: self._files.rm(paths))
        else:
            for path in paths:
                self.remove([path])

    def move(self, path: str, target: str) -> None:
        """Move a file or folder; if the target is taken, to a numbered name beside it."""
        free = free_name(target, lambda each: self.kind(each) is not None)
        names = self._ask(path, lambda: self._files.find(path)) or [path]
        for name in names:
            self._copy(name, free + name[len(path) :])
        self.remove(names)

    def _copy(self, path: str, target: str) -> None:
        """Copy a file to where none lies yet."""
        self._make_parent(target)
        self._must(path, lambda: self._files.cp_file(path, target))

    def _make_parent(self, path: str) -> None:
        """Make the folder that a file is to lie in, where a storage has folders."""
        if self.leaves_parts:
            parent = str(PurePosixPath(path).parent)
            self._must(path, lambda: self._files.makedirs(parent, exist_ok=True))

    def _must(self, path: str, call: Callable[[], object]) -> None:
        """Ask for something that must be possible; raises FileNotFoundError if a bucket or folder is gone."""

        def asked() -> bool:
            call()
            return True

        if self._ask(path, asked) is None:
            raise FileNotFoundError(errno.ENOENT, "There is no such bucket or folder", self._said(path))

    def _ask(self, path: str, call: Callable[[], Found]) -> Found | None:
        """What a call answers, None if what it is about does not exist. A call that fails is made again."""
        for pause in (*PAUSES, None):
            try:
                found = call()
            except FileNotFoundError:
                self._has_answered = True
                return None
            except FileExistsError:
                raise
            except PermissionError as error:
                said = f"The storage refuses access ({reason_of(error)})"
                raise PermissionError(errno.EACCES, said, self._said(path)) from None
            except Exception as error:  # packages raise errors of their own
                if pause is None or not self._has_answered:
                    said = f"The storage does not do what it is asked ({reason_of(error)})"
                    raise OSError(errno.EHOSTUNREACH, said, self._said(path)) from None
                time.sleep(pause)
            else:
                self._has_answered = True
                return found
        return None

    def _said(self, path: str) -> str:
        return f"{self._scheme}://{path.lstrip('/')}"


def reason_of(error: BaseException) -> str:
    """What a package said, in one line of bounded length without credentials."""
    return without_credentials(plain(shortened(text_of(error)) or type(error).__name__))

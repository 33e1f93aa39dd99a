"""Many packs in one file per table, so that 100,000 trials are not 700,000 files.

    trials/0123456789abcdef.parquet        a pack
    trials/packs-0123456789abcdef.parquet  a bundle: rows of many packs; its footer lists them

A bundle looks like a large pack: its trials are written last, list the other files, and commit it. From then
on, files of the packs that it lists do not count, whether they are still there or not. So no reader sees a
trial twice, or misses one, whenever it looks.
"""

import functools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TypeVar

from harness.errors import RecordsError
from harness.results.folder import Folder
from harness.results.schema import HISTORIES
from harness.results.seal import Broken

PACKS_KEY = "packs"
"""Key of the JSON in the footers of a bundle: the packs in it, sorted."""

PACK_FILE = re.compile(r"[0-9a-f]{16}\.parquet")
"""How the files of packs are called, in every table."""

BUNDLE_FILE = re.compile(r"packs-[0-9a-f]{16}\.parquet")
"""How the files of bundles are called, in every table."""

Found = TypeVar("Found")


def stem(name: str) -> str:
    """The pack or bundle of a file: `0123456789abcdef` of trials/0123456789abcdef.parquet."""
    return PurePosixPath(name).stem


def is_bundle(name: str) -> bool:
    """Whether a file in a table's folder is called as a bundle is."""
    return BUNDLE_FILE.fullmatch(PurePosixPath(name).name) is not None


def is_single(name: str) -> bool:
    """Whether a file in a table's folder is called as that of one pack is."""
    return PACK_FILE.fullmatch(PurePosixPath(name).name) is not None


def packs_in(folder: Folder, bundle: str) -> frozenset[str]:
    """The packs that a bundle's file lists; none if it is damaged or gone, which whoever reads it notices."""
    try:
        return _packs_in(folder.root if folder.local else str(folder), bundle)
    except Broken:
        return frozenset()


@functools.lru_cache(maxsize=4096)
def _packs_in(where: str, bundle: str) -> frozenset[str]:
    """A bundle's name is a hash of what is in it, so what was read once stays true."""
    footer = Folder.of(where).opened(bundle).metadata.metadata
    return frozenset(json.loads(footer.get(PACKS_KEY.encode(), b"[]")))


def bundled(folder: Folder, bundles: Sequence[str]) -> set[str]:
    """The packs in any of these bundles."""
    return {pack for bundle in bundles for pack in packs_in(folder, bundle)}


def committed(folder: Folder) -> list[str]:
    """The trials files that count, sorted: of bundles, and of packs that are in none.

    Packs are listed first: one that is bundled in between is then seen twice and counted once.
    """
    single = [name for name in folder.sizes("trials") if is_single(name)]
    bundles = [name for name in folder.sizes("trials") if is_bundle(name)]
    inside = bundled(folder, bundles)
    return [name for name in single if stem(name) not in inside] + bundles


def superseded(folder: Folder) -> list[str]:
    """Files of packs that are in a bundle; a run that was killed while it bundled leaves some."""
    inside = bundled(folder, [name for name in folder.sizes("trials") if is_bundle(name)])
    if not inside:
        return []
    names = [name for table in ("trials", *HISTORIES) for name in folder.sizes(table)]
    return [name for name in names if is_single(name) and stem(name) in inside]


def settled(folder: Folder, work: Callable[[list[str]], Found]) -> Found:
    """What `work` makes of the trials files that count; again if packs were bundled while it was at it.

    Raises the RecordsError of the last attempt.
    """
    while True:
        names = committed(folder)
        try:
            return work(names)
        except RecordsError:
            if not has_changed(folder, names):
                raise


def has_changed(folder: Folder, names: Sequence[str]) -> bool:
    """Whether there are other bundles now than among these trials files."""
    return set(filter(is_bundle, committed(folder))) != set(filter(is_bundle, names))

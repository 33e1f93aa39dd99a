"""Whether a results folder is as it was written: what is damaged, missing, doubled, or not ours."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from harness.errors import RecordsError
from harness.results.folder import READERS, Folder, said_of
from harness.results.schema import ALWAYS, HISTORIES, TABLES
from harness.results.seal import Broken, decoded

FILES_KEY = "files"
"""Key of the JSON in a trials file's footer: by name, size and SHA-256 of all other files of its pack."""

PACK_FILE = re.compile(r"[0-9a-f]{16}\.parquet")
"""How the files of packs are called, in every table."""

WEIGHTS_FILE = re.compile(r"[0-9a-f]{16}\.safetensors")
"""How the files of checkpoints are called."""

Sizes = Mapping[str, int | None]


def digest(content: bytes) -> list[int | str]:
    """Size and SHA-256 of a file, as a trials file keeps them."""
    return [len(content), hashlib.sha256(content).hexdigest()]


def is_of_pack(name: str) -> bool:
    """Whether a file in a table's folder is called as the harness calls it."""
    return PACK_FILE.fullmatch(PurePosixPath(name).name) is not None


def is_of_trial(name: str) -> bool:
    """Whether a file in checkpoints/ is called as the harness calls it."""
    return WEIGHTS_FILE.fullmatch(PurePosixPath(name).name) is not None


def strangers(folder: Folder) -> list[str]:
    """What lies in the tables' folders and is not called as their files are: copies, other files, folders.

    Other readers of a whole folder, such as pandas, would take their rows for results.
    """
    return [name for table in TABLES for name in folder.sizes(table) if not is_of_pack(name)]


def orphans(folder: Folder) -> list[str]:
    """Histories whose pack has no trials file. An interrupted run leaves those of one pack."""
    packs = {PurePosixPath(name).name for name in folder.sizes("trials")}
    names = [name for table in HISTORIES for name in folder.sizes(table)]
    return [name for name in names if is_of_pack(name) and PurePosixPath(name).name not in packs]


def check_whole(folder: Folder | Path | str) -> list[str]:
    """Sentences for whoever reads the folder: what is left out of it, and what cannot be verified.

    Raises RecordsError, naming the file, if a recorded pack is damaged or lacks a file.
    """
    folder = Folder.of(folder)
    if found := faults(folder):
        more = f" ({len(found)} packs are at fault)" if len(found) > 1 else ""
        raise RecordsError(said_of(folder, *next(iter(found.values()))) + more)
    packs = [name for name in folder.sizes("trials") if is_of_pack(name)]
    old = sum(FILES_KEY.encode() not in footer for footer in folder.footers(packs))
    said = []
    if names := strangers(folder):
        said.append(
            f"{named(folder, names)}: no file of this table. It is left out here, but pandas, Polars and "
            f"DuckDB read it: remove it, or give the command of this run again, which sets it aside."
        )
    if len({PurePosixPath(name).name for name in orphans(folder)}) > 1:  # a run may be adding one pack
        said.append(f"{named(folder, orphans(folder))}: without trials, and left out.")
    if old:
        said.append(
            f"{folder}: {old} of {len(packs)} packs were recorded without checksums, so damage to their "
            f"numbers cannot be noticed."
        )
    return said


def named(folder: Folder, names: Sequence[str]) -> str:
    """The first of some files, and how many more there are."""
    return f"{folder}/{names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def faults(folder: Folder, *, every_byte: bool = False) -> dict[str, tuple[str, str]]:
    """What is wrong with recorded packs: by name of the trials file, the first file at fault and why.

    Without `every_byte`, trials are read, and of all other files only that they are there with their size.
    """
    packs = [name for name in folder.sizes("trials") if is_of_pack(name)]
    sizes: dict[str, int | None] = {}
    for below in (*HISTORIES, "checkpoints"):  # after the trials: a run may be adding packs
        sizes |= folder.sizes(below)
    check = whole_pack if every_byte else listed_pack

    def one(pack: str) -> tuple[str, str] | None:
        return check(folder, pack, sizes)

    with ThreadPoolExecutor(READERS) as pool:
        found = zip(packs, pool.map(one, packs), strict=True)
        return {pack: fault for pack, fault in found if fault is not None}


def listed_pack(folder: Folder, pack: str, sizes: Sizes) -> tuple[str, str] | None:
    """The first file of a pack that is missing or has another size than was written, and why; else None."""
    try:
        files = files_of(folder, pack)
    except Broken as broken:
        return pack, str(broken)
    for name, written in files.items():
        if name not in sizes:
            return name, "is missing"
        if written and sizes[name] != written[0]:
            return name, f"is damaged: it has {sizes[name]} bytes, and {written[0]} were written"
    return None


def whole_pack(folder: Folder, pack: str, sizes: Sizes) -> tuple[str, str] | None:
    """The first file of a pack that is not what was written, to the byte, and why; else None."""
    if fault := listed_pack(folder, pack, sizes):
        return fault
    for name, written in {pack: [], **files_of(folder, pack)}.items():
        try:
            if not written:
                decoded(folder.opened(name), None)
            elif digest(folder.whole(name)) != written:
                raise Broken("is damaged: its bytes are not those that were written")
        except Broken as broken:
            return name, str(broken)
    return None


def files_of(folder: Folder, pack: str) -> dict[str, list[int | str]]:
    """All other files of a pack, with size and digest, as its trials file says.

    Of a trials file from before there were seals: the tables that every pack has, with nothing known of them.
    Raises Broken if the trials file is damaged.
    """
    footer = folder.opened(pack).metadata.metadata
    if FILES_KEY.encode() in footer:
        files: dict[str, list[int | str]] = json.loads(footer[FILES_KEY.encode()])
        return files
    return {f"{table}/{PurePosixPath(pack).name}": [] for table in ALWAYS}

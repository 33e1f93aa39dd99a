"""Whether a results folder is as it was written: what is damaged, missing, doubled, or not ours."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from harness.errors import RecordsError
from harness.results.bundles import (
    bundled,
    committed,
    has_changed,
    is_bundle,
    is_single,
    stem,
    superseded,
)
from harness.results.folder import Folder, said_of
from harness.results.schema import ALWAYS, HISTORIES, TABLES
from harness.results.seal import Broken, decoded

FILES_KEY = "files"
"""Key of the JSON in a trials file's footer: by name, size and SHA-256 of all other files of its pack."""

WEIGHTS_FILE = re.compile(r"[0-9a-f]{16}\.safetensors")
"""How the files of checkpoints are called."""

Footer = dict[bytes, bytes]

Fault = tuple[str, str]
"""A file, and what is wrong with it."""


def digest(content: bytes) -> list[int | str]:
    """Size and SHA-256 of a file, as a trials file keeps them."""
    return [len(content), hashlib.sha256(content).hexdigest()]


def is_of_pack(name: str) -> bool:
    """Whether a file in a table's folder is called as the harness calls it: of a pack, or of a bundle."""
    return is_single(name) or is_bundle(name)


def is_of_trial(name: str) -> bool:
    """Whether a file in checkpoints/ is called as the harness calls it."""
    return WEIGHTS_FILE.fullmatch(PurePosixPath(name).name) is not None


def strangers(folder: Folder) -> list[str]:
    """What lies in the tables' folders and is not called as their files are: copies, other files, folders.

    Other readers of a whole folder, such as pandas, would take their rows for results.
    """
    found = []
    for table in TABLES:
        files, folders = folder.listed(table)
        found += [name for name in files if not is_of_pack(name)] + folders
    return found


def orphans(folder: Folder) -> list[str]:
    """Histories whose pack or bundle has no trials file. An interrupted run leaves those of one."""
    trials = list(folder.sizes("trials"))
    packs = {*map(stem, trials), *bundled(folder, list(filter(is_bundle, trials)))}
    names = [name for table in HISTORIES for name in folder.sizes(table)]
    return [name for name in names if is_of_pack(name) and stem(name) not in packs]


def check_whole(folder: Folder | Path | str) -> tuple[list[Footer], list[str]]:
    """The footers of the trials, and sentences for readers: what is left out, and what cannot be verified.

    Raises RecordsError, naming the file, if a recorded pack is damaged or lacks a file.
    """
    folder = Folder.of(folder)
    footers, found = inspected(folder)
    if found:
        more = f" ({len(found)} packs are at fault)" if len(found) > 1 else ""
        raise RecordsError(said_of(folder, *next(iter(found.values()))) + more)
    said = []
    if names := strangers(folder):
        said.append(
            f"{named(folder, names)}: no file of this table. It is left out here, but pandas, Polars and "
            f"DuckDB read it: remove it, or give the command of this run again, which sets it aside."
        )
    if names := orphans(folder):
        one = len({PurePosixPath(name).name for name in names}) == 1
        why = " (a run is adding this pack, or was killed while it did, or trials were lost)" if one else ""
        said.append(f"{named(folder, names)}: without trials, and left out{why}.")
    if names := superseded(folder):
        said.append(
            f"{named(folder, names)}: in a bundle too, and left out here (a run is bundling packs, or was "
            f"killed while it did). pandas, Polars and DuckDB read both: give the command of this run again."
        )
    if old := sum(FILES_KEY.encode() not in footer for footer in footers.values()):
        said.append(
            f"{folder}: {old} of {len(footers)} packs were recorded without checksums, so damage to their "
            f"numbers cannot be noticed."
        )
    return list(footers.values()), said


def named(folder: Folder, names: Sequence[str]) -> str:
    """The first of some files, and how many more there are."""
    return f"{folder}/{names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def faults(folder: Folder | Path | str) -> dict[str, Fault]:
    """What is wrong with recorded packs, by the name of their trials file: the first file at fault, and why.

    Every byte of every pack is read. A sound folder gives {}.
    """
    return inspected(Folder.of(folder), every_byte=True)[1]


def inspected(folder: Folder, *, every_byte: bool = False) -> tuple[dict[str, Footer], dict[str, Fault]]:
    """By the name of their trials file: the footers of sound packs, and what is wrong with others.

    Without `every_byte`, trials are read, and of all other files only that they are there with their size.
    """
    while True:
        names = committed(folder)
        footers, found = inspected_packs(folder, names, every_byte)
        if not found or not has_changed(folder, names):
            return footers, found


def inspected_packs(
    folder: Folder, packs: Sequence[str], every_byte: bool
) -> tuple[dict[str, Footer], dict[str, Fault]]:
    """The same of these trials files, once."""
    sizes: dict[str, int] = {}
    for below in (*HISTORIES, "checkpoints"):  # after the trials: a run may be adding packs
        sizes |= folder.sizes(below)

    def one(pack: str) -> Footer | Fault:
        try:
            return sound_pack(folder, pack, sizes, every_byte)
        except Broken as broken:
            return pack, str(broken)

    found = dict(zip(packs, folder.several(one, packs), strict=True))
    footers = {pack: what for pack, what in found.items() if isinstance(what, dict)}
    return footers, {pack: what for pack, what in found.items() if isinstance(what, tuple)}


def sound_pack(folder: Folder, pack: str, sizes: Mapping[str, int], every_byte: bool) -> Footer | Fault:
    """The footer of a pack's trials, or the first other file that is not as it was written, and why.

    Raises Broken if the trials file itself is damaged.
    """
    file = folder.opened(pack)
    footer: Footer = file.metadata.metadata
    files = files_of(footer, pack)
    for name, written in files.items():
        if name not in sizes:
            return name, "is missing"
        if written and sizes[name] != written[0]:
            return name, f"is damaged: it has {sizes[name]} bytes, and {written[0]} were written"
    if not every_byte:
        return footer
    if FILES_KEY.encode() not in footer:
        decoded(file, None)
    for name, written in files.items():
        try:
            if not written:
                decoded(folder.opened(name), None)
            elif digest(folder.whole(name)) != written:
                raise Broken("is damaged: its bytes are not those that were written")
        except Broken as broken:
            return name, str(broken)
    return footer


def files_of(footer: Footer, pack: str) -> dict[str, list[int | str]]:
    """All other files of a pack, with size and digest, as the footer of its trials says.

    Of trials from before there were seals: the tables that every pack has, with nothing known of them.
    """
    if FILES_KEY.encode() in footer:
        files: dict[str, list[int | str]] = json.loads(footer[FILES_KEY.encode()])
        return files
    return {f"{table}/{PurePosixPath(pack).name}": [] for table in ALWAYS}

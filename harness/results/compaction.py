"""Puts the packs of a results folder together, many into one file per table; see `bundles`.

A bundle's histories are written, then its trials, which commits it. Then the files of its packs are removed.
A process that is killed before that leaves files that do not count, and the next run removes them.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from harness.results.bundles import PACKS_KEY, committed, is_single, stem
from harness.results.check import FILES_KEY, digest, files_of
from harness.results.folder import Folder
from harness.results.schema import HISTORIES
from harness.results.seal import FILE_KEY, SEAL_KEY, Broken, decoded, opened_table, sealed_table

PACKS = 500
"""So many packs that are in no bundle are worth bundling."""

BYTES = 2**25
"""A bundle is full when the files of its packs have so many bytes."""

AT_A_TIME = 32
"""Packs that are read at a time."""

OWN_KEYS = {key.encode() for key in (FILE_KEY, SEAL_KEY, FILES_KEY, PACKS_KEY)} | {b"ARROW:schema"}
"""Keys of a footer that are a file's own. The others are the same in all files of a run."""


@dataclass(frozen=True)
class Whole:
    """All of a pack: its tables by name, its footer but for what is a file's own, and its other files."""

    pack: str
    tables: dict[str, pa.Table]
    footer: dict[bytes, bytes]
    weights: dict[str, list[int | str]]
    size: int

    def kind(self) -> tuple[object, ...]:
        """What packs of one bundle have in common: the footer, and the columns of every table."""
        return (
            tuple(sorted(self.footer.items())),
            tuple((name, tuple(zip(table.schema.names, map(str, table.schema.types), strict=True)))
                  for name, table in sorted(self.tables.items())),
        )  # fmt: skip


def compact(folder: Folder, check_lock: Callable[[], None], at_least: int | None = None) -> dict[str, str]:
    """Bundle the packs that are in no bundle, if there are `at_least` so many (by default PACKS).

    Comes back with the trials file of its bundle for each trials file that is gone. Packs without checksums,
    damaged ones, and those that no other is like stay as they are. `check_lock` is called before anything
    counts or goes. Raises what it raises, and OSError if the storage is at fault.
    """
    names = [name for name in committed(folder) if is_single(name)]
    if len(names) < (PACKS if at_least is None else at_least):
        return {}
    moved: dict[str, str] = {}
    for packs in filter(is_worth_it, full_bundles(whole_packs(folder, names))):
        bundle = write_bundle(folder, packs, check_lock)
        single = [[f"{table}/{pack.pack}.parquet" for pack in packs] for table in packs[0].tables]
        folder.remove(*(name for names in single for name in names))
        moved |= dict.fromkeys(single[0], bundle)
    return moved


def full_bundles(packs: Iterable[Whole]) -> Iterator[list[Whole]]:
    """Packs of a kind, so many that a bundle is full, and what is left of each kind."""
    kinds: dict[tuple[object, ...], list[Whole]] = {}
    for pack in packs:
        kind = pack.kind()
        kinds.setdefault(kind, []).append(pack)
        if sum(each.size for each in kinds[kind]) >= BYTES:
            yield kinds.pop(kind)
    yield from kinds.values()


def is_worth_it(packs: Sequence[Whole]) -> bool:
    """Whether a bundle would be fewer files."""
    return len(packs) > 1


def write_bundle(folder: Folder, packs: Sequence[Whole], check_lock: Callable[[], None]) -> str:
    """Write the files of a bundle, its trials last; the name of its trials file."""
    names = json.dumps(sorted(pack.pack for pack in packs))
    file = f"packs-{hashlib.sha256(names.encode()).hexdigest()[:16]}.parquet"

    def joined(table: str, **more: str) -> bytes:
        rows = pa.concat_tables([pack.tables[table] for pack in packs])
        return sealed_table(
            rows.replace_schema_metadata(packs[0].footer), f"{table}/{file}", {PACKS_KEY: names, **more}
        )

    histories = {f"{table}/{file}": joined(table) for table in packs[0].tables if table != "trials"}
    others = {name: digest(content) for name, content in histories.items()}
    for pack in packs:
        others |= pack.weights
    trials = joined("trials", **{FILES_KEY: json.dumps(others)})
    check_lock()
    folder.write_all(histories)
    check_lock()
    folder.write_whole(f"trials/{file}", lambda out: out.write(trials))
    return f"trials/{file}"


def whole_packs(folder: Folder, names: Sequence[str]) -> Iterator[Whole]:
    """The packs of these trials files that can be bundled."""
    for start in range(0, len(names), AT_A_TIME):
        found = folder.several(partial(whole_pack, folder), names[start : start + AT_A_TIME])
        yield from (pack for pack in found if pack is not None)


def whole_pack(folder: Folder, name: str) -> Whole | None:
    """The pack of a trials file, None if it has no checksums or is not as it was written."""
    try:
        content = folder.whole(name)
        file = opened_table(content, name)
        footer = file.metadata.metadata
        if FILES_KEY.encode() not in footer:
            return None
        tables, size = {"trials": decoded(file, None)}, len(content)
        others = files_of(footer, name)
        for other, written in others.items():
            table = other.partition("/")[0]
            if table in HISTORIES:
                content = folder.whole(other)
                if digest(content) != written:
                    return None
                tables[table] = decoded(opened_table(content, other), None)
                size += len(content)
    except Broken:
        return None
    weights = {
        other: written for other, written in others.items() if other.partition("/")[0] not in HISTORIES
    }
    kept = {key: value for key, value in footer.items() if key not in OWN_KEYS}
    return Whole(stem(name), tables, kept, weights, size)

"""Where the results of a job lie, checked before anything starts: its folder, and what must not be in it."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.errors import RecordsError, UserError
from harness.planning.growth import check_growth
from harness.planning.space import Space
from harness.results import reader
from harness.results.folder import Folder
from harness.results.schema import DEFINITION, TABLES
from harness.results.uris import check_no_credentials, is_uri, joined, proper

FOLDERS = (*TABLES, "checkpoints", "set_aside")
FILES = (DEFINITION, "conditions.parquet", "optuna.journal", "report.html", ".lock", ".running")
"""What a run makes in its folder, beside the files in FOLDERS."""

PATTERNS = "*?["
"""Characters of a name that DuckDB and Polars read as a pattern: `r*` would be read with r1 and r2."""

LONGEST_NAME = 255
"""Bytes of a name that file systems take."""

LONGEST_PATH = 4_000
"""Bytes of the path to a folder of results, so that the files in it are within Linux's 4,096."""


def folder_of(results: str | Path, space: Space, definition: Mapping[str, Any]) -> Path | str:
    """The folder of a space below `results`, known to be usable, whether it exists or not; a URI is a str.

    A variant whose results already lie in the folder of the plain space goes on there. Raises UserError if
    the path cannot hold results, RecordsError if something else is in the way, or if what the folder holds is
    damaged or of another definition, OSError if the storage behind a URI does not answer or refuses.
    """
    if is_uri(os.fspath(results)):
        check_no_credentials(os.fspath(results))
    check_path(proper(os.fspath(results)), space.folder_name)
    root = str(Folder.to_write(results))
    folder, plain = (below(root, name) for name in (space.folder_name, space.plain_folder_name))
    if folder != plain and not Folder.of(folder).exists("") and holds(plain, definition):
        folder = plain
    check_held(folder, definition)
    return folder


def held_definition(results: str | Path, space: Space) -> dict[str, Any] | None:
    """The definition in the folder of a space below `results`; None if there is none that can be read."""
    for name in (space.folder_name, space.plain_folder_name):
        with suppress(UserError, RecordsError, OSError, ValueError):
            held = reader.read_definition(below(results, name))
            if held is not None:
                return held
    return None


def below(results: str | Path, name: str) -> Path | str:
    """A folder in another one: a path, or a URI as a str."""
    where = joined(os.fspath(results), name)
    return where if is_uri(where) else Path(where)


def holds(folder: Path | str, definition: Mapping[str, Any]) -> bool:
    """Whether a folder holds this definition, or one that it may grow from."""
    try:
        return check_held(folder, definition)
    except (UserError, RecordsError):
        return False


def check_held(folder: Path | str, definition: Mapping[str, Any]) -> bool:
    """Whether a folder holds a definition; RecordsError if it can hold neither that one nor this one."""
    if isinstance(folder, Path):
        check_layout(folder)
    held = reader.read_definition(folder)
    if held is not None:
        check_growth(held, definition, folder)
    return held is not None


def check_path(results: str, name: str) -> None:
    """Raise UserError unless all names on the way to a folder can be written, and are read as they stand."""
    folder = Path(results, name)
    for pattern in PATTERNS:
        if pattern in str(folder):
            raise UserError(
                f"--results {results}: DuckDB and Polars read {pattern!r} in a path as a pattern "
                f"that other folders match too; give a name without {PATTERNS}"
            )
    whole = folder if is_uri(results) else folder.absolute()
    for part in whole.parts:
        if "=" in part:
            raise UserError(
                f"--results: DuckDB, Polars and pyarrow read a column out of a folder named {part} "
                f"({whole.parent}); give or work in a folder without '='"
            )
    longest = max(len(os.fsencode(part)) for part in whole.parts)
    length = len(os.fsencode(whole))
    if longest > LONGEST_NAME or length > LONGEST_PATH:
        raise UserError(
            f"--results: the path to {whole.name[:20]} is too long, {length} bytes with a name of {longest}; "
            f"at most {LONGEST_PATH} and {LONGEST_NAME} are allowed"
        )


def check_layout(folder: Path) -> None:
    """Raise RecordsError if a file is where a folder must be, or the other way round."""
    for place in (folder, *folder.parents):
        if os.path.lexists(place):
            expect(place, place.is_dir(), "folder")
            break
    for name in FOLDERS:
        if os.path.lexists(folder / name):
            expect(folder / name, (folder / name).is_dir(), "folder")
    for name in FILES:
        if (folder / name).exists():
            expect(folder / name, (folder / name).is_file(), "file")


def expect(place: Path, found: bool, kind: str) -> None:
    """Raise RecordsError unless `found`: there is something else than this kind of thing at a place."""
    if not found:
        raise RecordsError(f"{place} is no {kind}; expected a {kind} there: move it away")

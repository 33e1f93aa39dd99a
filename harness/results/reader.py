"""A results folder as DataFrames: only what is recorded whole counts."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from safetensors import SafetensorError, safe_open

from harness.condition import Checkpoint
from harness.errors import RecordsError
from harness.results.folder import Place
from harness.results.schema import CHECKPOINT_KEY, COLUMNS, HISTORIES, METADATA_KEY, TABLES


def objectives(folder: Path | str) -> dict[str, float]:
    """The tuning objective of every recorded trial, by trial_id."""
    table = read(folder, "trials", columns=["trial_id", "objective"])
    return dict(zip(table["trial_id"], table["objective"].astype(float), strict=True))


def read(
    folder: Path | str,
    table: str,
    columns: Sequence[str] | None = None,
    packs: Collection[str] | None = None,
) -> pd.DataFrame:
    """One table of a results folder, local or behind a URI, as a DataFrame; only packs recorded whole.

    `columns` and `packs` (by pack_id) limit what is read from disk.

    Whole numbers that may be missing (solved_step, diverged_step) come as Int64 with <NA>; other
    missing values as NaN or None. NaN and inf in floats are values. An absent table has no rows.
    """
    place = Place.of(folder)
    names = committed_files(place, table)
    if packs is not None:
        names = [name for name in names if Path(name).stem in packs]
    if not names:
        return empty(table, columns)
    tables = [t.replace_schema_metadata(None) for t in place.read(names, columns)]
    try:
        joined = pa.concat_tables(tables, promote_options="default")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise RecordsError(f"{folder}/{table} holds a file that is not of this table ({error})") from None
    nullable = {pa.int64(): pd.Int64Dtype()} if table == "trials" else {}
    frame: pd.DataFrame = joined.to_pandas(types_mapper=nullable.get)
    return frame


def empty(table: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table without rows."""
    return pd.DataFrame({name: pd.Series(dtype=object) for name in columns or COLUMNS[table]})


def committed_files(folder: Path | str | Place, table: str) -> list[str]:
    """The files of a table that belong to recorded packs, sorted: names relative to the folder."""
    if table not in TABLES:
        raise RecordsError(f"no table named {table!r}; known: {', '.join(TABLES)}")
    place = folder if isinstance(folder, Place) else Place.of(folder)
    names = place.tables(table)
    if table in HISTORIES:
        committed = set(place.tables("trials"))
        names = [name for name in names if name in committed]
    return [f"{table}/{name}" for name in names]


def checkpoints(folder: Path | str) -> dict[str, Path]:
    """The checkpoint of every recorded trial that has one, by trial_id, sorted."""
    done = set(read(folder, "trials", columns=["trial_id"])["trial_id"])
    paths = sorted((Path(folder) / "checkpoints").glob("*.safetensors"))
    return {path.stem: path for path in paths if path.stem in done}


def read_checkpoint(path: Path | str) -> Checkpoint:
    """The weights as NumPy arrays and what they are of; RecordsError if the file is damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            return Checkpoint(
                tensors={name: file.get_tensor(name) for name in file.keys()},  # noqa: SIM118  no mapping
                metadata=json.loads(file.metadata()[CHECKPOINT_KEY]),
            )
    except (SafetensorError, KeyError, TypeError) as error:
        raise RecordsError(f"{path} is no checkpoint of this harness ({error})") from None


def provenance(folder: Path | str) -> list[dict[str, Any]]:
    """The distinct provenance records in the footers of the trials tables, in the order of file names."""
    place = Place.of(folder)
    footers = place.footers(committed_files(place, "trials"))
    return [json.loads(text) for text in dict.fromkeys(footer.get(METADATA_KEY, b"{}") for footer in footers)]


def read_definition(folder: Path | str) -> dict[str, Any] | None:
    """The definition that the folder holds, or None for a new folder."""
    try:
        text = Place.of(folder).text("space.json")
        definition = None if text is None else json.loads(text)
        if definition is not None and not isinstance(definition, dict):
            raise ValueError("it holds no fields")
    except ValueError as error:  # no JSON, no text
        raise RecordsError(
            f"{folder}/space.json is damaged ({error}); restore it, or use another --results"
        ) from None
    return definition


def read_conditions(folder: Path | str) -> pd.DataFrame:
    """One row per condition of the folder's definition: condition_id, its fields and options."""
    (table,) = Place.of(folder).read(["conditions.parquet"])
    frame: pd.DataFrame = table.to_pandas()
    return frame.astype({"max_norm": "float64", "learning_rate": "float64"})

"""Results folders from before files had seals: read as ever, and said to be unverified."""

import random
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analysis.load import load
from harness.errors import RecordsError
from harness.results import reader
from tests.folders import make_folder
from tests.results.test_damage import (
    DAMAGE,
    EVERY,
    RESULTS,
    SPACE,
    everything,
    file_of,
    folder,
    open_again,
    same,
    whole,
)

__all__ = ["folder", "whole"]  # fixtures


def unseal(folder: Path) -> None:
    """Make the folder one from before there were seals."""
    for path in folder.rglob("*.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({"schema_version": "3", "provenance": "{}"}), path)


def test_a_folder_without_seals_is_read_and_said_to_be_unverified(folder):
    expected = everything(folder)
    unseal(folder)
    assert same(everything(folder), expected)
    (note,) = load(folder).notes
    assert note.startswith(f"{folder}: 2 of 2 packs were recorded without checksums, so damage to their")
    assert open_again(folder) == ()


@pytest.mark.parametrize(
    "damage", sorted(DAMAGE.keys() - {"flipped", "of another pack"})
)  # which may not show
@pytest.mark.parametrize("table", ["trials", "steps", "conditions"])
def test_what_shows_of_damage_to_a_folder_without_seals_is_repaired_too(table, damage, folder):
    unseal(folder)
    DAMAGE[damage](file_of(folder, table))
    open_again(folder)
    assert len(reader.ends(folder)) == (2 if table == "conditions" else 1)
    make_folder(folder, SPACE, RESULTS)
    assert len(load(folder).trials) == 2


@pytest.mark.parametrize("table", EVERY)
def test_a_flipped_bit_in_a_folder_without_seals_is_never_a_traceback(table, folder):
    unseal(folder)
    draw, file = random.Random(table), file_of(folder, table)
    written = file.read_bytes()
    for _ in range(25):
        flipped = bytearray(written)
        flipped[draw.randrange(len(written))] ^= 1 << draw.randrange(8)
        file.write_bytes(flipped)
        with suppress(RecordsError):
            everything(folder)

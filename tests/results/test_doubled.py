"""Packs that lie in a results folder a second time, under another name, never double rows."""

import shutil

import duckdb
import pandas as pd
import polars as pl
import pytest

from analysis.load import load
from harness.errors import RecordsError
from harness.results import reader
from tests.results.test_damage import everything, file_of, folder, open_again, same, whole

__all__ = ["folder", "whole"]  # fixtures

STRANGERS = [
    "x (1).parquet",
    "x.sync-conflict-20260101.parquet",
    "Copy of x.parquet",
    "x.parquet~",
    "old/x.parquet",
]


@pytest.mark.parametrize("name", STRANGERS)
@pytest.mark.parametrize("table", ["trials", "steps", "events"])
def test_a_pack_doubled_under_another_name_never_doubles_rows(table, name, folder):
    file = file_of(folder, table)
    expected = everything(folder)
    rows = len(pd.read_parquet(folder / table))
    copy = folder / table / name.replace("x", file.stem)
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(file, copy)
    assert same(everything(folder), expected)
    (note,) = load(folder).notes
    stray = copy if copy.parent == file.parent else copy.parent
    assert note.startswith(f"{stray}: no file of this table")
    assert str(stray) in open_again(folder)[0]
    assert load(folder).notes == () and (folder / "set_aside" / stray.relative_to(folder)).exists()
    assert len(pd.read_parquet(folder / table)) == rows
    assert len(pl.read_parquet(folder / table / "*.parquet")) == rows
    assert duckdb.sql(f"select * from '{folder}/{table}/*.parquet'").shape[0] == rows


def test_a_pack_doubled_under_the_name_of_another_pack_is_told_from_one(folder):
    shutil.copy(file_of(folder, "trials"), folder / "trials" / "0123456789abcdef.parquet")
    with pytest.raises(
        RecordsError, match=r"0123456789abcdef.parquet is a copy of trials/[0-9a-f]{16}.parquet;"
    ):
        load(folder)
    assert len(reader.ends(folder)) == 2
    open_again(folder)
    assert len(load(folder).trials) == 2

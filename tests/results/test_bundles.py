"""Packs that were put together in larger files: read, checked, repaired and recorded as they were before."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from analysis.load import load
from harness import probes
from harness.condition import Pack
from harness.errors import RecordsError
from harness.planning.space import Space
from harness.results import compaction, reader
from harness.results import writer as writer_module
from harness.results.bundles import committed, is_bundle, superseded
from harness.results.check import check_whole, faults
from harness.results.folder import Folder
from harness.results.local import Local
from harness.results.schema import ALWAYS
from harness.results.writer import Writer
from tests.folders import TUNED
from tests.results.storage import AtOnce
from tests.results.test_damage import everything, flip, result, same

SPACE = Space(**TUNED, learning_rate=(0.1,), seeds=9)

RESULTS = [result(seed) for seed in range(5)]


def open_writer(folder, **changes) -> Writer:
    return Writer(
        folder, SPACE.definition(), [RESULTS[0].trial.condition], options=SPACE.option_columns(),
        measures=probes.measure_columns(), **{"provenance": {"git_commit": "abc"}} | changes,
    )  # fmt: skip


def record(folder, results, **changes) -> Writer:
    writer = open_writer(folder, **changes)
    for each in results:
        writer.write_pack(Pack((each.trial,)), [each])
    writer.close()
    return writer


def bundle(folder, at_least: int = 2) -> dict[str, str]:
    return compaction.compact(Folder.of(folder), lambda: None, at_least)


def files(folder: Path) -> list[str]:
    kept = (path for path in folder.rglob("*.parquet") if "set_aside" not in path.parts)
    return sorted(path.relative_to(folder).as_posix() for path in kept)


@pytest.fixture(scope="module")
def single(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("single") / "x"
    record(folder, RESULTS)
    return folder


@pytest.fixture
def folder(single, tmp_path) -> Path:
    """Five packs of a trial each, in bundles."""
    copy = Path(shutil.copytree(single, tmp_path / "x"))
    assert len(bundle(copy)) == 5
    return copy


def sorted_by_trial(found: list[object]) -> list[object]:
    return [
        each.sort_values([*each.columns[:1], *each.columns[1:3]], kind="stable", ignore_index=True)
        if isinstance(each, pd.DataFrame)
        else each
        for each in found
    ]


def test_a_bundle_is_read_as_its_packs_were_by_us_and_by_others(single, folder):
    assert [name.partition("/")[0] for name in files(folder)] == sorted(
        ["conditions.parquet", "trials", *ALWAYS]
    )
    assert same(everything(folder), everything(single))
    assert reader.read(folder, "trials", ["objective"]).equals(reader.read(single, "trials", ["objective"]))
    assert reader.ends(folder).equals(reader.ends(single))
    assert faults(folder) == {} and check_whole(folder)[1] == [] == list(load(folder).notes)
    for table in ("trials", *ALWAYS):
        assert len(pd.read_parquet(folder / table)) == len(pd.read_parquet(single / table))
    assert duckdb.sql(f"select * from '{folder}/trials/*.parquet'").shape[0] == 5
    one = RESULTS[3].trial.trial_id
    steps = load(folder).read("steps", trials=[one])
    assert set(steps["trial_id"]) == {one} and len(steps) == 3


def test_new_packs_lie_beside_bundles_and_are_bundled_in_their_turn(single, folder, monkeypatch):
    monkeypatch.setattr(compaction, "PACKS", 3)
    monkeypatch.setattr(writer_module, "ThreadPoolExecutor", AtOnce)
    more = [result(seed) for seed in range(5, 9)]
    writer = record(folder, more)
    assert len(files(folder)) == 1 + 6 * (2 + 1), "two bundles, and one pack that is in none"
    names = [f"trials/{Pack((each.trial,)).pack_id}.parquet" for each in more]
    assert writer.missing(names) == writer.missing(names[:1]) == writer.missing(names[-1:]) == []
    for path in folder.glob("trials/packs-*"):
        path.unlink()
    assert writer.missing(names) == names[:3] and writer.missing(names[:1]) == names[:1]


def test_packs_are_bundled_while_others_are_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(compaction, "PACKS", 2)
    results = [result(seed) for seed in range(9)]
    record(tmp_path, results)
    assert faults(tmp_path) == {} and any(map(is_bundle, committed(Folder.of(tmp_path))))
    assert len(reader.read(tmp_path, "trials")) == 9 and len(reader.read(tmp_path, "steps")) == 27


def test_small_folders_stay_as_they_are(single):
    assert bundle(single, 6) == {} and compaction.PACKS > 5
    assert not any(map(is_bundle, committed(Folder.of(single))))


def test_packs_of_other_runs_or_columns_have_bundles_of_their_own(tmp_path):
    record(tmp_path, RESULTS[:2])
    record(tmp_path, RESULTS[2:4], provenance={"git_commit": "other"})
    moments = {**RESULTS[4].moments, "sharpness": [1.0]}
    record(tmp_path, [dataclasses.replace(RESULTS[4], moments=moments)], probe_columns=["sharpness"])
    before = everything(tmp_path)
    assert len(bundle(tmp_path)) == 4, "one that no other is like stays alone"
    assert len(committed(Folder.of(tmp_path))) == 3
    assert same(sorted_by_trial(everything(tmp_path)[:-2]), sorted_by_trial(before[:-2]))
    assert sorted(map(str, everything(tmp_path)[-2])) == sorted(map(str, before[-2]))


def test_a_bundle_is_closed_when_it_is_full(single, tmp_path, monkeypatch):
    copy = shutil.copytree(single, tmp_path / "x")
    monkeypatch.setattr(compaction, "BYTES", 1)
    assert bundle(copy) == {}, "each is full alone"
    size = sum(path.stat().st_size for path in copy.rglob(f"{committed(Folder.of(copy))[0][7:-8]}.parquet"))
    monkeypatch.setattr(compaction, "BYTES", 2 * size - 100)
    assert len(set(bundle(copy).values())) == 2
    assert same(sorted_by_trial(everything(copy)[:-1]), sorted_by_trial(everything(single)[:-1]))


@pytest.mark.parametrize("table", ["trials", "steps", "moments", "checkpoints"])
def test_damage_to_a_bundle_is_named_and_its_packs_are_trained_again(table, folder):
    (file, *_) = sorted((folder / table).iterdir())
    flip(file)
    (trials,) = committed(Folder.of(folder))
    assert [name for name, _ in faults(folder).values()] == [file.relative_to(folder).as_posix()]
    assert table != "trials" or reader.ends(folder).empty
    if table != "checkpoints":
        with pytest.raises(RecordsError, match=f"{file.name} is damaged"):
            reader.read(folder, table)
    writer = open_writer(folder)
    writer.repair()
    writer.close()
    again, lost = writer.repaired
    assert (folder / "set_aside" / trials).exists()
    assert f"to be trained again: {1 if table == 'trials' else 5} pack" in again and "4 more (trials" in lost
    record(folder, RESULTS)
    assert faults(folder) == {} and len(load(folder).trials) == 5


def test_a_damaged_bundle_gives_way_to_packs_that_are_still_there(single, tmp_path, monkeypatch):
    copy = shutil.copytree(single, tmp_path / "x")
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "remove", lambda *_: None)
        bundle(copy)
    assert len(superseded(Folder.of(copy))) == 5 * 6
    assert len(load(copy).trials) == 5 and "in a bundle too" in load(copy).notes[0]
    flip(next(copy.glob("steps/packs-*")))
    writer = open_writer(copy)
    writer.repair()
    writer.close()
    assert same(everything(copy), everything(single))


def between(patch: pytest.MonkeyPatch, names: tuple[str, ...], hook: Callable[[], None]) -> None:
    """Have `hook` called before each of these calls of the local storage, of which one removes one file."""

    def around(name, call):
        def hooked(store, *arguments):
            for only in [[path] for path in arguments[0]] if name == "remove" else arguments[:1]:
                hook()
                found = call(store, only, *arguments[1:])
            return found

        return hooked

    for name in names:
        patch.setattr(Local, name, around(name, getattr(Local, name)))


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Path:
    """Three packs of a trial each, in none."""
    folder = tmp_path_factory.mktemp("few") / "x"
    record(folder, RESULTS[:3])
    return folder


@pytest.mark.slow
def test_readers_see_each_trial_once_at_every_step_of_the_bundling(few, tmp_path, monkeypatch):
    copy = Path(shutil.copytree(few, tmp_path / "x"))
    expected, looks = everything(few), []

    def look() -> None:
        looks.append(same(everything(copy), expected) and faults(copy) == {} and len(load(copy).trials) == 3)

    between(monkeypatch, ("put", "remove"), look)
    bundle(copy)
    assert len(looks) == 6 + 3 * 6 and all(looks)


def tables_of(folder: Path) -> list[object]:
    return everything(folder)[:-1]


def ends_of(folder: Path) -> list[dict[str, object]]:
    return reader.ends(folder).sort_values("trial_id")[["trial_id", "objective"]].to_dict("records")


LOOKS = [
    pytest.param(tables_of, marks=pytest.mark.slow),
    pytest.param(faults, marks=pytest.mark.slow),
    ends_of,
    reader.checkpoints,
    reader.provenance,
]


@pytest.mark.parametrize("look", LOOKS)
def test_readers_see_each_trial_once_when_packs_are_bundled_at_any_moment(look, few, tmp_path):
    expected, number, bundled = look(few), 0, True
    while bundled:
        copy, left = shutil.copytree(few, tmp_path / f"{number}" / "x"), number

        def before_a_call(copy=copy) -> None:
            nonlocal left
            left -= 1
            if left == -1:
                bundle(copy)

        with pytest.MonkeyPatch.context() as patch:
            between(patch, ("entries", "content"), before_a_call)
            found = look(copy)
        assert same(found, expected) if look is tables_of else found == expected
        number, bundled = number + 1, left < 0
    assert number > 3


class Killed(BaseException):
    """Nothing happens any more."""


@pytest.mark.slow
def test_a_run_killed_at_any_step_of_the_bundling_loses_nothing_and_the_next_one_ends_it(few, tmp_path):
    number, expected = 0, everything(few)
    while number < 6 + 3 * 6:
        copy, left = Path(shutil.copytree(few, tmp_path / f"{number}" / "x")), number

        def die() -> None:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1

        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            between(patch, ("put", "remove"), die)
            bundle(copy)
        assert same(everything(copy), expected)
        writer = open_writer(copy)
        writer.repair()
        writer.close()
        assert writer.repaired == ()
        assert superseded(Folder.of(copy)) == [] and check_whole(copy)[1] == []
        bundle(copy)
        assert len(files(copy)) == 7
        assert same(everything(copy), expected)
        number += 1

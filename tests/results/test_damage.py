"""What becomes of a results folder whose files were damaged, lost, doubled or mixed with others."""

import dataclasses
import random
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.compare import main as compare
from analysis.load import load
from analysis.report import main as report
from harness import Listener, run_space
from harness.condition import Checkpoint, Pack, Result
from harness.errors import RecordsError
from harness.planning.space import Space
from harness.results import reader
from harness.results.check import faults
from harness.results.folder import Folder
from harness.results.schema import ALWAYS
from harness.results.writer import Writer
from tests.commands import assert_same_tables
from tests.folders import TUNED, a_result, make_folder, with_rate
from tests.trials import make_trial

SPACE = Space(**TUNED, learning_rate=(0.1,), seeds=2)


def header(trial_id: str) -> dict[str, object]:
    """What the weights of a trial are of."""
    sizes = dict.fromkeys(("input_size", "hidden_size", "output_size", "length"), 4)
    named = {"trial_id": trial_id, "model": "rnn", "task": "palindrome", "heldout_split": "test"}
    measured = {"step": 3, "heldout_loss": 0.5, "heldout_accuracy": 0.5, "every_step": False}
    return sizes | named | measured | {"options": {}}


def result(seed: int) -> Result:
    """A result with rows in every table that a pack always has, and weights."""
    made = with_rate(a_result(make_trial(seed, 0.1), events=[(1, 0.5, 2, True, False)], watched_steps=10))
    return dataclasses.replace(
        made,
        steps={name: np.arange(3.0) for name in made.steps},
        moments={"moment": ["end"], "step": [3]},
        profiles={
            "moment": ["end"], "step": [3], "t": [1], "quantity": ["h"], "mean_norm": [1.0],
            "median_norm": [1.0],
        },
        checkpoint=Checkpoint(tensors={"weight": np.arange(50.0)}, metadata=header(made.trial.trial_id)),
    )  # fmt: skip


RESULTS = [result(0), result(1)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return make_folder(tmp_path_factory.mktemp("whole") / "x", SPACE, RESULTS)


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "x"))


def file_of(folder: Path, table: str) -> Path:
    """A file of a table; of the same pack for all of them but checkpoints."""
    return folder / "conditions.parquet" if table == "conditions" else sorted((folder / table).iterdir())[0]


def open_again(folder: Path) -> tuple[str, ...]:
    """What a run says that it repaired in the folder before it starts."""
    conditions = [result.trial.condition for result in RESULTS[:1]]
    writer = Writer(folder, SPACE.definition(), conditions, options={}, measures={}, provenance={})
    writer.repair()
    writer.close()
    return writer.repaired


def everything(folder: Path) -> list[object]:
    """All that can be read of a folder."""
    tables = [reader.read(folder, table) for table in ("trials", *ALWAYS, "failures")]
    weights = [reader.read_checkpoint(folder, name) for name in reader.checkpoints(folder)]
    kept = [(dict(one.metadata), {k: v.tobytes() for k, v in one.tensors.items()}) for one in weights]
    return [*tables, reader.read_conditions(folder), reader.provenance(folder), kept]


def same(one: list[object], other: list[object]) -> bool:
    return all(
        a.equals(b) if isinstance(a, pd.DataFrame) else a == b for a, b in zip(one, other, strict=True)
    )


EVERY = ("trials", *ALWAYS, "checkpoints", "conditions")


@pytest.mark.parametrize("table", EVERY)
def test_no_flipped_bit_changes_what_is_read_and_the_file_is_named(table, folder):
    expected, draw = everything(folder), random.Random(table)
    file = file_of(folder, table)
    written = file.read_bytes()
    for _ in range(25):
        flipped = bytearray(written)
        flipped[draw.randrange(len(written))] ^= 1 << draw.randrange(8)
        file.write_bytes(flipped)
        try:
            assert same(everything(folder), expected)
        except RecordsError as error:
            assert f"{file.relative_to(folder)} " in str(error)
        else:
            assert table == "checkpoints", "a flip in the word that names the seal alone goes unseen"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def swap(file: Path) -> None:
    """The file of another pack or trial, or of another table."""
    others = [other for other in sorted(file.parent.glob("*[0-9a-f].*")) if other != file and other.is_file()]
    shutil.copy(
        others[0] if others[0].name != "space.json" else sorted((file.parent / "steps").iterdir())[0], file
    )


DAMAGE = {
    "removed": Path.unlink,
    "emptied": lambda file: file.write_bytes(b""),
    "cut": cut,
    "flipped": flip,
    "of another pack": swap,
    "no Parquet": lambda file: file.write_text("<html>not found</html>"),
    "foreign Parquet": lambda file: pq.write_table(pa.table({"trial_id": ["a"], "x": [1]}), file),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


UNSEEN_BY_A_REPORT = {
    ("trials", "removed"), ("trials", "a folder"),  # there is no such pack then
    *((table, damage) for table in (*ALWAYS, "checkpoints") for damage in ("flipped", "of another pack")),
}  # fmt: skip
"""A report looks for histories and weights of the right size, and verifies those that it reads."""


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("table", EVERY)
def test_a_damaged_file_is_named_and_its_pack_alone_is_trained_again(table, damage, folder, capsys):
    file = file_of(folder, table)
    DAMAGE[damage](file)
    if (table, damage) not in UNSEEN_BY_A_REPORT:
        assert report([str(folder)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and f"{file.relative_to(folder)} " in said
        assert "give the command of this run again: it" in said
    lost = {path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "space.json"}
    said = open_again(folder)
    left = {path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert table == "conditions" or (table, damage) == ("trials", "removed") or lost <= left, (
        "nothing is deleted"
    )
    assert len(reader.ends(folder)) == (2 if table == "conditions" else 1)
    if (table, damage) != ("trials", "removed"):  # as a killed run leaves it
        assert any(str(file) in line for line in said)
    make_folder(folder, SPACE, RESULTS)  # trained again
    assert load(folder).notes == ()
    assert len(load(folder).trials) == 2 and open_again(folder) == ()


TINY = dict(
    name="tiny", summary="", models=("rnn",), optimizers=("sgd",), lengths=(4,), max_norms=(1.0,),
    learning_rate=(0.1, 1.0), seeds=3, max_steps=20, observe=0, eval_every=10, pack_size=2, hidden_size=8,
    probes=(),
)  # fmt: skip
"""Six trials in three packs."""


class Starts(Listener):
    """What a run has when it starts."""

    def started(self, start):
        self.repaired, self.recorded = start.repaired, start.recorded


def test_the_same_run_trains_just_the_damaged_pack_again_and_ends_as_if_nothing_had_been(tmp_path):
    expected, folder = (run_space(Space(**TINY), tmp_path / name, executor="serial") for name in ("a", "b"))
    (folder / "conditions.parquet").write_bytes(b"")
    flip(file_of(folder, "steps"))
    shutil.copy(file_of(folder, "trials"), folder / "trials" / "x (1).parquet")
    starts = Starts()
    run_space(Space(**TINY), tmp_path / "b", executor="serial", listeners=[starts])
    doubled, again, made = starts.repaired
    assert doubled.endswith("trials/x (1).parquet (no file of this table; other readers would read it)")
    assert again.startswith(f"set aside in {folder}/set_aside, to be trained again: 1 pack (")
    assert made.startswith(f"made again: {folder}/conditions.parquet (is")
    assert starts.recorded == 4
    assert_same_tables(expected, folder)
    pd.testing.assert_frame_equal(reader.read_conditions(expected), reader.read_conditions(folder))


def test_trials_lost_of_several_packs_leave_histories_that_are_kept(folder):
    for file in (folder / "trials").iterdir():
        file.unlink()
    histories = {path.read_bytes() for path in folder.rglob("*.parquet")}
    (said,) = open_again(folder)
    assert "(trials are missing)" in said
    assert histories == {path.read_bytes() for path in folder.rglob("*.parquet")}
    assert all(not any((folder / table).iterdir()) for table in (*ALWAYS, "checkpoints"))


@pytest.mark.parametrize("moves", range(8))
def test_a_run_killed_while_it_sets_a_pack_aside_loses_no_file(moves, folder, monkeypatch):
    flip(file_of(folder, "steps"))
    before = {path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    done, move = [], Folder.set_aside

    def killed(self, name):
        if len(done) == moves:
            raise KeyboardInterrupt
        done.append(name)
        move(self, name)

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(Folder, "set_aside", killed)
        open_again(folder)
    open_again(folder)
    assert before == {path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    assert len(load(folder).trials) == 1


def test_what_was_set_aside_before_is_not_written_over(folder):
    for content in (b"first", b"second"):
        file_of(folder, "conditions").write_bytes(content)
        open_again(folder)
    assert [path.read_bytes() for path in sorted((folder / "set_aside").iterdir())] == [b"first", b"second"]


@pytest.mark.parametrize("damage", ["emptied", "cut", "flipped", "no Parquet", "foreign Parquet", "a folder"])
def test_a_damaged_list_of_failures_is_named_and_set_aside(damage, folder, capsys):
    writer = Writer(folder, SPACE.definition(), [], options={}, measures={}, provenance={})
    writer.write_failure(Pack((make_trial(7),)), "RuntimeError: no luck")
    writer.close()
    file = file_of(folder, "failures")
    DAMAGE[damage](file)
    if damage == "a folder":
        (said,) = load(folder).notes
    else:
        assert report([str(folder)]) == 2
        said = capsys.readouterr().err
    assert str(file) in said
    (said,) = open_again(folder)
    assert str(file) in said
    assert load(folder).notes == () and load(folder).failures.empty


def test_files_of_the_user_stay(folder):
    names = [
        ".notes.part",
        "steps/.mine.part",
        "notes/.x.harness-part",
        "checkpoints/best.safetensors",
        "x.parquet",
    ]
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    (folder / "steps" / ".x.parquet.harness-part").write_text("ours")
    assert open_again(folder) == ()
    assert all((folder / name).exists() for name in names)
    assert not (folder / "steps" / ".x.parquet.harness-part").exists()


def test_page_checksums_are_written_for_other_readers(folder):
    file = file_of(folder, "steps")
    content, column = bytearray(file.read_bytes()), pq.read_metadata(file).row_group(0).column(0)
    content[
        (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size - 1
    ] ^= 1
    file.write_bytes(content)
    with pytest.raises(OSError, match="CRC checksum"):
        pq.read_table(file, page_checksum_verification=True)


def test_whoever_compares_is_told_what_is_left_out(folder, capsys):
    shutil.copy(file_of(folder, "trials"), folder / "trials" / "x (1).parquet")
    compare([str(folder), str(folder)])
    assert capsys.readouterr().err.startswith(f"note: {folder}/trials/x (1).parquet: no file of this table")


def test_a_file_that_is_read_in_part_is_verified_whole(folder):
    name = file_of(folder, "steps").stem
    assert faults(folder) == {}
    flip(file_of(folder, "steps"))
    with pytest.raises(RecordsError, match="its bytes are not those that were written"):
        reader.read(folder, "steps", columns=["trial_id"])
    assert faults(folder).keys() == {f"trials/{name}.parquet"}

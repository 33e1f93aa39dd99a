"""A damaged results folder answers as an intact one does, or says which file is damaged; a run mends it."""

import difflib
import itertools
import re
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from pandas.testing import assert_frame_equal

from analysis import compare, report
from harness import generate, run
from harness.results import reader
from harness.results.schema import TABLES
from tests.fuzz.damage import PLACES, Damage, damages, hurt
from tests.fuzz.oracle import CENSUS, Answer, Main, call, faults
from tests.fuzz.profiles import inputs, thorough
from tests.fuzz.runs import text_arguments

pytestmark = pytest.mark.contract

FLIPS = ("flip",)
"""The ways of damage when only bits are flipped."""


class Copies:
    """Copies of a folder, always at the same path, so that answers can be compared."""

    def __init__(self, intact: Path, here: Path) -> None:
        self.intact = intact
        self.here = here
        self.folder = here / "results" / intact.name
        self.trial = reader.checkpoints(intact)[0]
        shutil.copy(intact.parents[1] / "corpus.txt", here)

    @cached_property
    def expected(self) -> dict[str, tuple[Answer, str]]:
        """The answers to an intact copy, by command."""
        self.fresh()
        return {name: self.ask(name) for name in (*READERS, "page")}

    def fresh(self) -> Path:
        """A copy that nothing has touched; it replaces the last."""
        shutil.rmtree(self.here / "results", ignore_errors=True)
        shutil.copytree(self.intact, self.folder)
        return self.folder

    def ask(self, command: str) -> tuple[Answer, str]:
        """The answer of a command that reads, and what it wrote to a file."""
        out = self.here / "answer"
        out.unlink(missing_ok=True)
        mains: dict[str, tuple[Main, list[str]]] = {
            "report": (report.main, [str(self.folder), "--format", "json", "--out", str(out)]),
            "page": (report.main, [str(self.folder), "--format", "md", "--out", str(out)]),
            "compare": (compare.main, [str(self.intact), str(self.folder)]),
            "generate": (
                generate.main,
                ["--trial", self.trial, "--results", str(self.folder), "--prompt", "abac", "--length", "20"],
            ),
        }
        answer = call(*mains[command])
        return answer, out.read_text() if out.exists() else ""


@pytest.fixture(scope="module")
def copies(unfinished, tmp_path_factory) -> Copies:
    return Copies(unfinished, tmp_path_factory.mktemp("copies"))


@pytest.fixture(scope="module")
def whole(finished, tmp_path_factory) -> Copies:
    """Of a run that has nothing left to do."""
    return Copies(finished, tmp_path_factory.mktemp("whole"))


def assert_read_right_or_named(copies: Copies, damage: Damage, part: str, commands: Sequence[str]) -> None:
    expected = copies.expected
    file = hurt(copies.fresh(), damage)
    for command in commands:
        intact, content = expected[command]
        CENSUS.begin(f"{part}, {command}", damage)
        answer, written = copies.ask(command)
        found = faults(answer)
        same = (answer.code, answer.said, written) == (intact.code, intact.said, content)
        named = names_it(file, answer.said) or (names_it(file, written) and not names_it(file, content))
        unknowable = damage.place == "failures" and damage.way == "gone"  # then its trials are just missing
        if not found and not same and not named and not unknowable:
            found.append(f"silent change: exit code {answer.code}")
        changed = difference(intact.said + content, answer.said + written)
        way = "the same" if same else f"exit code {answer.code}, {'' if named else 'not '}named"
        CENSUS.judge(f"{part}, {command}", (damage, *changed), answer, found, way)


def names_it(file: Path, text: str) -> bool:
    """Whether a text has the name of a file, or the pack or trial that it is of."""
    return file.name in text or bool(re.fullmatch("[0-9a-f]{16}", file.stem) and file.stem in text)


def difference(before: str, after: str) -> list[str]:
    """The first lines that are not the same."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line[:200] for line in itertools.islice(lines, 2, 12)]


def commands_for(damage: Damage) -> tuple[str, ...]:
    """One of the commands that read; in a thorough run all, but seldom the page, which takes longest."""
    if thorough():
        return READERS if damage.which else (*READERS, "page")
    return (READERS[damage.which % 3],)


READERS = ("report", "compare", "generate")


@inputs(12, 700)
@given(damage=damages(FLIPS))
def test_a_flipped_bit_is_harmless_or_its_file_is_named(copies, damage):
    assert_read_right_or_named(copies, damage, "flip", commands_for(damage))


@inputs(15, 300)
@given(damage=damages())
def test_a_damaged_file_is_harmless_or_named(copies, damage):
    assert_read_right_or_named(copies, damage, "damage", commands_for(damage))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["flip", "cut", "empty", "other", "gone"])
@pytest.mark.parametrize("place", PLACES)
def test_every_table_may_be_damaged_in_every_way(copies, place, way):
    damage = Damage(place, way, shape=[])
    assert_read_right_or_named(copies, damage, "every table", ("report", "generate"))


def assert_mended_or_named(copies: Copies, after: Path, damage: Damage, part: str) -> None:
    """The run command on a damaged copy: `after` is what it leaves of the intact one."""
    folder = copies.fresh()
    file = hurt(folder, damage)
    before = contents(folder)
    CENSUS.begin(part, damage)
    answer = call(run.main, text_arguments(copies.here, copies.here / "results"))
    found, named = faults(answer), names_it(file, answer.said)
    if answer.code == 0:
        found += wrong_tables(after, folder)
        found += kept_damage(copies.intact, folder, before)
        if names(after / "checkpoints") - names(folder / "checkpoints") and not named:
            found.append("success, but weights lost")
    elif answer.code is not None and not named:
        found.append(f"not named: exit code {answer.code}")
    if answer.refused and contents(folder) != before:
        found.append("refused, but changed the folder")
    CENSUS.judge(part, damage, answer, found)


def names(folder: Path) -> set[str]:
    """Of the files in a folder, which may be gone."""
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


DATA = (".parquet", ".json", ".safetensors")
"""Endings of the files that are the results; the others are made of them."""


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file of results."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in DATA and path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


KEYS = ("trial_id", "step", "moment", "t", "quantity", "mode", "temperature", "kind", "start_step", "text")
"""Columns that tell the rows of a table apart, where it has them."""


def rows(folder: Path, table: str) -> pd.DataFrame:
    """A table in one order, without what differs when a pack is trained again."""
    frame = reader.read(folder, table).drop(columns=["seconds", "pack_id"], errors="ignore")
    if table == "failures":  # a failure of a trial that is recorded counts for nothing
        frame = frame[~frame["trial_id"].isin(reader.read(folder, "trials")["trial_id"])]
    return frame.sort_values([key for key in KEYS if key in frame], ignore_index=True)


def wrong_tables(after: Path, folder: Path) -> list[str]:
    """The tables that are not what they must be after a success."""
    wrong = []
    for table in TABLES:
        try:
            assert_frame_equal(rows(folder, table), rows(after, table), check_exact=True, check_dtype=False)
        except Exception:  # noqa: BLE001  a damaged file raises anything
            wrong.append(f"success, but {table} wrong")
    return wrong


def kept_damage(intact: Path, folder: Path, hurt: dict[str, bytes]) -> list[str]:
    """Whether a table that was hurt is still there, and its values or its provenance differ."""
    right, now = contents(intact), contents(folder)
    kept = [name for name in right if name in now and now[name] == hurt.get(name) != right[name]]
    tables = [name for name in kept if name.endswith(".parquet")]
    return ["success, but a damaged file stays"] * any(not equal(folder / n, intact / n) for n in tables)


def equal(one: Path, other: Path) -> bool:
    """Whether two Parquet files hold the same values, NaN being equal to NaN, schema and metadata."""
    try:
        a, b = pq.read_table(one), pq.read_table(other)
        same_values: bool = a.to_pandas().equals(b.to_pandas())
    except Exception:  # noqa: BLE001  a damaged file raises anything
        return False
    return same_values and a.schema.equals(b.schema, check_metadata=True)


@pytest.fixture(scope="module")
def mended(unfinished, finished) -> Path:
    """What the run command leaves of either folder: the failed pack is trained."""
    return finished


@inputs(3, 300)
@given(damage=damages(FLIPS))
def test_the_same_run_mends_a_flipped_bit_or_names_its_file(copies, whole, mended, damage):
    one = copies if damage.place == "failures" else whole
    assert_mended_or_named(one, mended, damage, "flip, run")


@inputs(3, 150)
@given(damage=damages())
def test_the_same_run_mends_a_damaged_file_or_names_it(copies, whole, mended, damage):
    one = copies if damage.place == "failures" else whole
    assert_mended_or_named(one, mended, damage, "damage, run")

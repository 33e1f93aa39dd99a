"""A damaged results folder answers as an intact one does, or says which file is damaged; a run mends or refuses."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from analysis import compare, report
from harness import generate, run
from harness.results import reader
from harness.results.schema import TABLES
from tests.fuzz.damage import Damage, damages, hurt
from tests.fuzz.oracle import CENSUS, Answer, call, faults
from tests.fuzz.profiles import inputs
from tests.fuzz.runs import text_arguments

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
        self.fresh()
        self.expected = {name: self.ask(name) for name in ("report", "page", "compare", "generate")}

    def fresh(self) -> Path:
        """A copy that nothing has touched; it replaces the last."""
        shutil.rmtree(self.here / "results", ignore_errors=True)
        shutil.copytree(self.intact, self.folder)
        return self.folder

    def ask(self, command: str) -> tuple[Answer, str]:
        """The answer of a command that reads, and what it wrote to a file."""
        out = self.here / "answer"
        out.unlink(missing_ok=True)
        mains: dict[str, tuple[Callable[[Sequence[str]], int], list[str]]] = {
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


def assert_read_right_or_named(copies: Copies, damage: Damage, part: str) -> None:
    file = hurt(copies.fresh(), damage)
    for command, (intact, content) in copies.expected.items():
        CENSUS.begin(f"{part}, {command}", damage)
        answer, written = copies.ask(command)
        found, same = faults(answer), (answer.code, answer.said, written) == (intact.code, intact.said, content)
        named = file.stem in answer.said or (file.stem in written and file.stem not in content)
        if not found and not same and not named:
            found.append(f"silent change: exit code {answer.code}")
        way = "the same" if same else f"named, exit code {answer.code}"
        CENSUS.judge(f"{part}, {command}", damage, answer, found, way)


@inputs(10, 1_000)
@given(damage=damages(FLIPS))
def test_a_flipped_bit_is_harmless_or_its_file_is_named(copies, damage):
    assert_read_right_or_named(copies, damage, "flip")


@inputs(15, 600)
@given(damage=damages())
def test_a_damaged_file_is_harmless_or_named(copies, damage):
    assert_read_right_or_named(copies, damage, "damage")


def assert_mended_or_named(copies: Copies, after: Path, damage: Damage, part: str) -> None:
    """The run command on a damaged copy: `after` is what it leaves of the intact one."""
    folder = copies.fresh()
    file = hurt(folder, damage)
    hurt_bytes = contents(folder)
    CENSUS.begin(part, damage)
    answer = call(run.main, text_arguments(copies.here, copies.here / "results"))
    found = faults(answer)
    if answer.code == 0:
        found += wrong_tables(after, folder)
        found += kept_damage(copies.intact, folder, hurt_bytes)
        kept = {path.name for path in (after / "checkpoints").iterdir()}
        if not kept <= {path.name for path in (folder / "checkpoints").iterdir()} and file.stem not in answer.said:
            found.append("weights lost")
    elif answer.code is not None and file.stem not in answer.said:
        found.append(f"not named: exit code {answer.code}")
    if answer.refused and contents(folder) != hurt_bytes:
        found.append("refused, but changed the folder")
    CENSUS.judge(part, damage, answer, found)


DATA = (".parquet", ".json", ".safetensors")
"""Endings of the files that are the results; the others are made of them."""


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file of results."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in DATA and path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def rows(folder: Path, table: str) -> pd.DataFrame:
    """A table in one order, without what time changes and without empty columns' types."""
    frame = reader.read(folder, table).drop(columns=["seconds", "pack_id"], errors="ignore")
    keys = [name for name in ("trial_id", "step", "moment", "t", "quantity", "mode", "temperature") if name in frame]
    return frame.sort_values([*keys, *({"kind", "start_step", "text"} & set(frame))], ignore_index=True)


def wrong_tables(after: Path, folder: Path) -> list[str]:
    """The tables that are not what they must be after a success."""
    wrong = []
    for table in TABLES:
        try:
            pd.testing.assert_frame_equal(rows(folder, table), rows(after, table), check_exact=True, check_dtype=False)
        except Exception:
            wrong.append(f"success, but {table} wrong")
    return wrong


def kept_damage(intact: Path, folder: Path, hurt_bytes: dict[str, bytes]) -> list[str]:
    """Tables that keep a changed value or provenance, and so were not made again."""
    right, now = contents(intact), contents(folder)
    kept = [name for name in right if now.get(name) == hurt_bytes.get(name) != right[name] and name in now]
    wrong = []
    for name in kept:
        if name.endswith(".parquet"):
            try:
                same = pq.read_table(folder / name).equals(pq.read_table(intact / name), check_metadata=True)
            except Exception:
                same = False
            if not same:
                wrong.append("success, but a damaged file stays")
    return wrong


@pytest.fixture(scope="module")
def mended(unfinished, finished) -> Path:
    """What the run command leaves of either folder: the failed pack is trained."""
    return finished


@inputs(4, 1_000)
@given(damage=damages(FLIPS))
def test_the_same_run_mends_a_flipped_bit_or_names_its_file(copies, whole, mended, damage):
    one = copies if damage.place == "failures" else whole
    assert_mended_or_named(one, mended, damage, "flip, run")


@inputs(6, 600)
@given(damage=damages())
def test_the_same_run_mends_a_damaged_file_or_names_it(copies, whole, mended, damage):
    one = copies if damage.place == "failures" else whole
    assert_mended_or_named(one, mended, damage, "damage, run")

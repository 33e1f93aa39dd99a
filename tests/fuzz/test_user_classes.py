"""A class of a user's own is refused before anything is recorded, or trains to numbers that repeat."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given

import harness
from harness import run
from harness.results import reader
from tests.fuzz.oracle import CENSUS, Answer, Hang, call, faults
from tests.fuzz.profiles import inputs, thorough
from tests.fuzz.runs import made_in
from tests.fuzz.user_classes import KILLERS, Classes, classes
from tests.traps import source

pytestmark = pytest.mark.contract

TINY = {
    "tasks": "palindrome", "models": "rnn", "optimizers": "sgd", "lengths": "4", "max_norms": "1,inf",
    "learning_rate": "0.1", "seeds": "2", "hidden_size": "2", "batch_size": "2", "max_steps": "6",
    "observe": "0", "eval_every": "2", "pack_size": "4", "probes": "none",
}  # fmt: skip
"""Four trials of six steps."""

HERE = "fuzzed_{}"
NUMBERS = itertools.count()


def arguments(results: Path, module: str, made: Classes, **changes: str) -> list[str]:
    """The command line of a tiny run with these classes."""
    own = made.sets(module)
    taken = {argument.partition("=")[2].partition("=")[0] for argument in own}
    sets = [f"--set={name}={value}" for name, value in (TINY | changes).items() if name not in taken]
    return ["--space", "smoke", "--executor", "serial", "--results", str(results), *sets, *own]


@pytest.fixture
def folder(tmp_path_factory, monkeypatch):
    """Where modules lie; a run ends without its summary, which takes longer than the training."""
    folder = tmp_path_factory.mktemp("cells")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr("harness.driver.summary.summarise", lambda *_, **__: None, raising=False)
    return folder


def table(results: Path, name: str, drop: tuple[str, ...] = ()) -> pd.DataFrame:
    """A table of a run in one order, without identities and times, which may differ."""
    found = reader.read(made_in(results), name)
    trials = reader.read(made_in(results), "trials")[["trial_id", "seed", "max_norm"]]
    keys = ["seed", "max_norm", *(["step"] if "step" in found else [])]
    if name != "trials":
        found = found.merge(trials, on="trial_id")
    ids = ["trial_id", "condition_id", "pack_id", "seconds", "space"]
    return found.drop(columns=[*ids, *drop], errors="ignore").sort_values(keys, ignore_index=True)


def same(one: Path, other: Path, names: tuple[str, ...], drop: tuple[str, ...] = ()) -> bool:
    """Whether these tables of two runs are equal to the bit."""
    try:
        for name in names:
            pd.testing.assert_frame_equal(
                table(one, name, drop), table(other, name, drop), check_exact=True, check_dtype=False
            )
    except AssertionError:
        return False
    return True


def recorded(results: Path) -> bool:
    """Whether anything is in the results folder."""
    return results.exists() and any(results.iterdir())


def assert_refused_or_repeats(folder: Path, made: Classes) -> None:
    module = HERE.format(next(NUMBERS))
    (folder / f"{module}.py").write_text(made.text)
    one, again, alone, seldom = (folder / f"{module}-{name}" for name in ("one", "again", "alone", "seldom"))
    CENSUS.begin("user class", made)
    answer = call(run.main, arguments(one, module, made))
    found = own_faults(made, answer)
    way = f"exit code {answer.code}"
    if answer.refused:
        way = "refused"
        found += ["refused, but wrote"] if recorded(one) else []
        found += [] if module in answer.err else ["the class is not named"]
    elif not found and reader.committed_files(made_in(one), "trials"):
        way = "trained"
        found += differences(made, module, one, again, alone, seldom)
    elif not found:
        way = "failed"
    CENSUS.judge("user class", made, answer, found, way)


def own_faults(made: Classes, answer: Answer) -> list[str]:
    """The faults of an answer; lines that the class prints are its own."""
    return [fault for fault in faults(answer) if "Prints" not in made.bases or fault != "too many lines"]


def differences(made: Classes, module: str, one: Path, again: Path, alone: Path, seldom: Path) -> list[str]:
    """What differs between a run and the same again, in packs of one, and evaluated at other steps.

    The class has been tried out: each time again would take longer than these runs.
    """
    found: list[str] = []
    for results, changes in ((again, {}), (alone, {"pack_size": "1"}), (seldom, {"eval_every": "3"})):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("harness.driver.preflight.try_out", lambda *_: [])
            answer = call(run.main, arguments(results, module, made, **changes))
        found += own_faults(made, answer)
        found += [] if answer.code in (0, 1) else [f"then exit code {answer.code}"]
    if found:
        return found
    tables = ("trials", "steps", "evals", "events")
    found += [] if same(one, again, tables) else ["two runs differ"]
    found += [] if same(one, alone, tables) else ["alone differs from in a pack"]
    found += [] if same(one, seldom, ("steps",)) else ["eval_every changes the training"]
    return found


@inputs(6, 200)
@given(made=classes())
def test_any_class_is_refused_or_its_numbers_repeat(folder, made):
    assert_refused_or_repeats(folder, made)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(KILLERS) if thorough() else ["ExitsQuietly", "Segfaults"])
def test_a_class_that_ends_its_process_is_refused_by_name(folder, name):
    made = Classes(source(name), (("model", name),))
    (folder / "killers.py").write_text(made.text)
    CENSUS.begin("user class that kills", name)
    answer = in_a_process(folder, arguments(folder / name, "killers", made))
    found = faults(answer)
    found += ["refused, but wrote"] if recorded(folder / name) else []
    found += [] if name in answer.err else ["the class is not named"]
    CENSUS.judge("user class that kills", name, answer, found)


def in_a_process(folder: Path, argv: list[str]) -> Answer:
    """The answer of a run in a process of its own; one that takes a minute is killed, with all it started."""
    environment = os.environ | {"PYTHONPATH": f"{Path(harness.__file__).parents[1]}:{folder}"}
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.run", *argv],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=60)
        return Answer(process.returncode, None, out, err)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return Answer(None, Hang("a minute"), *process.communicate())

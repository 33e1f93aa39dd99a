"""States of packs that train: a run that was cut goes on from there to the same bits."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from harness import Listener, Space, UserError, run_space
from harness.condition import Checkpoint
from harness.driver.states import States
from harness.executors import base
from harness.executors.base import Pace
from harness.planning.cohort import make_trial
from harness.planning.plan import make_pack
from harness.results import reader
from harness.results.folder import Folder
from harness.results.seal import BLANK, SEAL_KEY, sealed
from harness.training.loop import Training
from tests.commands import assert_same_tables, tables

SPACE = Space(
    name="tiny", summary="", models=("rnn",), optimizers=("adam",), lengths=(4,), max_norms=(1.0,),
    learning_rate=(0.01, 0.1), seeds=2, max_steps=80, observe=0, eval_every=10, pack_size=4, hidden_size=8,
    probes=(),
)  # fmt: skip
"""One pack of four trials, in eight blocks."""

PACK = make_pack(
    SPACE,
    tuple(make_trial(SPACE, condition, condition.learning_rate, seed)
          for condition in SPACE.conditions() for seed in range(2)),
)  # fmt: skip

FOUND = "*.safetensors"


@pytest.fixture(autouse=True)
def _states_cost_nothing(monkeypatch):
    monkeypatch.setattr(base, "LEAST_BETWEEN", 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return run(tmp_path_factory.mktemp("whole"))


def run(results: Path, space: Space = SPACE, **how) -> Path:
    return run_space(space, results, **{"executor": "serial", "engine": "eager", "save_every": 0} | how)


def cut(results: Path, patch: pytest.MonkeyPatch, blocks: int) -> Path:
    """A run that ended in the middle of its pack: the folder of its states."""
    advance = Training.advance

    def ends(self):
        if self.step == 10 * blocks:
            raise KeyboardInterrupt
        advance(self)

    with patch.context() as inner, pytest.raises(KeyboardInterrupt):
        inner.setattr(Training, "advance", ends)
        inner.setattr(base, "in_main_thread", lambda: False)  # so that the interruption is one of the run
        run(results)
    assert len(reader.read(results / "tiny", "trials")) == 0
    return results / "tiny" / "progress"


def begins(patch: pytest.MonkeyPatch) -> list[int]:
    """The steps from which blocks are trained from now on."""
    steps: list[int] = []
    advance = Training.advance

    def noting(self):
        steps.append(self.step)
        advance(self)

    patch.setattr(Training, "advance", noting)
    return steps


@pytest.mark.parametrize("blocks", [1, 5])
def test_a_run_that_was_cut_in_the_middle_of_a_pack_goes_on_there_to_the_same_bits(
    blocks, tmp_path, whole, monkeypatch
):
    states = cut(tmp_path, monkeypatch, blocks)
    assert len(list(states.glob(FOUND))) == 1
    steps = begins(monkeypatch)
    assert_same_tables(run(tmp_path), whole)
    assert steps[0] == 10 * blocks
    assert list(states.glob(FOUND)) == [], "the pack is recorded"


def lose_its_end(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)


def hold_another_pack(file: Path) -> None:
    other = make_pack(SPACE, PACK.trials[:2])
    States(Folder.of(file.parents[1]), held(file)).keep(other, Training(other).state())
    (mine,) = set(file.parent.glob(FOUND)) - {file}
    mine.replace(file)


def hold_what_fits_no_pack(file: Path) -> None:
    state = Training(PACK).state()
    shorter = {name: array[:1] for name, array in state.tensors.items() if not name.startswith("stream")}
    States(Folder.of(file.parents[1]), held(file)).keep(PACK, Checkpoint(shorter, state.metadata))


def hold_no_state(file: Path) -> None:
    file.write_bytes(sealed(save({"weights": np.zeros(3)}, {"state": json.dumps([]), SEAL_KEY: BLANK})))


def held(file: Path) -> dict:
    """The definition of the run that the state is of: its folder has recorded nothing yet."""
    return {"device": "cpu", "engine": "eager", **SPACE.definition()}


@pytest.mark.parametrize(
    "damage", [lose_its_end, flip_a_bit, hold_another_pack, hold_what_fits_no_pack, hold_no_state]
)
def test_a_state_that_is_damaged_or_foreign_is_ignored_and_the_pack_trained_from_its_start(
    damage, tmp_path, whole, monkeypatch
):
    (file,) = cut(tmp_path, monkeypatch, 3).glob(FOUND)
    damage(file)
    steps = begins(monkeypatch)
    assert_same_tables(run(tmp_path), whole)
    assert steps[0] == 0


def test_a_state_of_another_definition_is_neither_gone_on_from_nor_kept(tmp_path, monkeypatch):
    (file,) = cut(tmp_path, monkeypatch, 3).glob(FOUND)
    more = Space(**{**vars(SPACE), "seeds": 3})
    steps = begins(monkeypatch)

    class Looks(Listener):
        def started(self, start):
            assert not file.exists()

    run(tmp_path, more, listeners=[Looks()])
    assert steps[0] == 0


def test_a_state_that_cannot_be_written_costs_no_result(tmp_path, whole, monkeypatch):
    write_whole = Folder.write_whole

    def full(self, name, write):
        if name.startswith("progress"):
            raise OSError(28, "No space left on device")
        write_whole(self, name, write)

    monkeypatch.setattr(Folder, "write_whole", full)
    assert_same_tables(run(tmp_path), whole)


def test_a_run_without_states_has_the_same_numbers(tmp_path, whole):
    folder = run(tmp_path, save_every=float("inf"))
    assert_same_tables(folder, whole)
    assert not (folder / "progress").exists()
    assert len(tables(folder)["trials"]) == 4


def test_what_a_killed_run_left_half_written_is_cleared_away(tmp_path, whole):
    shutil.copytree(whole, tmp_path / "tiny")
    half = tmp_path / "tiny" / "progress" / ".x.safetensors.harness-part"
    half.touch()
    run(tmp_path)
    assert not half.exists()


@pytest.mark.parametrize("minutes", [-1, float("nan")])
def test_minutes_that_are_none_are_refused(minutes, tmp_path):
    with pytest.raises(UserError, match=r"wait_for_nodes=5 is for a cluster; give address=auto"):
        run(tmp_path, wait_for_nodes=5)
    with pytest.raises(UserError, match=r"save_every=.* expected a number of minutes >= 0"):
        run(tmp_path, save_every=minutes)


def test_a_state_is_due_after_so_many_minutes_and_never_costs_more_than_its_share(monkeypatch):
    monkeypatch.setattr(base, "LEAST_BETWEEN", 100)
    now = [0.0]
    monkeypatch.setattr(base.time, "monotonic", lambda: now[0])
    pace = Pace(1)
    now[0] = 59
    assert not pace.save_due()
    now[0] = 60
    assert pace.save_due()
    now[0] = 63  # it took 3 s
    pace.saved()
    now[0] = 362
    assert not pace.save_due()
    assert pace.beat_due()
    assert not pace.beat_due()
    now[0] = 363
    assert pace.save_due()


def test_a_pack_whose_process_is_about_to_go_hands_over_its_state_at_the_next_block():
    training = base.attempt(PACK, "cpu", "eager", leaving=iter([False, False, True]).__next__)
    heard = []
    while True:
        try:
            heard.append(next(training))
        except StopIteration as end:
            assert end.value == base.Leaves()
            break
    (state,) = (news for news in heard if isinstance(news, Checkpoint))
    assert state.metadata["step"] == 20


def test_after_the_last_block_more_patience_is_asked_for_and_then_comes_what_came_of_it():
    heard = []
    training = base.attempt(PACK, "cpu", "eager", save_every=float("inf"))
    while True:
        try:
            heard.append(next(training))
        except StopIteration as end:
            assert [result.trial for result in end.value] == list(PACK.trials)
            break
    assert heard[-1] == base.Beat(base.MEASURING)

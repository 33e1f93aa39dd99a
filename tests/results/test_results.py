import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness import probes
from harness.condition import Outcome, Pack, Result
from harness.errors import RecordsError
from harness.planning.growth import check_growth
from harness.planning.space import Space
from harness.results import reader
from harness.results.reader import read
from harness.results.schema import TRIAL_COLUMNS
from harness.results.writer import Writer
from tests.folders import make_summary
from tests.trials import make_condition, make_pack, make_trial

OPTIONS = {"encoding": str, "init": str, "forget_bias": float}


def open_writer(folder) -> Writer:
    return Writer(
        folder, definition(), [make_condition()],
        options=OPTIONS, measures=probes.measure_columns(), provenance={"git_commit": "abc"},
    )  # fmt: skip


def fake(pack: Pack) -> list[Result]:
    return [
        Result(
            trial=trial,
            outcome=Outcome.DIVERGED,
            summary=make_summary(objective=1.0, grad_norm_max=math.inf, final_loss=math.nan, diverged_step=3),
            steps={
                "step": np.arange(1, 4),
                "loss": np.array([2.0, 1e30, np.nan], dtype=np.float32),
                "score": np.zeros(3),
                "grad_norm": np.array([1.0, np.inf, np.nan]),
                "clip_coefficient": np.ones(3),
                "update_norm": np.full(3, np.nan),
                "weight_norm": np.full(3, np.nan),
                "learning_rate": np.full(3, 0.1),
                "seconds": np.full(3, 1e-3),
            },
            evals={"step": np.array([0]), "loss": np.array([2.3]), "score": np.array([0.1])},
        )
        for trial in pack.trials
    ]


def files(folder) -> list[str]:
    """All files below a folder but its lock."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != ".lock")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "results" / "test"


def test_tables_are_read_by_plain_pandas_and_nan_and_inf_survive(folder):
    writer = open_writer(folder)
    for length in (5, 6):
        pack = make_pack(2, length=length)
        writer.write_pack(pack, fake(pack))
    trials = pd.read_parquet(folder / "trials")
    assert len(trials) == 4
    assert set(trials["outcome"]) == {"diverged"}
    assert np.isinf(trials["grad_norm_max"]).all()
    assert trials["final_loss"].isna().all()
    steps = pd.read_parquet(folder / "steps")
    assert list(steps.columns) == [
        "trial_id", "step", "loss", "score", "grad_norm", "clip_coefficient", "update_norm", "weight_norm",
        "learning_rate", "seconds",
    ]  # fmt: skip
    assert len(steps) == 12
    assert np.isinf(steps["grad_norm"]).sum() == 4
    assert steps["loss"].isna().sum() == 4
    assert list(pd.read_parquet(folder / "evals").columns) == ["trial_id", "step", "loss", "score"]


NEEDED = """trial_id, condition_id, pack_id, phase, space, task, model, optimizer, length, max_norm,
hidden_size, batch_size, encoding, init, forget_bias, learning_rate, seed, outcome, steps, solved_step,
diverged_step, diverged_reason, final_score, best_score, control_score, initial_loss, final_loss, objective,
grad_norm_p50, grad_norm_p99, grad_norm_max, clipped_share, drops, seconds"""


def test_trials_have_their_columns(folder):
    pack = make_pack()
    open_writer(folder).write_pack(pack, fake(pack))
    assert {name.strip() for name in NEEDED.split(",")} <= set(read(folder, "trials").columns)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"los": 0.1}, "has los: a result fills no such column of the trials table; known: above_baseline, "),
        ({"seed": 1}, "has seed: "),  # the trial's own
        ({"forget_bias": 1.0}, "has forget_bias: "),  # an option, so the condition's own
    ],
)
def test_a_summary_with_a_value_that_is_no_column_is_refused_and_nothing_is_written(folder, change, said):
    writer, pack = open_writer(folder), make_pack(2)
    first, second = fake(pack)
    with pytest.raises(ValueError, match=f"the summary of trial {second.trial.trial_id} {said}"):
        writer.write_pack(pack, [first, dataclasses.replace(second, summary=second.summary | change)])
    assert files(folder) == []


def test_a_summary_without_a_column_is_refused_and_an_option_that_a_condition_has_not_is_null(folder):
    writer, pack = open_writer(folder), make_pack()
    (result,) = fake(pack)
    less = {name: value for name, value in result.summary.items() if name not in ("drops", "steps")}
    with pytest.raises(ValueError, match=r"lacks drops, steps; None says"):
        writer.write_pack(pack, [dataclasses.replace(result, summary=less)])
    writer.write_pack(pack, [result])
    assert read(folder, "trials")["forget_bias"].isna().all()


def test_columns_stand_in_their_order_whatever_the_order_of_the_summary(folder):
    writer, pack = open_writer(folder), make_pack()
    (result,) = fake(pack)
    turned = dict(reversed(result.summary.items()))
    writer.write_pack(pack, [dataclasses.replace(result, summary=turned)])
    columns = [*TRIAL_COLUMNS, *OPTIONS, *probes.measure_columns()]
    assert pq.read_table(folder / "trials").column_names == columns


def test_provenance_is_in_every_footer(folder):
    pack = make_pack()
    open_writer(folder).write_pack(pack, fake(pack))
    assert reader.provenance(folder) == [{"git_commit": "abc"}]


def test_a_pack_without_its_trials_file_does_not_exist_and_is_cleared_away(folder):
    writer = open_writer(folder)
    kept, cut = make_pack(length=5), make_pack(length=6)
    writer.write_pack(kept, fake(kept))
    writer.write_pack(cut, fake(cut))
    (folder / "trials" / f"{cut.pack_id}.parquet").unlink()  # killed just before the last file
    (folder / "steps" / ".x.parquet.harness-part").write_bytes(b"half")
    assert len(read(folder, "steps")) == 3
    for table in ("steps", "evals", "events", "moments", "profiles"):
        assert reader.committed_files(folder, table) == [f"{table}/{kept.pack_id}.parquet"]
    writer.close()
    open_writer(folder).repair()
    for table in ("steps", "evals", "events", "moments", "profiles"):
        assert sorted(p.name for p in (folder / table).iterdir()) == [f"{kept.pack_id}.parquet"]


def test_a_write_that_fails_leaves_nothing_behind(folder, monkeypatch):
    writer, pack = open_writer(folder), make_pack()

    def disk_full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        writer.write_pack(pack, fake(pack))
    assert files(folder) == []
    assert reader.read_definition(folder) is None, "nothing is held to a definition that recorded nothing"


def test_two_runs_cannot_write_to_one_folder(folder):
    writer = open_writer(folder)
    with pytest.raises(RecordsError, match="another run is writing"):
        open_writer(folder)
    writer.close()
    open_writer(folder)


def test_failures_are_named_counted_and_cleared_once_made_good(folder):
    writer, pack = open_writer(folder), make_pack(2)
    for attempts in (1, 2):
        writer.write_failure(pack, "RuntimeError: no luck")
        failures = pd.read_parquet(folder / "failures")
        assert failures["attempts"].tolist() == [attempts] * 2
        assert failures["trial_id"].tolist() == [t.trial_id for t in pack.trials]
        assert set(failures["error"]) == {"RuntimeError: no luck"}
    writer.write_pack(pack, fake(pack))
    assert len(read(folder, "failures")) == 0


def test_failures_made_good_in_other_packs_are_cleared_on_opening(folder):
    writer, pack = open_writer(folder), make_pack(2)
    writer.write_failure(pack, "x")
    for seed in (0, 1):
        single = Pack((make_trial(seed),))
        writer.write_pack(single, fake(single))
    writer.close()
    open_writer(folder).repair()
    assert len(read(folder, "failures")) == 0


def test_read_is_public_and_the_columns_are_known_without_pandas_or_torch():
    program = (
        "import sys, harness.results.schema\n"
        "assert not {'pandas', 'torch'} & set(sys.modules)\n"
        "from harness.results import read\n"
        "from harness.results.reader import read as same\n"
        "assert read is same and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_reading_a_folder_that_is_not_there_gives_no_rows(tmp_path):
    assert read(tmp_path / "none", "trials", columns=["trial_id"]).empty


def definition(**changes):
    return Space(name="test", summary="", **changes).definition()


@pytest.mark.parametrize(
    "grown",
    [
        {"seeds": 9},
        {"lengths": (5, 10, 15, 20)},
        {"max_norms": (math.inf, 1.0)},
        {"models": ("rnn", "lstm"), "optimizers": ("rmsprop", "sgd")},
        {"options": {"forget_bias": (0.0, 1.0)}},
        {"hidden_size": (32, 64)},
        {"clip_rules": ("norm", "zclip")},
    ],
)
def test_axes_and_report_seeds_may_grow(grown, tmp_path):
    check_growth(definition(), definition(**grown), tmp_path)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seeds": 7}, "seeds: 8 here, 7 asked for"),
        ({"probes": ("spectrum",)}, "probes: .*here, spectrum asked for"),
        ({"tuning_seeds": 3}, "tuning_seeds: 1 here, 3 asked for"),
        ({"lr_trials": 9}, "lr_trials: 7 here, 9"),
        ({"max_steps": 999}, "max_steps: 1000 here, 999"),
        ({"lengths": (5, 10)}, "lengths: 5,10,20 here, 5,10 asked for"),
        ({"learning_rate": (0.1,)}, "learning_rate: none here, 0.1 asked for"),
        ({"options": {"forget_bias": (0.0,)}}, "forget_bias: 1.0 here, 0.0 asked for"),
        ({"pack_size": 8}, "pack_size: 32 here, 8"),
        ({"scale": "paper"}, "scale"),
    ],
)
def test_any_other_change_is_refused_by_name(changed, named, tmp_path):
    with pytest.raises(RecordsError, match=named):
        check_growth(definition(), definition(**changed), tmp_path)


def test_a_definition_survives_json():
    one = definition(max_norms=(0.5, math.inf), learning_rate={"low": 1e-3, "high": 1e-1})
    assert json.loads(json.dumps(one)) == one


def test_a_component_that_gains_an_option_is_another_definition(tmp_path):
    held, wanted = definition(), definition()
    wanted["options"]["model rnn"]["depth"] = [1]
    with pytest.raises(RecordsError, match="depth: none here, 1 asked for"):
        check_growth(held, wanted, tmp_path)


def test_a_damaged_definition_is_a_clear_error(folder):
    folder.mkdir(parents=True)
    (folder / "space.json").write_text("")
    with pytest.raises(RecordsError, match=r"space.json is damaged"):
        reader.read_definition(folder)

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.condition import FIRST_TUNING_SEED
from harness.driver.listing import make_listing
from harness.planning.load import built_in_spaces, load_space
from harness.planning.parts import FACTS
from harness.results.reader import read, read_conditions
from harness.run import main
from tests.commands import (
    HELD,
    assert_same_tables,
    run_tiny,
    run_without_pictures,
    started_tiny,
    tiny_arguments,
    wait_until_held,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A finished run."""
    results = tmp_path_factory.mktemp("whole")
    assert run_tiny(results) == 0
    return results / "smoke"


@pytest.mark.contract
def test_the_conditions_table_has_the_levels_of_the_task(tmp_path):
    """Copying after a pause of 2: ten symbols of eight within 22 steps."""
    tiny = {
        "lengths": "2",
        "max_steps": "1",
        "observe": "0",
        "eval_every": "1",
        "seeds": "1",
        "models": "rnn",
    }
    sets = [f"--set={name}={value}" for name, value in (tiny | {"learning_rate": "0.01,0.02"}).items()]
    arguments = ["--space", "copy_study", "--executor", "serial", "--results", str(tmp_path), *sets]
    assert run_without_pictures(arguments) == 0
    (folder,) = tmp_path.iterdir()
    found = read_conditions(folder)
    assert found["baseline_loss"].tolist() == pytest.approx([10 * math.log(8) / 22] * 2)
    assert found[["chance", "solved_at", "drop_at"]].to_numpy().tolist() == [[1 / 8, 0.99, 0.9]] * 2
    assert found["asks"].str.startswith("Repeat ten symbols").all()
    size = int(found["hidden_size"][0])
    assert found["parameters"].tolist() == [size * (10 + size + 1) + 9 * (size + 1)] * 2


def test_conditions_of_an_older_folder_get_the_columns_that_they_lack(tmp_path, monkeypatch):
    """The second run trains nothing."""
    with monkeypatch.context() as older:
        older.setattr("harness.driver.driver.facts", lambda _: {})
        assert run_tiny(tmp_path) == 0
    assert not FACTS & {*read_conditions(tmp_path / "smoke")}
    monkeypatch.setattr("harness.executors.base.blocks", lambda *_: pytest.fail("trained again"))
    assert run_tiny(tmp_path) == 0
    assert {*read_conditions(tmp_path / "smoke")} >= FACTS


def test_a_run_leaves_tables_studies_a_report_and_its_definition(whole):
    assert {p.name for p in whole.iterdir()} == {
        ".lock", "conditions.parquet", "evals", "events", "moments", "optuna.journal", "profiles",
        "report.html", "space.json", "steps", "trials",
    }  # fmt: skip
    trials = read(whole, "trials")
    assert len(trials) == 2 * 2 * (3 * 1 + 1)
    assert trials["trial_id"].is_unique
    assert set(read(whole, "steps")["trial_id"]) == set(trials["trial_id"])


@pytest.mark.contract
def test_a_second_run_trains_nothing(whole, monkeypatch, capsys):
    before = {p: p.stat().st_mtime_ns for p in whole.rglob("*.parquet")}
    monkeypatch.setattr("harness.executors.base.blocks", lambda *_: pytest.fail("trained again"))
    assert run_tiny(whole.parent) == 0
    assert before == {p: p.stat().st_mtime_ns for p in whole.rglob("*.parquet")}
    output = capsys.readouterr()
    assert "16 already done" in output.err
    assert "report:" in output.out


@pytest.mark.contract
def test_growing_the_seeds_adds_and_keeps(whole, tmp_path):
    assert run_tiny(tmp_path) == 0
    assert run_tiny(tmp_path, seeds="3") == 0
    grown, before = read(tmp_path / "smoke", "trials"), read(whole, "trials")
    assert len(grown) == len(before) + 2 * (3 + 1)
    assert set(before["trial_id"]) <= set(grown["trial_id"])
    assert set(grown["seed"]) == set(before["seed"]) | {2, FIRST_TUNING_SEED + 2}


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("max_norms", "0.5", "max_norms: 1.0,inf here, 0.5"),
        ("lengths", "5", "lengths"),
        ("seeds", "1", "seeds: 2 here"),
    ],
)
def test_another_definition_is_refused_by_name_and_nothing_is_touched(whole, name, value, named, capsys):
    before = {p: p.stat().st_mtime_ns for p in whole.rglob("*") if p.is_file()}
    assert run_tiny(whole.parent, **{name: value}) == 2
    assert named in capsys.readouterr().err
    assert before == {p: p.stat().st_mtime_ns for p in whole.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--space", "cliping_study"],
        ["--space", "smoke", "--set", "lengthz=3"],
        ["--space", "smoke", "--set", "lengths=-3"],
        ["--space", "smoke", "--set", "max_norms=0"],
        ["--space", "smoke", "--set", "learning_rate=1:1e-3"],
        ["--space", "smoke", "--set", "models=lstn"],
        ["--space", "smoke", "--device", "cuda"],
    ],
)
def test_bad_input_is_one_line_and_exit_status_2_and_writes_nothing(arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main([*arguments, "--results", str(tmp_path / "results")]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert "\n" not in error
    assert list(tmp_path.iterdir()) == []


def test_list_names_everything(capsys):
    assert main(["--list", "--format", "json"]) == 0
    listing = json.loads(capsys.readouterr().out)
    assert set(listing) == {"spaces", "tasks", "models", "optimizers", "clip_rules", "probes", "options"}
    assert "clipping_study" in listing["spaces"]
    assert all(line for lines in listing.values() for line in lines.values())
    assert main(["--list"]) == 0
    assert "palindrome" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "unneeded"),
    [
        ("--help", {"torch", "numpy", "rich"}),
        ("--list", {"pydoc_data"}),  # the text of text_study
    ],
)
def test_what_a_question_needs_not_is_not_imported(argument, unneeded):
    unneeded |= {"scipy", "sklearn", "matplotlib", "jinja2", "pandas", "ray", "optuna", "torch_geometric"}
    program = (
        "import sys\n"
        "from harness.run import main\n"
        "try:\n"
        f"    main([{argument!r}])\n"
        "finally:\n"
        f"    print(sorted({unneeded!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_list_gives_every_space_its_summary():
    assert make_listing()["spaces"] == {name: load_space(name).summary for name in built_in_spaces()}


def test_dry_run_says_what_is_to_be_done_and_starts_nothing(whole, tmp_path, capsys):
    assert run_tiny(tmp_path, "--dry-run", "--format", "json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["conditions"], plan["trials"], plan["done"]) == (2, 16, 0)
    assert 0 < plan["core_minutes"] < plan["core_minutes_at_most"]
    assert list(tmp_path.iterdir()) == []
    assert run_tiny(whole.parent, "--dry-run", "--format", "json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["done"], plan["core_minutes"]) == (16, 0)


@pytest.mark.contract
def test_a_bug_in_a_model_is_recorded_as_failed_and_retried(tmp_path, monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("matrix is on fire")

    with monkeypatch.context() as patch:
        patch.setattr("harness.executors.base.blocks", broken)
        assert run_tiny(tmp_path) == 1
    output = capsys.readouterr()
    assert "matrix is on fire" in output.err
    failures = read(tmp_path / "smoke", "failures")
    assert len(failures) == 12
    assert failures["error"].str.contains("matrix is on fire").all()
    assert run_tiny(tmp_path) == 0
    assert read(tmp_path / "smoke", "failures").empty
    assert len(read(tmp_path / "smoke", "trials")) == 16


@pytest.mark.contract
def test_fixed_learning_rates_need_neither_ray_nor_optuna(tmp_path):
    arguments = tiny_arguments(tmp_path, learning_rate="0.1,1", lr_trials=None, lr_batch=None)
    program = (
        "import sys; sys.modules['ray'] = sys.modules['optuna'] = None\n"
        f"from harness.run import main; sys.exit(main({arguments!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(read(tmp_path / "smoke--learning_rate-fixed", "trials")) == 2 * 2 * 2


@pytest.fixture(scope="module")
def whole_held(tmp_path_factory) -> Path:
    """A finished run of the model that other runs are killed with."""
    results = tmp_path_factory.mktemp("whole_held")
    assert run_tiny(results, models=HELD) == 0
    return results / "smoke"


@pytest.mark.contract
@pytest.mark.parametrize("packs", [1, 3])
def test_killed_in_the_middle_the_same_command_finishes_the_rest(whole_held, tmp_path, packs):
    with started_tiny(tmp_path, hold_after=packs) as process:
        wait_until_held(process, tmp_path)
        os.kill(process.pid, signal.SIGKILL)
    kept = read(tmp_path / "smoke", "trials")
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "smoke" / "trials").glob("*.parquet")}
    assert len(kept) == 2 * packs < 10
    assert run_tiny(tmp_path, models=HELD) == 0
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in times.items()), "nothing is trained twice"
    assert_same_tables(tmp_path / "smoke", whole_held)


@pytest.mark.contract
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_how_to_go_on_and_exits_130(whole_held, tmp_path, number):
    with started_tiny(tmp_path, hold_after=2) as process:
        wait_until_held(process, tmp_path)
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command does the rest" in error
    assert "Traceback" not in error
    assert run_tiny(tmp_path, models=HELD) == 0
    assert_same_tables(tmp_path / "smoke", whole_held)

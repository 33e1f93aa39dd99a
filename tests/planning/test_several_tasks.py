"""Several tasks in one space: what is trained on which, at which lengths, and what is skipped or refused."""

import json

import pytest

from harness.errors import RecordsError, UserError
from harness.planning.fields import parse_settings
from harness.planning.growth import check_growth
from harness.planning.load import load_space
from harness.planning.plan import Plan, Workload
from harness.planning.space import Space
from harness.results.reader import read, read_conditions
from tests.commands import run_without_pictures


def space(**changes) -> Space:
    fields = dict(tasks=("palindrome", "adding"), models=("rnn",), lengths=(5, 10))
    return Space(name="test", summary="A test.", **fields | changes)


def setting(*settings: str, **changes) -> Space:
    return space(**changes).override(parse_settings(settings))


def points(this: Space) -> set[tuple[str, int]]:
    return {(c.task, c.length) for c in this.conditions()}


def test_every_task_is_trained_and_takes_its_own_options_only():
    tasks = dict(tasks=("palindrome", "recall"), lengths=(16,))
    grid = setting("encoding=one_hot,scalar", "pairs=3", **tasks).conditions()
    of = {task: [dict(c.options) for c in grid if c.task == task] for task in ("palindrome", "recall")}
    assert len(of["palindrome"]) == 2 * len(of["recall"])
    assert all("encoding" in options and "pairs" not in options for options in of["palindrome"])
    assert all(options["pairs"] == 3 and "encoding" not in options for options in of["recall"])


def test_an_option_that_two_tasks_have_reaches_both_and_keeps_the_default_of_each():
    shared = dict(tasks=("sbm", "graph_signal"), models=("gcn",))
    nodes = {c.task: dict(c.options)["nodes"] for c in space(**shared).conditions()}
    assert nodes == {"sbm": 40, "graph_signal": 48}
    grid = space(**shared, options={"nodes": 48}).conditions()
    assert {c.task: dict(c.options)["nodes"] for c in grid} == {"sbm": 48, "graph_signal": 48}
    assert {c.task: "nodes" in c.at_default for c in grid} == {"sbm": False, "graph_signal": True}


def test_lengths_are_the_same_for_every_task_or_given_by_task():
    assert points(space()) == {("palindrome", 5), ("palindrome", 10), ("adding", 5), ("adding", 10)}
    by_task = space(lengths={"palindrome": 5, "adding": (20, 40)})
    assert points(by_task) == {("palindrome", 5), ("adding", 20), ("adding", 40)}
    assert by_task.lengths_of("palindrome") == (5,)


def test_the_lengths_of_one_task_are_set_by_name_and_the_others_keep_theirs():
    assert points(setting("lengths.adding=20,40")) == points(
        space(lengths={"palindrome": (5, 10), "adding": (20, 40)})
    )
    assert points(setting("lengths.adding=20", "lengths=7")) == {("palindrome", 7), ("adding", 20)}
    changed = setting("lengths.adding=20").override(parse_settings(["lengths.palindrome=6"]))
    assert points(changed) == {("palindrome", 6), ("adding", 20)}
    joined = setting("tasks=palindrome,parity", "lengths.parity=8", tasks=("palindrome",))
    assert points(joined) == {("palindrome", 5), ("palindrome", 10), ("parity", 8)}


def test_a_task_that_is_set_aside_takes_its_lengths_along():
    both = space(lengths={"palindrome": 5, "adding": 20})
    assert points(both.override(parse_settings(["tasks=adding"]))) == {("adding", 20)}


REFUSED = {
    "task=adding": r"unknown field 'task' \(did you mean tasks\?\); known: tasks, ",
    "tasks=adding,adding": "tasks repeats adding",
    "tasks=": "tasks is empty",
    "tasks=ading": "no task named 'ading' .did you mean adding..; known: adding",
    "lengths.recall=20": "lengths.recall: the space has no task 'recall'; known: palindrome, adding",
    "lengths.adding=": "lengths.adding is empty",
    "lengths.adding=0": "lengths.adding=0 is not allowed",
    "lengths.palindrome=1": "task palindrome: lengths=1 is too short",
    "models=gcn_rnn": "models=gcn_rnn does not fit tasks=palindrome,adding; .* gcn_rnn: graph_signal$",
    "tasks=parity,karate": "models that fit karate: gat, gcn$",
    "sample_every=100": "sample_every=100: no text in tasks=palindrome,adding; expected 0",
    "corpus=x": "unknown field 'corpus' .it belongs to task text, not in this space.",
}


@pytest.mark.parametrize("text", REFUSED)
def test_bad_settings_of_tasks_are_refused_in_one_line(text):
    with pytest.raises(UserError, match=REFUSED[text]) as error:
        setting(text)
    assert "\n" not in str(error.value)


def test_a_task_without_lengths_is_refused():
    with pytest.raises(UserError, match=r"no value for task adding; give lengths\.adding, or "):
        space(lengths={"palindrome": (5,)})


def test_a_space_file_of_an_older_version_says_which_field_is_meant(tmp_path):
    file = tmp_path / "old.py"
    file.write_text("from harness import Space\nSPACE = Space(name='old', summary='', task='adding')\n")
    with pytest.raises(UserError, match=r"unexpected keyword argument 'task' .*\(did you mean tasks\?\)$"):
        load_space(str(file))


def test_pairs_that_do_not_fit_are_skipped_and_named():
    mixed = space(tasks=("palindrome", "graph_signal"), models=("rnn", "gcn_rnn"))
    pairs = {(c.task, c.model) for c in mixed.conditions()}
    assert pairs == {("palindrome", "rnn"), ("graph_signal", "rnn"), ("graph_signal", "gcn_rnn")}
    assert mixed.skipped == ["model gcn_rnn does not fit task palindrome"]
    assert space().skipped == []


def test_batch_sizes_that_do_not_fit_a_task_are_skipped_and_named():
    mixed = space(tasks=("sbm", "karate"), models=("gcn",), batch_size=(1, 4))
    assert {(c.task, c.batch_size) for c in mixed.conditions()} == {("sbm", 1), ("sbm", 4), ("karate", 1)}
    assert mixed.skipped == ["batch_size 4 does not fit task karate, which has one sequence"]


def test_a_batch_size_or_a_task_that_fits_nothing_is_refused():
    with pytest.raises(UserError, match=r"batch_size=4 does not fit tasks=karate, .*; expected 1"):
        space(tasks=("karate",), models=("gcn",), batch_size=(1, 4))
    with pytest.raises(UserError, match=r"batch_size=2,4 does not fit tasks=karate, .*; expected 1"):
        space(tasks=("sbm", "karate"), models=("gcn",), batch_size=(2, 4))


def test_only_tasks_that_have_text_are_sampled():
    mixed = space(
        tasks=("text", "recall"), models=("lstm",), lengths=16, learning_rate=(0.1,), sample_every=100
    )
    plan, sampled = Plan(mixed, {}), {}
    while (pack := plan.ask()) is not None:
        sampled[pack.trials[0].condition.task] = pack.sample_every
    assert sampled == {"text": 100, "recall": 0}


def test_what_is_left_is_counted_by_task_model_and_length():
    left = Plan(space(learning_rate=(0.1,), seeds=3), {}).left()
    assert left == {
        Workload(task, "rnn", length): 3 for task in ("palindrome", "adding") for length in (5, 10)
    }
    assert Workload.of(space().conditions()[0]) == ("palindrome", "rnn", 5)


@pytest.mark.parametrize(
    "grown",
    [
        {
            "tasks": ("adding", "palindrome", "recall"),
            "lengths": {"adding": (5, 10), "palindrome": (5, 10), "recall": 16},
        },
        {"lengths": {"palindrome": (5, 10), "adding": (5, 10, 20)}},
        {"lengths": (5, 8, 10)},
    ],
)
def test_tasks_and_the_lengths_of_each_may_grow(grown, tmp_path):
    check_growth(space().definition(), space(**grown).definition(), tmp_path)
    before = {c.condition_id for c in space().conditions()}
    assert before < {c.condition_id for c in space(**grown).conditions()}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"tasks": ("palindrome",)}, "tasks: palindrome,adding here, palindrome asked for"),
        ({"lengths": {"palindrome": (5, 10), "adding": (5,)}}, "lengths.adding: 5,10 here, 5 asked for"),
    ],
)
def test_tasks_and_lengths_may_not_shrink(changed, named, tmp_path):
    with pytest.raises(RecordsError, match=named):
        check_growth(space().definition(), space(**changed).definition(), tmp_path)


TINY = [
    "--executor=serial", "--set=learning_rate=0.1", "--set=models=rnn,gcn_rnn", "--set=seeds=1",
    "--set=max_steps=2", "--set=observe=0", "--set=eval_every=2", "--set=hidden_size=4", "--set=batch_size=4",
    "--set=probes=none",
]  # fmt: skip


@pytest.mark.contract
def test_a_run_trains_every_task_says_what_is_skipped_and_grows_by_a_task(tmp_path, capsys):
    command = ["--space=smoke", f"--results={tmp_path}", *TINY, "--set=lengths.graph_signal=3"]
    assert run_without_pictures([*command, "--set=tasks=palindrome,graph_signal"]) == 0
    assert "skipped: model gcn_rnn does not fit task palindrome\n" in capsys.readouterr().err
    (folder,) = tmp_path.iterdir()
    first = read(folder, "trials")
    assert set(first["task"]) == {"palindrome", "graph_signal"}
    assert set(first.loc[first["task"] == "graph_signal", "length"]) == {3}
    settings = ["--set=tasks=palindrome,graph_signal,copy", "--set=lengths.copy=1"]
    assert run_without_pictures([*command, *settings]) == 0
    grown = read(folder, "trials")
    assert set(first["trial_id"]) < set(grown["trial_id"])
    assert set(grown["task"]) == {"palindrome", "graph_signal", "copy"}
    assert set(read_conditions(folder)["task"]) == set(grown["task"])


def test_a_dry_run_costs_every_task_by_itself(tmp_path, capsys):
    command = ["--space=smoke", f"--results={tmp_path}", *TINY, "--dry-run", "--format=json"]
    command[command.index("--set=models=rnn,gcn_rnn")] = "--set=models=rnn"
    assert run_without_pictures([*command, "--set=tasks=palindrome,adding", "--set=lengths=5"]) == 0
    rows = json.loads(capsys.readouterr().out)["by_model_and_length"]
    assert [(row["task"], row["model"], row["length"]) for row in rows] == [
        ("palindrome", "rnn", 5),
        ("adding", "rnn", 5),
    ]

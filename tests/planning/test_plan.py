import heapq
import math
import random

import pytest

from harness.condition import FIRST_TUNING_SEED, Outcome, Pack, Result
from harness.planning.cohort import later_rounds
from harness.planning.plan import Plan
from harness.planning.space import Space


def space(**changes) -> Space:
    fields = dict(
        models=("rnn",),
        optimizers=("rmsprop", "sgd"),
        lengths=(5, 6),
        max_norms=(1.0, math.inf),
        lr_trials=7,
        lr_extend=0,
        tuning_seeds=2,
        seeds=3,
        pack_size=8,
    )
    return Space(name="test", summary="A test.", **fields | changes)


def fake_results(pack: Pack, seconds=lambda trial: 1.0) -> list[Result]:
    """An objective that is a function of the trial."""
    return [
        Result(
            trial=t,
            outcome=Outcome.STABLE,
            summary={
                "objective": min(1.0, abs(math.log10(t.learning_rate / 3e-3)) / 4 + t.seed % 3 / 100),
                "seconds": seconds(t),
            },
        )
        for t in pack.trials
    ]


def run_plan(
    plan: Plan, workers: int = 1, stop_after: int | None = None, seed: int = 0, results_of=fake_results
) -> dict[str, Pack]:
    """Train with several packs out at a time, returned in random order; the packs by trial_id."""
    order, out, trained = random.Random(seed), [], {}
    told = 0
    while not plan.finished and told != stop_after:
        while len(out) < workers and (pack := plan.ask()) is not None:
            out.append(pack)
        pack = out.pop(order.randrange(len(out)))
        results = results_of(pack)
        plan.tell(pack, results)
        told += 1
        for result in results:
            assert result.trial.trial_id not in trained, "trained twice"
            trained[result.trial.trial_id] = (pack.pack_id, result)
    return trained


def test_every_condition_gets_the_same_budget():
    trained = run_plan(Plan(space(), {}))
    budgets: dict = {}
    for _, result in trained.values():
        trial = result.trial
        budgets.setdefault(trial.condition, {"tune": [], "report": []})[trial.phase].append(trial)
    assert len(budgets) == len(space().conditions())
    for condition, phases in budgets.items():
        assert [t.seed for t in sorted(phases["report"], key=lambda t: t.seed)] == [0, 1, 2]
        for run in phases["report"]:
            first = FIRST_TUNING_SEED + 2 * run.seed
            tuning = [t for t in phases["tune"] if t.seed in (first, first + 1)]
            assert len(tuning) == 7 * 2, condition
            assert len({t.learning_rate for t in tuning}) == 7
            assert run.learning_rate in {t.learning_rate for t in tuning}
        assert len(phases["tune"]) == 3 * 7 * 2


def test_every_report_seed_runs_at_the_rate_that_its_own_tuning_chose():
    """The tuning of seed 1 finds high rates best, the others low ones."""
    plan = Plan(space(lr_trials=5), {})
    rates: dict = {}
    while (pack := plan.ask()) is not None:
        results = fake_results(pack)
        for result in results:
            t = result.trial
            of = (t.seed - FIRST_TUNING_SEED) // 2
            result.summary["objective"] = float((t.learning_rate < 2e-3) == (of == 1))
            if t.phase == "report" and t.condition.optimizer == "rmsprop":
                rates.setdefault(t.seed, set()).add(t.learning_rate)
        plan.tell(pack, results)
    assert rates == {0: {1e-4}, 1: {0.00316228}, 2: {1e-4}}


@pytest.mark.parametrize("workers", [2, 5])
def test_trials_rates_and_packs_do_not_depend_on_workers_or_order(workers):
    serial = {k: pack for k, (pack, _) in run_plan(Plan(space(), {})).items()}
    parallel = {k: pack for k, (pack, _) in run_plan(Plan(space(), {}), workers, seed=workers).items()}
    assert serial == parallel


@pytest.mark.parametrize("stop_after", [1, 4, 9, 14])
def test_an_interrupted_plan_goes_on_with_the_same_trials_in_the_same_packs(stop_after):
    whole = run_plan(Plan(space(), {}))
    first = run_plan(Plan(space(), {}), workers=3, stop_after=stop_after)
    recorded = {k: result.summary["objective"] for k, (_, result) in first.items()}
    plan = Plan(space(), recorded)
    assert plan.done == len(first)
    second = run_plan(plan, workers=2)
    assert not first.keys() & second.keys()
    assert {k: pack for k, (pack, _) in (first | second).items()} == {
        k: pack for k, (pack, _) in whole.items()
    }


def test_a_finished_plan_asks_for_nothing():
    recorded = {k: r.summary["objective"] for k, (_, r) in run_plan(Plan(space(), {})).items()}
    plan = Plan(space(), recorded)
    assert plan.finished
    assert plan.ask() is None
    assert plan.done == plan.total == len(recorded)


@pytest.mark.parametrize("grown", [{"seeds": 5}, {"lengths": (5, 6, 7)}, {"max_norms": (0.5, 1.0, math.inf)}])
def test_a_grown_space_trains_only_what_is_new(grown):
    recorded = {k: r.summary["objective"] for k, (_, r) in run_plan(Plan(space(), {})).items()}
    new = run_plan(Plan(space(**grown), recorded))
    everything = run_plan(Plan(space(**grown), {}))
    assert recorded.keys() | new.keys() == everything.keys()
    assert not recorded.keys() & new.keys()


def test_a_failure_stops_its_cohort_and_no_other():
    plan = Plan(space(), {})
    failed = plan.ask()
    plan.fail(failed)
    trained = run_plan(plan)
    key = failed.trials[0].condition.siblings_key()
    assert plan.finished
    assert not any(
        r.trial.phase == "report" for _, r in trained.values() if r.trial.condition.siblings_key() == key
    )
    others = [r for _, r in trained.values() if r.trial.condition.siblings_key() != key]
    assert sum(r.trial.phase == "report" for r in others) == 3 * 2 * 3
    assert plan.left().total() == plan.total - len(trained)


def test_fixed_learning_rates_are_an_axis_and_nothing_is_tuned():
    fixed = space(learning_rate=(1e-3, 1e-2))
    trained = run_plan(Plan(fixed, {}))
    assert len(trained) == len(fixed.conditions()) * 3
    assert {r.trial.phase for _, r in trained.values()} == {"report"}


def test_packs_hold_siblings_sorted_by_max_norm_rate_and_seed():
    plan = Plan(space(), {})
    pack = plan.ask()
    keys = [(t.condition.max_norm, t.learning_rate, t.seed) for t in pack.trials]
    assert keys == sorted(keys)
    assert len(pack.trials) == 8


@pytest.mark.parametrize(
    ("changes", "sizes"),
    [
        ({"lr_trials": 7, "lr_batch": 5}, [5, 2]),
        ({"lr_trials": 12, "lr_batch": 3}, [4, 3, 3, 2]),
        ({"lr_trials": 6, "lr_batch": 6}, [6]),
        ({"lr_trials": 4, "learning_rate": {"low": 1e-2, "high": 2e-2}, "lr_batch": 1}, [2, 1, 1]),
    ],
)
def test_rounds_start_with_the_grid_and_add_up_to_lr_trials(changes, sizes):
    this = space(**changes)
    assert [len(this.first_grid("rmsprop")), *later_rounds(this, "rmsprop")] == sizes


def ends(plan: Plan, workers: int, seconds) -> list[float]:
    """When each of so many workers ends its last pack, if trials take `seconds` one after the other."""
    busy: list[tuple[float, int, Pack]] = []  # until when, and a number that orders equal ends
    last = [0.0] * workers
    idle, now = list(range(workers)), 0.0
    while not plan.finished:
        while idle and (pack := plan.ask()) is not None:
            worker = idle.pop()
            heapq.heappush(busy, (now + sum(map(seconds, pack.trials)), worker, pack))
        now, worker, pack = heapq.heappop(busy)
        last[worker] = now
        idle.append(worker)
        plan.tell(pack, fake_results(pack, seconds))
    return sorted(last)


SECONDS = {"gru": 4.0, "mgu": 3.0, "rnn": 1.0, "lstm": 10.0}


@pytest.mark.parametrize("rates", [{}, {"learning_rate": (0.1,)}])
def test_what_takes_longest_goes_first_so_that_no_worker_waits_long_for_the_last(rates):
    """The last model costs most, and nothing but what has ended says so."""
    plan = Plan(space(models=tuple(SECONDS), optimizers=("sgd",), lengths=(5,), seeds=36, **rates), {})
    first, *_, end = ends(plan, 4, lambda trial: SECONDS[trial.condition.model])
    assert end - first < 0.1 * end


def test_of_many_cohorts_every_pack_is_asked_for_once_and_what_takes_longest_goes_first():
    """They are ranked again every few packs only."""
    lengths = tuple(range(4, 44))
    plan = Plan(space(optimizers=("sgd",), lengths=lengths, seeds=12, learning_rate=(0.1, 0.2)), {})
    first, *_, end = ends(plan, 4, lambda trial: float(trial.condition.length))
    assert end - first < 0.1 * end
    assert plan.done == plan.total
    again = Plan(space(lengths=lengths), {})
    assert len(run_plan(again, workers=3)) == again.total


def test_every_workload_has_its_first_pack_before_another_has_its_second():
    plan = Plan(space(lengths=tuple(range(4, 44)), optimizers=("sgd",), learning_rate=(0.1,), seeds=20), {})
    first = [plan.ask() for _ in range(40)]
    assert len({pack.trials[0].condition.length for pack in first}) == 40

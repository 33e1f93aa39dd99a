"""Plans whose trials are not known before: ranges of learning rates grow, and seeds are added."""

import math
from dataclasses import replace

import pytest

from harness.condition import FIRST_TUNING_SEED, Outcome, Pack, Result
from harness.planning.plan import Plan
from harness.planning.space import Space
from tests.planning.test_plan import fake_results, run_plan, space


def best_at(rate_of):
    """Results with the lowest objective at `rate_of(trial)`, for `run_plan`."""

    def results(pack: Pack) -> list[Result]:
        found = fake_results(pack)
        for result in found:
            away = abs(math.log10(result.trial.learning_rate / rate_of(result.trial)))
            result.summary["objective"] = min(1.0, away / 8)
        return found

    return results


def below_or_inside(trial) -> float:
    """Report seed 1 is best two decades below its range, the others inside or above it."""
    of = trial.seed if trial.phase == "report" else (trial.seed - FIRST_TUNING_SEED) // 2
    return {0: 1e-2, 1: 1e-6}.get(of, 1.0)


def growing(**changes) -> Space:
    """A grid of four rates, and one that TPE proposes after its growth."""
    fields = dict(optimizers=("rmsprop",), lengths=(5,), lr_extend=2, lr_trials=5, lr_batch=1, pack_size=6)
    return space(**fields | changes)


def trials_of(trained) -> dict:
    """What was trained, by trial_id: the packs of trials that a growth adds may be others."""
    return {trial_id: result.trial for trial_id, (_, result) in trained.items()}


def test_a_range_grows_for_the_seeds_whose_best_lies_at_its_end_and_for_no_other():
    trained = run_plan(Plan(growing(), {}), results_of=best_at(below_or_inside))
    for condition in growing().conditions():
        tried: dict = {0: set(), 1: set(), 2: set()}
        for trial in trials_of(trained).values():
            if trial.condition == condition and trial.phase == "tune":
                tried[(trial.seed - FIRST_TUNING_SEED) // 2].add(trial.learning_rate)
        ranges = {seed: (min(rates), max(rates)) for seed, rates in tried.items()}
        assert ranges == {0: (1e-4, 1e-1), 1: (1e-6, 1e-1), 2: (1e-4, 10.0)}
        assert {seed: len(rates) for seed, rates in tried.items()} == {0: 5, 1: 5 + 2, 2: 5 + 2}


@pytest.mark.parametrize("workers", [2, 7])
def test_ranges_grow_alike_whatever_is_done_first(workers):
    results_of = best_at(below_or_inside)
    serial = run_plan(Plan(growing(), {}), results_of=results_of)
    parallel = run_plan(Plan(growing(), {}), workers, seed=workers, results_of=results_of)
    assert {k: pack for k, (pack, _) in serial.items()} == {k: pack for k, (pack, _) in parallel.items()}


def test_an_interrupted_growth_goes_on_from_every_point_of_it():
    results_of, this = best_at(below_or_inside), growing(lr_trials=4)
    whole = trials_of(run_plan(Plan(this, {}), results_of=results_of))
    packs = 0
    while True:
        packs += 1
        first = run_plan(Plan(this, {}), 3, packs, seed=packs, results_of=results_of)
        recorded = {k: result.summary["objective"] for k, (_, result) in first.items()}
        plan = Plan(this, recorded)
        assert plan.done == len(first)
        second = run_plan(plan, 2, results_of=results_of)
        assert not first.keys() & second.keys()
        assert trials_of(first | second) == whole
        assert plan.total == plan.done == len(whole)
        if not second:
            break
    assert packs > 10


def test_more_seeds_change_no_growth_of_those_that_are_there():
    results_of = best_at(below_or_inside)
    before = run_plan(Plan(growing(seeds=2), {}), results_of=results_of)
    recorded = {k: result.summary["objective"] for k, (_, result) in before.items()}
    more = run_plan(Plan(growing(seeds=4), recorded), results_of=results_of)
    everything = run_plan(Plan(growing(seeds=4), {}), results_of=results_of)
    assert trials_of(before | more) == trials_of(everything)
    assert not before.keys() & more.keys()


def test_a_total_that_grows_is_counted_as_it_grows():
    plan = Plan(growing(), {})
    at_start = len(growing().conditions()) * growing().trials_per_condition
    assert (plan.total, plan.may_grow) == (at_start, True)
    totals, known = [plan.total], 0
    while (pack := plan.ask()) is not None:
        plan.tell(pack, best_at(below_or_inside)(pack))
        known += len(pack.trials)
        totals.append(plan.total)
        assert sum(plan.grown().values()) == totals[-1] - totals[-2]
        assert (plan.done, plan.left().total()) == (known, plan.total - known)
    assert totals == sorted(totals)
    assert (plan.total, plan.may_grow) == (at_start + 2 * 2 * (2 + 2), False)
    assert plan.total <= 2 * growing().most_trials("rmsprop")


def stable_in(share_of):
    """Results of which a share of the seeds is stable, by condition; every second seed for one half."""

    def results(pack: Pack) -> list[Result]:
        return [
            replace(result, outcome=Outcome.STABLE if is_stable(result.trial, share_of) else Outcome.LOST)
            for result in fake_results(pack)
        ]

    return results


def is_stable(trial, share_of) -> bool:
    """Whether this seed is among the stable ones."""
    share = share_of(trial.condition)
    return math.floor((trial.seed + 1) * share) > math.floor(trial.seed * share)


def half_at_six(condition) -> float:
    """Half of the seeds are stable at length 6 without clipping, else all."""
    return 0.5 if (condition.length, condition.max_norm) == (6, math.inf) else 1.0


def sharp(**changes) -> Space:
    rule = "until:width=0.3,batch=4,max=30"
    return space(**dict(optimizers=("rmsprop", "sgd"), lr_trials=4, tuning_seeds=1, seeds=rule) | changes)


def seeds_of(trained) -> dict:
    """The report seeds of every condition."""
    found: dict = {}
    for trial in trials_of(trained).values():
        if trial.phase == "report":
            found.setdefault(trial.condition, set()).add(trial.seed)
    return found


def resumed(this: Space, first) -> Plan:
    """A plan of which this much is recorded."""
    recorded = {k: result.summary["objective"] for k, (_, result) in first.items()}
    stable = [k for k, (_, result) in first.items() if result.outcome == Outcome.STABLE]
    return Plan(this, recorded, stable)


def test_seeds_are_added_until_every_condition_of_a_length_is_sharp():
    """All stable: [.76, 1] with 12 seeds. Half stable, the interval of 30 is still wider than .3."""
    trained = run_plan(Plan(sharp(), {}), results_of=stable_in(half_at_six))
    number = {5: 12, 6: 30}
    assert seeds_of(trained) == {c: set(range(number[c.length])) for c in sharp().conditions()}


@pytest.mark.parametrize("fixed", [{}, {"learning_rate": (0.1,)}])
def test_seeds_are_added_alike_whatever_is_done_first_and_from_every_point_on(fixed):
    this, results_of = sharp(lengths=(6,), optimizers=("sgd",), **fixed), stable_in(half_at_six)
    whole = trials_of(run_plan(Plan(this, {}), results_of=results_of))
    assert trials_of(run_plan(Plan(this, {}), 5, seed=1, results_of=results_of)) == whole
    packs, second = 0, {None: None}
    while second:
        packs += 3
        first = run_plan(Plan(this, {}), 3, packs, seed=packs, results_of=results_of)
        plan = resumed(this, first)
        assert plan.done == len(first)
        second = run_plan(plan, 2, results_of=results_of)
        assert trials_of(first | second) == whole
        assert (plan.done, plan.total, plan.may_grow) == (len(whole), len(whole), False)
    assert packs > 6


def test_a_fault_stops_the_seeds_of_its_length_and_no_others():
    this = sharp(learning_rate=(0.1,), optimizers=("sgd",))
    plan = Plan(this, {})
    failed = plan.ask()
    assert {trial.condition.length for trial in failed.trials} == {6}
    plan.fail(failed)
    trained = run_plan(plan, results_of=stable_in(half_at_six))
    assert {c.length: len(seeds) for c, seeds in seeds_of(trained).items()} == {5: 12}
    again = trials_of(run_plan(resumed(this, trained), results_of=stable_in(half_at_six)))
    assert trials_of(trained) | again == trials_of(
        run_plan(Plan(this, {}), results_of=stable_in(half_at_six))
    )


def test_a_sharper_rule_goes_on_with_what_is_there():
    results_of = stable_in(half_at_six)
    first = run_plan(Plan(sharp(learning_rate=(0.1,)), {}), results_of=results_of)
    sharper = sharp(learning_rate=(0.1,), seeds="until:width=0.2,batch=4,max=40")
    second = run_plan(resumed(sharper, first), results_of=results_of)
    assert trials_of(first | second) == trials_of(run_plan(Plan(sharper, {}), results_of=results_of))

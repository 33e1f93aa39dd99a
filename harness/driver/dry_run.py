"""What a run would do, what is already done, and what the rest costs: what `--dry-run` prints."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from harness.condition import Condition
from harness.driver.engine import engine_for, engines_of
from harness.driver.estimate import Recorded, estimate, recorded_in
from harness.driver.preflight import Job, check_job
from harness.driver.rates import Rates, measured_rates
from harness.executors.base import one_thread
from harness.planning.cost import Workload
from harness.planning.plan import plan_of
from harness.planning.space import Space
from harness.results import reader


class Remaining(NamedTuple):
    """Trials that are not recorded, by task, model and length, and those of the whole plan, recorded or not.

    Ranges of learning rates may grow, and seeds may be added: `total` is what is known of now, `at_most` if
    all of them grow to their ends.
    """

    left: Counter[Workload]
    total: int
    at_most: int


def print_dry_run(
    space: Space, results: str, how: Mapping[str, Any], style: str, out: Console, err: Console
) -> None:
    """Print what `run_space(space, results, **how)` would do, as "text" or "json".

    Raises what that would raise before it starts.
    """
    with one_thread(), err.status("trying out every model") as status:
        job = check_job(space, results, **how)
        status.update("measuring this machine")
        rates = {name: measured_rates(job.device, name) for name in engines_of(space, job.engine)}
        status.update("counting the operations of every condition")
        found = dry_run(job, rates)
    for pair in space.skipped:
        err.print(f"skipped: {pair}")
    for line in job.notes:
        err.print(line)
    if style == "json":
        out.print(json.dumps(found, indent=1))
        return
    rows = found["by_model_and_length"]
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        drawn.add_column(name.replace("_", " "), justify="left" if name in ("task", "model") else "right")
    for row in rows:
        drawn.add_row(*(str(value) for value in row.values()))
    out.print(drawn)
    grows = found["trials_at_most"] > found["trials"]
    least = "at least " if grows else ""
    growth = f" ({found['trials_at_most']} if ranges and seeds grow to their ends)" if grows else ""
    out.print(
        f"{space.name} ({space.scale}) on {found['device']} ({found['engine']}): "
        f"{found['conditions']} conditions, "
        f"{least}{found['trials']} trials{growth}, {found['done']} already done in {found['folder']}"
    )
    out.print(
        f"about {found['core_minutes']:.3g} core-minutes if every trial runs for max_steps, "
        f"{space.max_steps} steps; at most {found['core_minutes_at_most']:.3g} if every one goes on for "
        f"observe, {space.observe} more{', before anything grows' if grows else ''}. Nothing was started."
    )
    out.print(f"This rests on {found['rests_on']}")


def dry_run(job: Job, rates: Mapping[str, Rates]) -> dict[str, Any]:
    """Counts of conditions and trials, core-minutes in all, what they rest on, and the rows of `estimate`."""

    def rates_of(condition: Condition) -> Rates:
        return rates[engine_for(condition, job.engine)]

    space = job.space
    remaining = left_of(job)
    recorded = recorded_in(job.folder, space, rates_of)
    rows = estimate(space, remaining.left, rates_of, recorded)
    return {
        "space": space.name,
        "scale": space.scale,
        "folder": str(job.folder),
        "device": job.device,
        "engine": job.engine,
        "conditions": sum(row["conditions"] for row in rows),
        "trials": remaining.total,
        "trials_at_most": remaining.at_most,
        "done": remaining.total - remaining.left.total(),
        "core_minutes": sum(row["core_minutes"] for row in rows),
        "core_minutes_at_most": sum(row["core_minutes_at_most"] for row in rows),
        "rests_on": basis(rates[job.engine], recorded),
        "by_model_and_length": rows,
    }


def left_of(job: Job) -> Remaining:
    """What remains of a job; a plan, which holds its first rounds whole, is made only if it is needed."""
    space = job.space
    conditions = space.conditions()
    optimizers = Counter(condition.optimizer for condition in conditions)
    at_most = sum(number * space.most_trials(optimizer) for optimizer, number in optimizers.items())
    if reader.committed_files(job.folder, "trials"):
        plan = plan_of(space, reader.ends(job.folder))
        return Remaining(plan.left(), plan.total, at_most if plan.may_grow else plan.total)
    left: Counter[Workload] = Counter()
    for condition in conditions:
        left[Workload.of(condition)] += space.trials_per_condition
    return Remaining(left, left.total(), at_most)


def basis(rates: Rates, recorded: Recorded) -> str:
    """What an estimate rests on, in a sentence."""
    counted = (
        f"the operations of a step, counted, at this machine's rates: {rates.operation * 1e6:.2g} us for a "
        f"tensor operation, {rates.multiply_add * 1e12:.2g} ps for a multiply-add, "
        f"{rates.number * 1e12:.3g} ps for a number written"
    )
    if not recorded.trials:
        return f"{counted}. No recorded trial has set it right yet."
    factors = ", ".join(f"{task} {model} {f:.2f}" for (task, model), f in sorted(recorded.factors.items()))
    return f"{counted}; times what {recorded.trials} recorded trials took more or less: {factors}."

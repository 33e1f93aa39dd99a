"""What a run would do, what is already done, and what the rest costs: what `--dry-run` prints."""

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.driver.estimate import estimate
from harness.driver.preflight import Job, check_job
from harness.executors.base import one_thread
from harness.planning.plan import Plan
from harness.planning.space import Space
from harness.results import reader


def print_dry_run(
    space: Space, results: str, how: Mapping[str, Any], style: str, out: Console, err: Console
) -> None:
    """Print what `run_space(space, results, **how)` would do, as "text" or "json".

    Raises what that would raise before it starts.
    """
    with one_thread(), err.status("timing a short pack of every model and length"):
        job = check_job(space, results, **how)
        found = dry_run(job)
    for pair in space.skipped:
        err.print(f"skipped: {pair}")
    for line in job.found:
        err.print(f"found: {line}")
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
    out.print(
        f"{space.name} ({space.scale}) on {found['device']}: {found['conditions']} conditions, "
        f"{found['trials']} trials, {found['done']} already done in {found['folder']}"
    )
    out.print(
        f"about {found['core_minutes']:.3g} core-minutes if every trial runs for max_steps, "
        f"{space.max_steps} steps; at most {found['core_minutes_at_most']:.3g} if every one goes on for "
        f"observe, {space.observe} more. Nothing was started."
    )


def dry_run(job: Job) -> dict[str, Any]:
    """Counts of conditions and trials, core-minutes in all, and the rows of `estimate`."""
    space = job.space
    plan = Plan(space, reader.objectives(job.folder))
    rows = estimate(space, plan, job.device)
    return {
        "space": space.name,
        "scale": space.scale,
        "folder": str(job.folder),
        "device": job.device,
        "conditions": len(space.conditions()),
        "trials": plan.total,
        "done": plan.done,
        "core_minutes": sum(row["core_minutes"] for row in rows),
        "core_minutes_at_most": sum(row["core_minutes_at_most"] for row in rows),
        "by_model_and_length": rows,
    }

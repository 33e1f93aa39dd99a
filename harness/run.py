"""The command line: python -m harness.run --space NAME. Puts space, plan, executor and records together."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from harness import probes
from harness.condition import PARTS, Pack, Result
from harness.driver.estimate import estimate
from harness.driver.interrupts import terminated_as_interrupted, uninterrupted
from harness.driver.preflight import try_out
from harness.driver.progress import RunProgress
from harness.driver.summary import summarise
from harness.errors import RecordsError, UserError
from harness.executors.base import Failure
from harness.executors.serial import run_serial
from harness.planning.fields import parse_settings
from harness.planning.growth import check_growth
from harness.planning.load import built_in_spaces, load_space
from harness.planning.parts import REGISTRIES
from harness.planning.plan import Plan
from harness.planning.space import Space
from harness.registry import first_line
from harness.results import reader
from harness.results.folder import Folder
from harness.results.provenance import provenance
from harness.results.writer import Writer
from harness.training.loop import build_task

OK, FAILED_TRIALS, REFUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""

out = Console(
    markup=False, emoji=False, highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120
)
err = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = parser().parse_args(argv)
    try:
        if arguments.list:
            show_list(arguments.format)
            return OK
        space = load_space(arguments.space).at_scale(arguments.scale)
        space = space.override(parse_settings(arguments.set))
        device = choose_device(arguments.device, arguments.address)
        check_executor(space, arguments)
        folder = Path(str(Folder.to_write(arguments.results))) / space.folder_name
        definition = {"device": device, **space.definition()}
        held = reader.read_definition(folder)
        if held is not None:
            check_growth(held, definition, folder)
        torch.set_num_threads(1)
        try_out(space, "cpu")
        for pair in space.skipped:
            err.print(f"skipped: {pair}")
        if arguments.dry_run:
            show_plan(space, folder, device, arguments.format)
            return OK
        return run(space, folder, definition, device, arguments)
    except (UserError, RecordsError) as error:
        err.print(f"error: {error}")
        return REFUSED
    except KeyboardInterrupt:
        err.print("Interrupted. What was finished is kept; the same command does the rest.")
        return INTERRUPTED
    except OSError as error:
        err.print(
            f"error: {error} (below {arguments.results}). What was finished is kept; "
            "the same command does the rest."
        )
        return FAILED_TRIALS


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.run",
        description="Train every condition of a space and record how stably it trained. The same command "
        "run again does only what is missing.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--space", help="built-in name, or path to a Python file that binds SPACE")
    what.add_argument("--list", action="store_true", help="list everything that a space can name")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE[,VALUE...]",
        help="replace a field of the space, such as lengths=5,10 or max_norms=0.5,inf; may be repeated",
    )
    parser.add_argument("--results", default="results", metavar="DIR", help="default: results")
    parser.add_argument("--scale", choices=("laptop", "paper"), default="laptop")
    parser.add_argument("--executor", choices=("ray", "serial"), default="ray", help="default: ray")
    parser.add_argument("--address", help="join a running Ray cluster: auto or host:port")
    parser.add_argument("--workers", type=positive, help="packs trained at a time (default: one per core)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and start nothing")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="for --list and --dry-run")
    return parser


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def choose_device(wanted: str, address: str | None) -> str:
    """The device to train on; 'auto' is this machine's GPU if there is one."""
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available and address is None:  # a cluster's GPUs may be on other hosts
        raise UserError("--device cuda: torch sees no GPU here; known: cpu")
    return wanted if wanted != "auto" else "cuda" if available else "cpu"


def check_executor(space: Space, arguments: argparse.Namespace) -> None:
    """Raise UserError if a package that this run needs is missing, or an argument would be ignored."""
    executor = arguments.executor
    if executor == "serial":
        for name in ("workers", "address"):
            if getattr(arguments, name) is not None:
                raise UserError(f"--{name} is for --executor ray; --executor serial runs in this process")
    if executor == "ray" and find_spec("ray") is None:
        raise UserError("--executor ray: Ray is not installed; install 'ray[tune]' or use --executor serial")
    if space.tuned and find_spec("optuna") is None:
        raise UserError("tuning needs Optuna, which is not installed; install 'optuna' or fix learning_rate")


def run(space: Space, folder: Path, definition: dict[str, Any], device: str, arguments: Any) -> int:
    """Train what is missing, then summarise; the exit code says whether all of it is there."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    where = provenance(definition, arguments.executor, device, gpu)
    recorder = Writer(
        folder,
        definition,
        space.conditions(),
        options=space.option_columns(),
        measures=probes.columns(),
        provenance=where,
        moment_columns=probes.moment_columns(space.probes),
        levels=levels(space),
    )
    plan = Plan(space, reader.objectives(folder))
    left = plan.left()
    err.print(
        f"{space.name}: {len(space.conditions())} conditions, {plan.total} trials, {plan.done} already done; "
        f"results in {folder}"
    )
    interrupted = False
    with RunProgress(left, plan.done, err) as progress:
        driver = Driver(plan, recorder, progress)
        try:
            with terminated_as_interrupted():
                execute(driver, device, arguments)
        except KeyboardInterrupt:
            interrupted = True
    if space.tuned:
        write_studies(plan, folder)
    summarise(space, folder, driver.failed_trials, out)
    recorder.close()
    if interrupted:
        err.print(
            f"Interrupted. {plan.done} of {plan.total} trials are recorded; the same command does the rest."
        )
        return INTERRUPTED
    return FAILED_TRIALS if driver.failed_trials else OK


def levels(space: Space) -> dict[str, dict[str, float]]:
    """By condition_id: the levels of its task at its length and options, for the conditions table."""
    found = {}
    for condition in space.conditions():
        task = build_task(condition)
        found[condition.condition_id] = {name: float(getattr(task, name)) for name in LEVELS}
    return found


LEVELS = ("chance", "baseline_loss", "solved_at", "drop_at", "recovered_at")


def execute(driver: "Driver", device: str, arguments: Any) -> None:
    """Hand the driver's packs to the chosen executor."""
    if driver.finished:
        return
    if arguments.executor == "serial":
        run_serial(driver, device)
    else:
        if arguments.address is None:  # read when Ray is imported: a Ray of our own listens on loopback only
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        from harness.executors.ray_tune import run_ray

        run_ray(driver, device, arguments.workers, arguments.address)


class Driver:
    """Between plan, records and progress: the source that executors draw from, the only writer."""

    def __init__(self, plan: Plan, recorder: Writer, progress: RunProgress) -> None:
        self._plan = plan
        self._recorder = recorder
        self._progress = progress
        self.failed_trials = 0

    @property
    def finished(self) -> bool:
        """Nothing more will be asked for."""
        return self._plan.finished

    def ask(self) -> Pack | None:
        """The next pack, if one is ready."""
        return self._plan.ask()

    def done(self, pack: Pack, outcome: list[Result] | Failure) -> None:
        """Record what came of a pack, and only then count it as done."""
        with uninterrupted():
            if isinstance(outcome, Failure):
                self._recorder.write_failure(pack, outcome.error)
                self._plan.fail(pack)
                self.failed_trials += len(pack.trials)
                self._progress.add_failed(len(pack.trials))
                reason = " ".join(
                    line for line in outcome.error.splitlines() if line and not line[0].isspace()
                )
                reason = reason.removeprefix("Traceback (most recent call last): ")
                err.print(
                    f"failed: {len(pack.trials)} trials, the first {pack.trials[0].condition}: {reason}"
                )
            else:
                self._recorder.write_pack(pack, outcome)
                self._plan.tell(pack, outcome)
                self._progress.add(outcome)


def write_studies(plan: Plan, folder: Path) -> None:
    """Export the Optuna studies for Optuna Dashboard."""
    from harness.planning.study import export

    export([study for cohort in plan.cohorts for study in cohort.studies], folder)


def show_plan(space: Space, folder: Path, device: str, style: str) -> None:
    """What a run would do, what is already done, and what the rest costs."""
    plan = Plan(space, reader.objectives(folder))
    with err.status("timing a short pack of every model and length"):
        rows = estimate(space, plan, device)
    total = {
        "space": space.name,
        "scale": space.scale,
        "folder": str(folder),
        "device": device,
        "conditions": len(space.conditions()),
        "trials": plan.total,
        "done": plan.done,
        "core_minutes": sum(row["core_minutes"] for row in rows),
        "core_minutes_at_most": sum(row["core_minutes_at_most"] for row in rows),
    }
    if style == "json":
        print(json.dumps({**total, "by_model_and_length": rows}, indent=1))  # noqa: T201
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        drawn.add_column(name.replace("_", " "), justify="left" if name in ("task", "model") else "right")
    for row in rows:
        drawn.add_row(*(str(value) for value in row.values()))
    out.print(drawn)
    out.print(
        f"{space.name} ({space.scale}) on {device}: {total['conditions']} conditions, "
        f"{total['trials']} trials, {total['done']} already done in {folder}"
    )
    out.print(
        f"about {total['core_minutes']:.3g} core-minutes if every trial runs for max_steps, "
        f"{space.max_steps} steps; at most {total['core_minutes_at_most']:.3g} if every one goes on for "
        f"observe, {space.observe} more. Nothing was started."
    )


def show_list(style: str) -> None:
    """Everything that can be named on the command line, a line each."""
    listing: dict[str, dict[str, str]] = {
        "spaces": {name: load_space(name).summary for name in built_in_spaces()},
        **{
            axis: {name: REGISTRIES[part].first_line(name) for name in REGISTRIES[part].names()}
            for part, axis in PARTS.items()
        },
        "probes": {name: first_line(probe.measure) for name, probe in probes.MOMENT_PROBES.items()},
        "options": list_options(),
    }
    if style == "json":
        print(json.dumps(listing, indent=1))  # noqa: T201
        return
    for kind, lines in listing.items():
        out.print(kind, style="bold")
        for name, line in lines.items():
            out.print(f"  {name:<16} {line}")


def list_options() -> dict[str, str]:
    """Every option of everything built in: its type or choices, its default, and whose it is."""
    found: dict[str, str] = {}
    for part, registry in REGISTRIES.items():
        for component in registry.names():
            for name, option in registry.options(component).items():
                kind = " | ".join(map(str, option.choices)) if option.choices else option.type.__name__
                line = f"{kind}, default {option.default}, of {part} {component}"
                found[name] = f"{found[name]}, {component}" if name in found else line
    return found


if __name__ == "__main__":
    sys.exit(main())

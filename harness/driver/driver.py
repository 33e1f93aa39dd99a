"""One call from a space to a finished results folder: plan, executor, records and listeners put together."""

import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from harness.condition import Checkpoint, Pack
from harness.driver.facts import facts
from harness.driver.interrupts import terminated_as_interrupted, uninterrupted
from harness.driver.listeners import Audience, Listener, Start
from harness.driver.patience import Patience
from harness.driver.preflight import Job, check_job
from harness.driver.states import States
from harness.errors import FailedTrials, RecordsError
from harness.executors.base import HANG_AFTER, SAVE_EVERY, Failure, Load, Outcome, Source, one_thread
from harness.executors.serial import run_serial
from harness.planning.growth import check_growth
from harness.planning.lengths import SOLVED_COLUMNS, with_missing_lengths
from harness.planning.parts import FACTS
from harness.planning.plan import Plan, plan_of
from harness.planning.space import Space
from harness.probes import measure_columns, probe_columns
from harness.results import reader
from harness.results.folder import Folder
from harness.results.provenance import provenance
from harness.results.schema import JOURNAL
from harness.results.writer import Writer


def run_space(
    space: Space,
    results: str | Path = "results",
    *,
    executor: str = "auto",
    workers: int | None = None,
    address: str | None = None,
    device: str = "auto",
    engine: str = "auto",
    yes: bool = False,
    take_over: bool = False,
    save_every: float = SAVE_EVERY,
    hang_after: float = HANG_AFTER,
    wait_for_nodes: float = 0.0,
    listeners: Iterable[Listener] = (),
    argv: Sequence[str] | None = None,
) -> Path | str:
    """Train what is missing of a space, and return the folder of its results, below `results`.

    `results` is a path, or a URI such as s3://bucket/results; then the folder is a URI too, as a str.
    `take_over` takes such a folder from a run that is dead and left its lock; see docs/results.md.

    `executor` is "ray", "serial" or "auto". Ray trains `workers` packs at a time, by default one per core;
    `address` "auto" or host:port joins a running cluster. "serial" trains one pack after the other, in this
    process. "auto" is Ray, but "serial" for a run so short that Ray would still be starting when it is done.
    `device` is "cpu", "cuda", or "auto": the GPUs of the cluster, or this machine's, if there are any.
    `engine` is "eager", "compiled", "captured", or "auto": what the folder has, else compiled where
    something can be.
    `yes` starts also what is beyond this machine's memory or a year of a core. Every `save_every` minutes the
    state of each pack that trains is kept below the folder: a killed worker or driver costs no more. A pack
    that finishes no block of updates for `hang_after` minutes, and for 50 times as long as one is expected to
    take, is ended. A cluster that has no node yet that can train a pack is refused, or given `wait_for_nodes`
    minutes to start one. The same call again does only what is missing.

    Nothing is printed: `listeners` are told what goes on. No report is written:
    `analysis.report.write_report(analysis.load.load(folder))` does that. `argv` is the command line that this
    call stands for, which is recorded with the results.

    Raises UserError or RecordsError, in one line, for what you can mend: nothing was started. Raises
    KeyboardInterrupt after Ctrl-C, FailedTrials if trials failed, and ExecutorError if Ray broke down; what
    was finished is recorded by then. OSError comes from the disk or the storage, any other exception from a
    listener.
    """
    with one_thread():
        how: dict[str, Any] = dict(
            executor=executor,
            workers=workers,
            address=address,
            device=device,
            engine=engine,
            yes=yes,
            take_over=take_over,
            save_every=save_every,
            hang_after=hang_after,
            wait_for_nodes=wait_for_nodes,
        )
        return run_all(space, results, how, list(listeners), argv)


def run_all(
    space: Space,
    results: str | Path,
    how: dict[str, Any],
    listeners: Sequence[Listener],
    argv: Sequence[str] | None,
) -> Path | str:
    """Train a space, and where a rule adds lengths, train it again with these until there are enough."""
    while True:
        job = check_job(space, results, **how)
        folder = carry_out(job, Audience(listeners), argv)
        if job.space.bracket is None:
            return folder
        longer = with_missing_lengths(job.space, reader.read(folder, "trials", SOLVED_COLUMNS))
        if longer is None:
            return folder
        space = longer


def carry_out(job: Job, audience: Audience, argv: Sequence[str] | None) -> Path | str:
    """Train what a checked job lacks; see `run_space`."""
    with closing(open_records(job, argv)) as recorder:
        plan = plan_of(job.space, reader.ends(job.folder))
        driver = Driver(plan, recorder, audience, job)
        start = Start(
            space=job.space,
            folder=job.folder,
            recorded=plan.done,
            left=plan.left(),
            may_grow=plan.may_grow,
            notes=job.notes,
            repaired=recorder.repaired,
        )
        with audience.following(start):
            try:
                with terminated_as_interrupted():
                    execute(driver, job)
                driver.check_kept()
                driver.clear_states()
            except BaseException:
                with suppress(OSError, RecordsError):  # what ended the run says more
                    recorder.check_lock()
                    write_studies(plan, job.folder)
                raise
            write_studies(plan, job.folder)
    if audience.error is not None:
        raise audience.error
    if driver.failed_trials:
        raise FailedTrials(job.folder, driver.failed_trials, driver.first_failure)
    return job.folder


def open_records(job: Job, argv: Sequence[str] | None) -> Writer:
    """The job's folder, open for writing by this process alone."""
    space = job.space
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    said = None if argv is None else [text.encode("utf-8", "backslashreplace").decode() for text in argv]
    where = provenance(job.definition, job.executor, job.device, gpu, said)
    recorder = Writer(
        job.folder,
        job.definition,
        space.conditions(),
        options=space.option_columns(),
        measures=measure_columns(),
        provenance=where,
        probe_columns=probe_columns(space.probes),
        facts=facts(space),
        take_over=job.take_over,
    )
    try:
        check_again(job, recorder)
    except BaseException:
        recorder.close()
        raise
    return recorder


def check_again(job: Job, recorder: Writer) -> None:
    """Check what the folder holds now that no other process writes to it: one may have finished in between.

    A growth that was killed before its definition stood may have left conditions that nobody asks for. They
    go. Conditions that an older version wrote get the columns that they lack. What is damaged is set aside
    before, once the definition is known to be this one's.
    """
    held = reader.read_definition(job.folder)
    if held is not None:
        check_growth(held, job.definition, job.folder)
    recorder.repair()
    if held is None:
        return
    asked_for = {condition.condition_id for condition in job.space.conditions()}
    written = reader.read_conditions(job.folder)
    if not asked_for.issuperset(written["condition_id"]) or not FACTS.issubset(written):
        recorder.write_definition()


def execute(driver: "Driver", job: Job) -> None:
    """Hand the driver's packs to the chosen executor."""
    if driver.finished:
        return
    if job.executor == "serial":
        run_serial(driver, job.device, job.engine, job.save_every)
        return
    if job.address is None:  # read when Ray is imported: a Ray of our own listens on loopback only
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    from harness.executors.ray_tune import run_ray

    run_ray(driver, job.device, job.engine, job.workers, job.address, job.save_every, job.wait_for_nodes)


class Driver(Source):
    """Between plan, records and listeners: the source that executors draw from, the only writer."""

    def __init__(self, plan: Plan, recorder: Writer, audience: Audience, job: Job) -> None:
        self._plan = plan
        self._recorder = recorder
        self._audience = audience
        self._device = job.device
        self._patience = Patience(job.space, job.hang_after)
        self._states = States(recorder.folder, job.definition)
        self._states.clear()
        self._recorded: list[str] = []  # files of the packs that this run recorded
        self.failed_trials = 0
        self.first_failure = ""

    @property
    def finished(self) -> bool:
        """Nothing more will be asked for."""
        return self._plan.finished

    @property
    def waiting(self) -> int:
        """How many packs could be asked for at once."""
        return self._plan.waiting

    def works(self, load: Load) -> None:
        """Tell the listeners how much of what there is trains."""
        self._audience.works(load)

    def ask(self) -> Pack | None:
        """The next pack, if one is ready."""
        return self._plan.ask()

    def patience(self, pack: Pack) -> float:
        """Seconds without a sign of life after which a pack counts as hanging."""
        return self._patience(pack)

    def begun(self, pack: Pack) -> Checkpoint | None:
        """The state that a pack goes on from, if one is kept."""
        return self._states.of(pack)

    def keep(self, pack: Pack, state: Checkpoint) -> None:
        """Keep the state of a pack that trains."""
        self._states.keep(pack, state)

    def done(self, pack: Pack, outcome: Outcome) -> None:
        """Record what came of a pack, count it as done only then, and tell the listeners last."""
        with uninterrupted():
            self.check_kept(last=1)
            if isinstance(outcome, Failure) and outcome.divisible and len(pack.trials) > 1:
                self._divide(pack, outcome)
                return
            if isinstance(outcome, Failure):
                self._recorder.write_failure(pack, outcome.reason, outcome.error)
                self._plan.fail(pack)
                self.failed_trials += len(pack.trials)
                self.first_failure = self.first_failure or f"{pack.trials[0].condition}: {outcome.reason}"
            else:
                if not self._recorded:
                    outdate_studies(self._recorder.folder)
                self._recorder.write_pack(pack, outcome)
                self._recorded.append(f"trials/{pack.pack_id}.parquet")
                self._plan.tell(pack, outcome)
                if grown := self._plan.grown():
                    self._audience.grew(grown)
            self._states.forget(pack)
            self._audience.done(pack, outcome)

    def _divide(self, pack: Pack, failure: Failure) -> None:
        """Have the halves of a pack tried: each is recorded, or has failed, on its own."""
        self._plan.divide(pack)
        self._states.forget(pack)
        if self._device != "cpu":
            rounding = f"; on {self._device} numbers are rounded by how many trials train together"
            failure = replace(failure, reason=f"{failure.reason}{rounding}")
        self._audience.divided(pack, failure)

    def clear_states(self) -> None:
        """The run has finished: whatever is left of states belongs to packs that nobody will ask for."""
        self._states.clear(whole=not self.failed_trials)

    def check_kept(self, last: int = 0) -> None:
        """Raise FileNotFoundError if a pack that this run recorded is gone; look at the `last`, 0 for all."""
        for name in self._recorder.missing(self._recorded[-last:]):
            where = f"{self._recorder.folder}/{name}"
            raise FileNotFoundError(errno.ENOENT, "What this run had recorded was removed or moved", where)


def outdate_studies(folder: Folder) -> None:
    """Empty the export of the Optuna studies, if there is one: trials join that it does not have."""
    if folder.exists(JOURNAL):
        folder.write_whole(JOURNAL, lambda _file: None)


def write_studies(plan: Plan, folder: Path | str) -> None:
    """Export the Optuna studies, if there are any, for Optuna Dashboard; nothing if no trial has joined."""
    if not plan.space.tuned or Folder.of(folder).content(JOURNAL):
        return
    from harness.planning.study import export

    export([study for cohort in plan.cohorts for study in cohort.studies], folder)

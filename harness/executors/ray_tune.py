"""Packs on Ray Tune: this machine's cores, or a running cluster. The only Ray import.

One Tuner runs the whole space. Its searcher hands out packs as Tune trials. Its trainable trains one pack a
step, in actors that are reused. A callback takes the results out of Tune's hands, so that Tune keeps no
histories. Tune's own state is thrown away: the Parquet tables are the truth.
"""

import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard files per trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours
    "TUNE_WARN_THRESHOLD_S": "60",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "RAY_AIR_NEW_OUTPUT": "0",  # with verbose=0, no tables and banners
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)

import ray
import torch
from ray import tune
from ray.exceptions import RayActorError, RayError
from ray.job_config import JobConfig
from ray.tune.error import TuneError
from ray.tune.search import Searcher

from harness.condition import Pack, Result
from harness.errors import ExecutorError, UserError, one_line, plain, shortened, text_of, whole
from harness.executors.base import Failure, Source, attempt
from harness.executors.cluster import check_fits, check_reachable, driver_path, with_path
from harness.held import in_main_thread

ROOT = str(Path(__file__).parents[2])
"""The folder that this package is imported from, which a worker needs before it can unpickle anything."""

LOST_WORKER_RETRIES = 2
"""How often a pack is tried again when its worker dies (killed, out of memory, node lost)."""


class PackTrainable(tune.Trainable):
    """Trains the pack in its config in one step; the same actor then takes the next pack."""

    def setup(self, config: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        self._config = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._config = new_config
        return True

    def step(self) -> dict[str, Any]:
        sys.path[:] = with_path(sys.path, self._config["path"])
        return {
            "came_of_it": attempt(*(self._config[name] for name in ("pack", "device", "engine"))),
            "done": True,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save: a pack is recorded whole or trained again."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to load."""


class StaysWithDriver:
    """Pickles empty: Tune saves its searcher and callbacks, but the driver's state is not for saving."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class PackSearcher(StaysWithDriver, Searcher):
    """Suggests the packs of a source, in the source's order."""

    def __init__(self, source: Source, device: str, engine: str) -> None:
        super().__init__()
        self._source = source
        self._how = {"device": device, "engine": engine, "path": driver_path()}

    def suggest(self, trial_id: str) -> Any:
        if self._source.finished:
            return Searcher.FINISHED
        pack = self._source.ask()
        return None if pack is None else {"pack": pack, **self._how}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Results are handed over by Handover."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the plan is rebuilt from the Parquet tables."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class Handover(StaysWithDriver, tune.Callback):
    """Gives results and lost workers to the source, and leaves Tune an empty result."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.error: BaseException | None = None  # of the source, which Tune would wrap beyond recognition

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
        self._hand_over(trial.config["pack"], result.pop("came_of_it"))

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._hand_over(trial.config["pack"], lost(trial.get_pickled_error()))

    def _hand_over(self, pack: Pack, outcome: list[Result] | Failure) -> None:
        try:
            self._source.done(pack, outcome)
        except BaseException as error:
            self.error = error
            raise


def lost(error: BaseException | None) -> Failure:
    """The fault that ended a pack's last worker, as far as Ray knows it."""
    if error is None or (isinstance(error, RayActorError) and not error.actor_init_failed):
        tries = LOST_WORKER_RETRIES + 1
        reason = f"the worker was lost {tries} times (killed, out of memory, or its node went away)"
        return Failure(reason, whole(error) if error else reason)
    last = ([line for line in text_of(error).splitlines() if line.strip()] or [type(error).__name__])[-1]
    return Failure(f"no worker could be started: {plain(shortened(last))}", whole(error))


def run_ray(source: Source, device: str, engine: str, workers: int | None, address: str | None) -> None:
    """Train until the source has finished, `workers` packs at a time (default: one per core or GPU).

    With an address ('auto' or host:port) a running cluster is joined, and left as it is. Without one Ray is
    started on this machine, bound to loopback, and stopped at the end. On GPUs each holds ceil(workers /
    GPUs) packs, by fractional resources. Raises UserError if Ray cannot be reached or started, or if no node
    can train a pack, and ExecutorError if Ray breaks down later.
    """
    if ray.is_initialized():
        raise UserError("Ray already runs in this process; call ray.shutdown() first, or use executor=serial")
    connect(workers, address)
    handover = Handover(source)
    try:
        per_pack = resources(device, workers)
        check_fits(per_pack, ray.nodes(), address)  # type: ignore[no-untyped-call]
        tune_packs(handover, PackSearcher(source, device, engine), per_pack, workers if address else None)
    except Exception as error:
        if handover.error is not None:
            raise handover.error from None
        if isinstance(error, RayError | TuneError):
            raise ExecutorError(f"Ray broke down in the middle of the run: {one_line(error)}") from error
        raise
    finally:
        ray.shutdown()


def connect(workers: int | None, address: str | None) -> None:
    """Join the cluster at `address`, or start a Ray of our own; keep it quiet, and signals as they are."""
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "job_config": JobConfig(_py_driver_sys_path=[ROOT]),
    }
    on_terminate = signal.getsignal(signal.SIGTERM)
    silence()
    try:
        if address:
            check_reachable(address)
            ray.init(address=address, **quiet)
        else:
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                **quiet,
            )
    except UserError:
        raise
    except Exception as error:
        ray.shutdown()  # what had been started by then
        raise UserError(f"Ray cannot be reached or started (address={address}): {one_line(error)}") from error
    if in_main_thread():
        signal.signal(signal.SIGTERM, on_terminate)  # Ray puts its own in place
    silence()


def silence() -> None:
    """Let Ray log nothing: a lost worker is retried, then reported by us."""
    for name in ("ray", "ray.tune", "ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def tune_packs(
    handover: Handover, searcher: PackSearcher, per_pack: dict[str, float], at_a_time: int | None
) -> None:
    """One Tuner for all packs, which leaves nothing on the disk."""
    with tempfile.TemporaryDirectory(prefix="stability-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(PackTrainable, per_pack),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                num_samples=-1,
                reuse_actors=True,
                max_concurrent_trials=at_a_time,
                trial_name_creator=lambda trial: str(trial.config["pack"]),
                trial_dirname_creator=lambda trial: str(trial.config["pack"]),
            ),
            run_config=tune.RunConfig(
                name="packs",
                storage_path=scratch,
                callbacks=[handover],
                failure_config=tune.FailureConfig(max_failures=LOST_WORKER_RETRIES),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        ).fit()


def resources(device: str, workers: int | None) -> dict[str, float]:
    """What one pack holds while it trains: a core, and a share of a GPU on one."""
    if device == "cpu":
        return {"cpu": 1}
    cluster: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpus = int(cluster.get("GPU", 0))
    per_gpu = max(1, -(-(workers or 1) // gpus)) if gpus else 1
    return {"cpu": 1, "gpu": 1 / per_gpu}

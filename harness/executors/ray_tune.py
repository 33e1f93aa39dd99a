"""Packs on Ray Tune: this machine's cores, or a running cluster.

One Tuner keeps the workers: each is a Tune trial that lives as long as the run. Packs and results pass Tune
by. A thread of the driver's process serves each worker: it takes a pack from a queue, sends it to the
worker's actor, and waits for what comes of it. Tune's own state is thrown away: the Parquet tables are the
truth.
"""

import tempfile
import threading
from contextlib import suppress
from typing import Any

from harness.executors.quiet import prepare

prepare()

import ray
from ray import tune
from ray.exceptions import RayError, RayTaskError
from ray.tune.error import TuneError
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from harness.condition import Checkpoint, Pack
from harness.errors import ExecutorError, one_line, text_of, whole
from harness.executors.base import (
    SAVE_EVERY,
    Beat,
    Failure,
    Leaves,
    Load,
    News,
    Outcome,
    Source,
    hanging,
)
from harness.executors.cluster import Capacity, check_fits, driver_path
from harness.executors.pack_queue import PackQueue
from harness.executors.ray_cluster import connect, gpus, refuse_two, watch_head
from harness.executors.ray_faults import NODE_LOST, error_of, last_line, lost
from harness.executors.ray_worker import How, PackTrainable
from harness.executors.slots import PATIENCE, Slots, WorkerLost

LOOK_AGAIN = 0.2
"""Seconds between looks at whether another worker is wanted."""

GROWTH = 2
"""How many times the packs that fit may be asked for: an autoscaler starts nodes for those that wait."""


class StaysWithDriver:
    """Pickles empty: Tune saves its searcher, scheduler and callbacks, but they are not for saving."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Over(BaseException):
    """Ends Tune's loop at once: the run is over, and what Tune knows is thrown away."""


class SlotSearcher(StaysWithDriver, Searcher):
    """Suggests a trial for each worker that is wanted."""

    def __init__(self, slots: Slots, device: str) -> None:
        super().__init__()
        self._slots = slots
        self._device = device

    def suggest(self, trial_id: str) -> Any:
        if self._slots.queue.over:
            raise Over
        return {"slot": trial_id, "device": self._device} if self._slots.open(trial_id) else None

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing to learn."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the plan is rebuilt from the Parquet tables."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class SlotScheduler(StaysWithDriver, FIFOScheduler):
    """Lets a trial be once its worker is up, and ends it when the worker is gone."""

    def __init__(self, slots: Slots) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._slots = slots

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> str:
        return str(self.NOOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self._slots.failed_to_start(trial.trial_id, lost(error_of(trial)))

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        for trial in tune_controller.get_trials():
            if trial.trial_id in self._slots.gone or self._slots.give_up(trial.trial_id):
                self._slots.gone.discard(trial.trial_id)
                tune_controller.stop_trial(trial)
        return None


class SlotCallback(StaysWithDriver, tune.Callback):
    """Takes the worker out of a trial's only result; lets Tune's loop wait while nothing is to be done."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
        self._slots.up(trial.trial_id, result.pop("worker"))

    def on_step_end(self, iteration: int, trials: Any, **info: Any) -> None:
        if not self._slots.starting:
            self._slots.changed.wait(LOOK_AGAIN)
            self._slots.changed.clear()
        if self._slots.queue.over:
            raise Over


def run_ray(
    source: Source,
    device: str,
    engine: str,
    workers: int | None,
    address: str | None,
    save_every: float = SAVE_EVERY,
    wait_for_nodes: float = 0.0,
) -> None:
    """Train until the source has finished, `workers` packs at a time (default: one per core or GPU).

    With an address ('auto' or host:port) a running cluster is joined, and left as it is. Nodes that join it
    later train too. Without an address Ray is started on this machine, bound to loopback, and stopped at the
    end. On GPUs each holds ceil(workers / GPUs) packs, by fractional resources. Raises UserError if Ray
    cannot be reached or started, or if no node can train a pack and none is waited for. Raises ExecutorError
    if Ray breaks down later, or if no such node has come after `wait_for_nodes` minutes.
    """
    refuse_two()
    connect(workers, address)
    try:
        per_pack = resources(device, workers)
        if not wait_for_nodes:
            check_fits(per_pack, nodes(), address)
        how = How(device, engine, driver_path(), save_every)
        serve(source, how, per_pack, workers, address, wait_for_nodes)
    except (RayError, TuneError) as error:
        raise ExecutorError(f"Ray broke down in the middle of the run: {one_line(error)}") from error
    finally:
        ray.shutdown()


def serve(
    source: Source,
    how: How,
    per_pack: dict[str, float],
    workers: int | None,
    address: str | None,
    wait_for_nodes: float,
) -> None:
    """Serve the source from this thread, while others let Tune keep the workers, and watch the head.

    Without `workers` on a cluster, more are asked for than its nodes can have up: an autoscaler sees them.
    """
    fit = Capacity(per_pack, nodes)
    limit = (lambda: workers or fit()) if workers or not address else lambda: GROWTH * fit()
    queue = PackQueue(source, lambda: workers or fit(), lambda: source.works(load(queue, slots, fit, how)))
    slots = Slots(queue, limit, fit, lambda worker, pack: train_on(worker, pack, how, queue), alive, end)
    queue.fill()  # so that Tune sees at once how many workers are wanted
    over = threading.Event()
    looking = threading.Thread(
        target=fit.keep_looking, args=(over, 60 * wait_for_nodes, queue.break_down), daemon=True
    )
    watching = threading.Thread(target=watch_head, args=(queue.break_down, over), daemon=True)
    tuning = threading.Thread(target=keep_workers, args=(slots, per_pack, how.device), daemon=True)
    reachable = True
    try:
        if address:
            looking.start()
            watching.start()
        tuning.start()
        queue.serve()
    except ExecutorError:
        reachable = False  # the head
        raise
    finally:
        over.set()
        slots.close(reachable)
        if reachable:
            tuning.join(PATIENCE)


def nodes() -> list[dict[str, Any]]:
    """The nodes of the cluster, as Ray lists them; ConnectionError if it cannot."""
    try:
        found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    except RayError as error:
        raise ConnectionError(one_line(error)) from error
    return found


def keep_workers(slots: Slots, per_pack: dict[str, float], device: str) -> None:
    """Let Tune keep the workers until the run is over; what ends it before breaks the run down."""
    try:
        tune_slots(slots, per_pack, device)
        slots.queue.break_down(TuneError("Tune has ended"))
    except Over:
        pass
    except BaseException as error:
        slots.queue.break_down(error)


def load(queue: PackQueue, slots: Slots, fit: Capacity, how: How) -> Load:
    """What trains, and what waits for what."""
    (training, waiting), (_, starting) = queue.counts(), slots.counts()
    return Load(
        nodes=fit.nodes,
        gpus=fit.gpus if how.device == "cuda" else 0,
        places=fit(),
        training=training,
        waiting=waiting,
        starting=starting,
    )


def train_on(worker: Any, pack: Pack, how: How, queue: PackQueue) -> Outcome:
    """Send a pack to a worker's actor, and wait for what comes of it; WorkerLost if the actor dies."""
    stream = worker.train_pack.remote(pack, how, queue.begun(pack))
    usual = patience = queue.patience(pack)
    try:
        while ray.wait([stream], timeout=patience, fetch_local=False)[0]:
            news: News | Outcome | Leaves = ray.get(next(stream))
            if isinstance(news, Checkpoint):
                queue.keep(pack, news)
            elif isinstance(news, Leaves):
                end(worker)
                raise WorkerLost(lost(None), node_lost=True)
            elif not isinstance(news, Beat):
                return news
            patience = usual * (news.patience if isinstance(news, Beat) else 1)
    except RayTaskError as error:  # the actor lives
        return Failure(last_line(error), whole(error))
    except RayError as error:
        end(worker)  # it may only be out of reach
        raise WorkerLost(lost(error), NODE_LOST in text_of(error)) from error
    end(worker)
    raise WorkerLost(hanging(patience))


def alive(worker: Any) -> bool:
    """Whether a worker's actor answers."""
    try:
        ray.get(worker.get_current_ip_pid.remote())
    except RayError:
        return False
    return True


def end(worker: Any) -> None:
    """Kill a worker's actor, if there still is one."""
    with suppress(RayError):
        ray.kill(worker)


def tune_slots(slots: Slots, per_pack: dict[str, float], device: str) -> None:
    """One Tuner with a trial for each worker, which leaves nothing on the disk."""
    with tempfile.TemporaryDirectory(prefix="stability-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(PackTrainable, per_pack),
            tune_config=tune.TuneConfig(
                search_alg=SlotSearcher(slots, device), scheduler=SlotScheduler(slots), num_samples=-1
            ),
            run_config=tune.RunConfig(
                name="packs",
                storage_path=scratch,
                callbacks=[SlotCallback(slots)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        ).fit()


def resources(device: str, workers: int | None) -> dict[str, float]:
    """What one pack holds while it trains: a core, and a share of a GPU on one."""
    if device == "cpu":
        return {"cpu": 1}
    there = gpus()
    per_gpu = max(1, -(-(workers or 1) // there)) if there else 1
    return {"cpu": 1, "gpu": 1 / per_gpu}

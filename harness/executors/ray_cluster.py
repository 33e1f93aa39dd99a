"""The Ray that packs train on: one of our own on this machine, or a running cluster."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.executors.quiet import prepare, silence

prepare()

import ray
from ray.exceptions import AuthenticationError
from ray.job_config import JobConfig

from harness.errors import ExecutorError, UserError, one_line
from harness.executors.cluster import check_reachable
from harness.held import in_main_thread

ROOT = str(Path(__file__).parents[2])
"""The folder that this package is imported from, which a worker needs before it can unpickle anything."""

HEAD_GONE = 20.0
"""Seconds without an answer after which the head of a cluster is gone; Ray ends this process after 60."""

ASK_HEAD_EVERY = 2.0
"""Seconds between questions to the head."""

NO_TOKEN = (
    "the cluster asks for a token, and this process has none that it takes: set RAY_AUTH_MODE=token and \
give the token of its head, in ~/.ray/auth_token (mode 0600) or in the file that RAY_AUTH_TOKEN_PATH names"
)


def connect(workers: int | None, address: str | None) -> None:
    """Join the cluster at `address`, or start a Ray of our own; keep it quiet, and signals as they are.

    Raises UserError, in one line, if Ray cannot be reached or started.
    """
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "job_config": JobConfig(_py_driver_sys_path=[ROOT]),
    }
    on_terminate = signal.getsignal(signal.SIGTERM)
    silence()
    if not address:  # read when Ray starts: beside other programs, workers 15 steps down would starve
        os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        if address:
            check_reachable(address)
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
    except UserError:
        raise
    except Exception as error:
        ray.shutdown()  # what had been started by then
        said = NO_TOKEN if isinstance(error, AuthenticationError) and address else one_line(error)
        raise UserError(f"Ray cannot be reached or started (address={address}): {said}") from error
    if in_main_thread():
        signal.signal(signal.SIGTERM, on_terminate)  # Ray puts its own in place
    silence()


def gpus_at(address: str) -> int:
    """How many GPUs the nodes of the cluster at an address have. Raises UserError if it cannot be reached."""
    refuse_two()
    connect(None, address)
    try:
        return gpus()
    finally:
        ray.shutdown()


def gpus() -> int:
    """How many GPUs the cluster has that this process is connected to."""
    cluster: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return int(cluster.get("GPU", 0))


def refuse_two() -> None:
    """Raise UserError if this process is connected to a Ray already."""
    if ray.is_initialized():
        raise UserError("Ray already runs in this process; call ray.shutdown() first, or use executor=serial")


def watch_head(gone: Callable[[ExecutorError], None], over: threading.Event) -> None:
    """Call `gone` once the head has not answered for HEAD_GONE seconds; return then, or when it is `over`."""
    address = ray.get_runtime_context().gcs_address
    answered = time.monotonic()
    while not over.wait(ASK_HEAD_EVERY):
        try:
            check_reachable(address)
            answered = time.monotonic()
        except OSError as error:
            if time.monotonic() - answered > HEAD_GONE:
                said = f"the head of the cluster, {address}, does not answer any more ({one_line(error)})"
                gone(ExecutorError(said))
                return

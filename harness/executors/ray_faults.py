"""What Ray says of a worker or a pack that came to an end, in the words of a failure."""

from pathlib import Path
from typing import Any

from harness.executors.quiet import prepare

prepare()

from ray import cloudpickle
from ray.exceptions import OutOfMemoryError, RayActorError

from harness.errors import plain, shortened, text_of, whole
from harness.executors.base import Failure

NODE_LOST = "its node has died"
"""What Ray says of an actor that went with its node."""


def error_of(trial: Any) -> BaseException | None:
    """What ended a Tune trial: Trial.get_pickled_error looks where it is copied to only later."""
    if trial.pickled_error_file is None:
        return None
    error: BaseException = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    return error


def lost(error: BaseException | None) -> Failure:
    """The fault that ended a pack's last worker, as far as Ray knows it."""
    if isinstance(error, OutOfMemoryError):
        reason = "its node ran out of memory, and Ray ended the worker that held it"
        return Failure(reason, whole(error), divisible=True)
    if error is None or (isinstance(error, RayActorError) and not error.actor_init_failed):
        reason = "it ends its worker (killed, out of memory, a crash in C, os._exit), or its node went away"
        return Failure(reason, whole(error) if error else reason)
    return Failure(f"no worker could be started: {last_line(error)}", whole(error))


def last_line(error: BaseException) -> str:
    """What Ray says of a fault on a worker ends with the fault itself."""
    lines = [line for line in text_of(error).splitlines() if line.strip()] or [type(error).__name__]
    return plain(shortened(lines[-1]))

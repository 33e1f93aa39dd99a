"""Work in a forked child: cheap, for everything is imported, and killed without harm to this process."""

import json
import os
import signal
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

PATIENCE = 120.0
"""Seconds that a child may take."""


class Ended(NamedTuple):
    """How a child ended: by a signal (its number, else 0), or with an answer or an error."""

    signal: int
    answer: Any
    error: str | None


def in_a_child(work: Callable[[], Any]) -> Ended:
    """Do this in a child; what it returns must be JSON. TimeoutError if it does not end."""
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        said = Path(scratch, "said")
        child = os.fork()
        if child == 0:
            _child(work, said)
        status = _awaited(child)
        found = json.loads(said.read_text()) if said.exists() else {}
    if os.WIFSIGNALED(status):
        return Ended(os.WTERMSIG(status), None, None)
    return Ended(0, found.get("answer"), found.get("error"))


def _child(work: Callable[[], Any], said: Path) -> None:
    """Never returns."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        torch.set_num_threads(1)
        said.write_text(json.dumps({"answer": work()}))
    except BaseException as error:  # noqa: BLE001  it is the parent's to judge
        text = "".join(traceback.format_exception(error))
        said.write_text(json.dumps({"error": f"{type(error).__name__}: {error}", "traceback": text}))
    finally:
        os._exit(0)


def _awaited(child: int) -> int:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise TimeoutError(f"a run did not end in {PATIENCE:g} s")

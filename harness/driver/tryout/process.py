"""What belongs to the whole process, and which of it a class has changed."""

import contextlib
import gc
import logging
import os
import signal
import sys
import warnings
from typing import Any

import numpy as np
import torch

Snapshot = dict[str, Any]
"""Values by what they are, as a message says it."""

LIBRARIES = ("environment variable", "warnings filters")
"""What a library may change of a process when it is imported."""


def snapshot() -> Snapshot:
    """Everything of the process that a class must leave as it is."""
    return {
        "the current folder": _folder(),
        "the umask": _umask(),
        "the recursion limit": sys.getrecursionlimit(),
        "the garbage collector": gc.isenabled(),
        "the logging level": (logging.root.manager.disable, logging.root.level),
        "NumPy's error handling": np.geterr(),
        "warnings filters": list(warnings.filters),
        **_of_torch(),
        **{
            f"standard {name}": _stream(number, name)
            for number, name in enumerate(("input", "output", "error"))
        },
        **_signals(),
        **{f"environment variable {name}": value for name, value in os.environ.items()},
        "imported libraries": libraries(),
    }


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """What differs, sorted; what libraries set on import is left out if one was imported in between."""
    imported = before["imported libraries"] != after["imported libraries"]
    return [
        name
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
        and name != "imported libraries"
        and not (imported and name.startswith(LIBRARIES))
    ]


def libraries() -> set[str]:
    """The packages that are imported."""
    return {name.partition(".")[0] for name in sys.modules}


def _of_torch() -> Snapshot:
    tiny = torch.full((), 1e-40, dtype=torch.float32, device="cpu")
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "torch's default device": str(torch.get_default_device()),
        "torch's grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "torch's autocast": torch.is_autocast_enabled("cpu"),
        "torch's number of threads": torch.get_num_threads(),
        "torch's deterministic algorithms": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
        ),
        "torch's matmul precision": torch.get_float32_matmul_precision(),
        "torch's anomaly detection": torch.is_anomaly_enabled(),
        "torch's flushing of denormals": bool((tiny * 1.0 == 0).item()),
    }


def _folder() -> str | None:
    with contextlib.suppress(OSError):
        return os.getcwd()  # noqa: PTH109  (a folder that is gone is an answer, too)
    return None


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _stream(number: int, name: str) -> tuple[Any, ...]:
    """Which object and which file a standard stream is, and whether it is open."""
    stream = getattr(sys, {"input": "stdin", "output": "stdout", "error": "stderr"}[name])
    try:
        found = os.fstat(number)
    except OSError:
        return id(stream), getattr(stream, "closed", None), None
    return id(stream), getattr(stream, "closed", None), (found.st_dev, found.st_ino)


def _signals() -> Snapshot:
    numbers = [number for number in signal.valid_signals() if isinstance(number, signal.Signals)]
    found: Snapshot = {f"the handler of {number.name}": signal.getsignal(number) for number in numbers}
    if hasattr(signal, "getitimer"):
        found["the alarm timer"] = signal.getitimer(signal.ITIMER_REAL)[0] > 0
    return found

"""Tasks: one file each. Importing this package registers all of them."""

from harness.tasks import adding as _adding  # noqa: F401
from harness.tasks import copy_memory as _copy_memory  # noqa: F401
from harness.tasks import digits as _digits  # noqa: F401
from harness.tasks import graph_signal as _graph_signal  # noqa: F401
from harness.tasks import karate as _karate  # noqa: F401
from harness.tasks import palindrome as _palindrome  # noqa: F401
from harness.tasks import parity as _parity  # noqa: F401
from harness.tasks import recall as _recall  # noqa: F401
from harness.tasks import sbm as _sbm  # noqa: F401
from harness.tasks import text as _text  # noqa: F401
from harness.tasks.base import (
    HELDOUT_SIZE,
    NO_TARGET,
    Generated,
    Stream,
    Task,
    heldout_set,
    step_losses,
    tasks,
)

__all__ = [
    "HELDOUT_SIZE",
    "NO_TARGET",
    "Generated",
    "Stream",
    "Task",
    "heldout_set",
    "step_losses",
    "tasks",
]

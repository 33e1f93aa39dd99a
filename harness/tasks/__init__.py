"""Tasks: one file each. Importing this package registers all of them."""

from harness.tasks import graph_signal as _graph_signal  # noqa: F401
from harness.tasks import karate as _karate  # noqa: F401
from harness.tasks import palindrome as _palindrome  # noqa: F401
from harness.tasks import sbm as _sbm  # noqa: F401
from harness.tasks.base import HELDOUT_SIZE, Generated, Stream, Task, heldout_set, tasks

__all__ = ["HELDOUT_SIZE", "Generated", "Stream", "Task", "heldout_set", "tasks"]

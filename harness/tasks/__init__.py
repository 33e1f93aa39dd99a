"""Tasks: one file each. Importing this package registers all of them."""

from harness.tasks import palindrome as _palindrome  # noqa: F401
from harness.tasks import text as _text  # noqa: F401
from harness.tasks.base import HELDOUT_SIZE, Generated, Stream, Task, heldout_set, tasks

__all__ = ["HELDOUT_SIZE", "Generated", "Stream", "Task", "heldout_set", "tasks"]

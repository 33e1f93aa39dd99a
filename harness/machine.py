"""What this machine has: memory, as far as this process may use it."""

import os
from pathlib import Path

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says how much memory a container may use."""

GB = 1e9


def memory() -> float:
    """Bytes of memory that this process may use: the machine's, or its container's; inf if not known."""
    return min([physical_memory(), *map(_limit, CGROUP_LIMITS)])


def physical_memory() -> float:
    """Bytes of memory of the machine; inf where the system does not say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return float("inf")


def _limit(file: str) -> float:
    try:
        return float(Path(file).read_text())
    except (OSError, ValueError):  # no such system, or 'max'
        return float("inf")

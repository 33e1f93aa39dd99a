"""Measure how stably sequence models train: conditions in, outcomes with full histories out.

from harness import load_space, run_space

folder = run_space(load_space("smoke"), executor="serial")
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.condition import Condition, Outcome, Pack, Result, Trial
    from harness.driver.driver import run_space
    from harness.driver.listeners import Listener
    from harness.errors import FailedTrials, RecordsError, UserError
    from harness.executors.base import Failure
    from harness.planning.load import load_space
    from harness.planning.space import Space

__version__ = "0.1.0"

os.environ.setdefault("MKL_CBWR", "AUTO")
"""MKL reads it at the first matrix product. Without it, MKL on some processors rounds a product by where its
operands lie in memory. A trial's numbers would then depend on its place in a pack."""

__all__ = [
    "Condition",
    "FailedTrials",
    "Failure",
    "Listener",
    "Outcome",
    "Pack",
    "RecordsError",
    "Result",
    "Space",
    "Trial",
    "UserError",
    "load_space",
    "run_space",
]

HOMES = {
    "Condition": "harness.condition",
    "FailedTrials": "harness.errors",
    "Failure": "harness.executors.base",
    "Listener": "harness.driver.listeners",
    "Outcome": "harness.condition",
    "Pack": "harness.condition",
    "RecordsError": "harness.errors",
    "Result": "harness.condition",
    "Space": "harness.planning.space",
    "Trial": "harness.condition",
    "UserError": "harness.errors",
    "load_space": "harness.planning.load",
    "run_space": "harness.driver.driver",
}
"""Where each public name is defined. It is imported when first used, so that nothing waits for torch."""


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(importlib.import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

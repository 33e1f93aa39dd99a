"""Measure how stably sequence models train: conditions in, outcomes with full histories out."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.errors import RecordsError, UserError
    from harness.planning.load import load_space
    from harness.planning.space import Space

__version__ = "0.1.0"

os.environ.setdefault("MKL_CBWR", "AUTO")
"""Read at the first matrix product. Without it, MKL on some processors rounds a product by where its operands
lie in memory, so that a trial's numbers would depend on its place in a pack."""

__all__ = ["RecordsError", "Space", "UserError", "load_space"]

HOMES = {
    "RecordsError": "harness.errors",
    "Space": "harness.planning.space",
    "UserError": "harness.errors",
    "load_space": "harness.planning.load",
}
"""Where each public name is defined. It is imported when first used, so that nothing waits for torch."""


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(importlib.import_module(HOMES[name]), name)

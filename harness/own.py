"""Our command lines import our package `analysis`, whatever file of the user's has its name."""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]


def use_our_analysis() -> None:
    """Import `analysis` from beside this package, unless something of that name is imported already."""
    spec = PathFinder.find_spec("analysis", [str(HOME)])
    if "analysis" in sys.modules or spec is None or spec.loader is None:
        return
    sys.modules["analysis"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)

"""The random generators that everything in a process shares, and who draws from them."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.random  # numpy imports it late by itself
import torch
from torch import Tensor, nn

from harness.driver.tryout.process import libraries
from harness.driver.tryout.same import Impure, same

TORCH = "torch's global generator"

States = dict[str, Any]
"""The state of each generator, by what a message calls it, and the libraries that are imported."""


def states() -> States:
    """The states of the shared generators."""
    return {
        TORCH: torch.get_rng_state(),
        "numpy.random": np.random.get_state(legacy=True),
        "Python's `random`": random.getstate(),
        "libraries": libraries(),
    }


def drawn(before: States) -> list[str]:
    """The generators whose state is another than before.

    A library may draw while it is imported: where one was, nothing is said, and the next call tells.
    """
    after = states()
    if after["libraries"] != before["libraries"]:
        return []
    return [name for name, state in before.items() if not _equal(state, after[name])]


def check_undrawn(before: States, who: str, what: str, mend: str) -> None:
    """Raise Impure if somebody has drawn from a shared generator, or seeded it."""
    found = drawn(before)
    if found:
        raise Impure(f"{who} draws random numbers from {' and '.join(found)} in {what}; {mend}")


def drawing_module(model: nn.Module, call: Callable[[], Any]) -> str:
    """The innermost module of a model that draws while `call` runs, such as ", in its LSTM 'rnn'"."""
    found: list[str] = []
    begun: list[States] = []

    def begin(_module: nn.Module, _inputs: Any) -> None:
        begun.append(states())

    def end(module: nn.Module, _inputs: Any, _outputs: Any) -> None:
        if drawn(begun.pop()):
            found.append(names.get(module, ""))

    names = {m: f", in its {type(m).__name__} {path!r}" for path, m in model.named_modules() if path}
    hooks = [
        hook
        for m in model.modules()
        for hook in (m.register_forward_pre_hook(begin), m.register_forward_hook(end))
    ]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else ""


def _equal(one: Any, other: Any) -> bool:
    """Whether two states are the same: tuples of arrays, numbers and tuples, or a tensor."""
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, Tensor):
        return same(one, other)
    return bool(np.array_equal(one, other))

"""A stand-in for CUDA graphs that runs on a CPU: it records operations on tensors, and does them again.

As a graph does, it keeps the tensors of the recording, reads and writes these again, calls no Python of the
function, and refuses an operation that waits for the device.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.training.captured import NotCapturable

WAITING = {"aten::_local_scalar_dense", "aten::nonzero"}
"""Operations whose result, or its shape, must be known to go on."""


class Tape(TorchDispatchMode):
    """What was done while it was on."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.name().split(".")[0] in WAITING:
            raise NotCapturable(f"{func.name()} waits for the device")
        found = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, found))
        return found

    @torch.no_grad()
    def play(self) -> None:
        """Do it all again, with the results where they were."""
        for func, args, kwargs, found in self.calls:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(found), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def taped(function: Callable[[], None]) -> Callable[[], None]:
    """In the place of `cuda_graph`."""
    function()
    tape = Tape()
    with tape:
        function()
    return tape.play

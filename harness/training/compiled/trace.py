"""From a function of torch tensors to a graph of one row: what the compiled engine can generate code for.

The function runs on examples. Beside them every operation of torch runs on symbols, which stand for these.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from harness.training.compiled.graph import NotTraceable
from harness.training.compiled.operations import call
from harness.training.compiled.symbols import Symbols, Unknown


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs operations on examples, and beside them `call(operation, args, kwargs)` on their symbols."""

    def __init__(self, call: Callable[..., Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._call = call
        # By id. The tensor is kept, so that its id is not given to another.
        self._symbols: dict[int, tuple[Tensor, Any]] = {}

    def know(self, example: Tensor, symbol: Any) -> None:
        """Let a symbol stand for a tensor."""
        self._symbols[id(example)] = (example, symbol)

    def symbol(self, value: Any) -> Any:
        """What stands for a tensor; anything else stands for itself."""
        return self._symbols[id(value)][1] if id(value) in self._symbols else value

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to skip torch._dynamo, torch would import it, which takes a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise NotTraceable("it draws random numbers")
        found = func(*args, **kwargs)
        symbols = self._call(func, tree_map(self.symbol, args), tree_map(self.symbol, kwargs))
        if symbols is not None:
            if func._schema.name == "aten::_to_copy":
                _check_cast(args[0].dtype, found.dtype)
            several = isinstance(found, list | tuple)
            for example, symbol in zip(found, symbols, strict=True) if several else [(found, symbols)]:
                self.know(example, Unknown() if symbol is None else symbol)
        return found


class Tracer(Symbols):
    """Reads the operations of a traced function into a graph, and those on weights alone into a space."""

    def run(self, function: Callable[..., Any], arguments: Mapping[str, tuple[Tensor, Any]]) -> list[Any]:
        """The outputs of the function. Each argument is an example and what stands for it."""
        recorder = Recorder(lambda *args: call(self, *args))
        for example, symbol in arguments.values():
            recorder.know(example, symbol)
        try:
            with torch.no_grad(), recorder:
                outputs = function(*(example for example, _ in arguments.values()))
        except NotTraceable:
            raise
        except Exception as error:
            raise NotTraceable(f"it cannot be traced: {type(error).__name__}") from error
        return [recorder.symbol(output) for output in outputs]


def _check_cast(before: torch.dtype, after: torch.dtype) -> None:
    if not after.is_floating_point and (
        before.is_floating_point or (after == torch.bool) != (before == torch.bool)
    ):
        raise NotTraceable(f"it turns {before} into {after}")

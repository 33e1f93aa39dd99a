"""What a class of each part must have, and what to write where it lacks something.

`torch.optim:AdamW` is a class that can be imported, but no optimizer of this harness.
"""

from inspect import getattr_static
from typing import Any

from torch import nn

from harness.errors import UserError
from harness.registry import DOCS

NEEDED = {
    "task": (
        "length", "input_size", "output_size", "solved_at", "drop_at", "recovered_at", "chance",
        "baseline_loss", "draw", "draw_heldout", "loss", "score",
    ),
    "model": (),
    "optimizer": ("learning_rates", "init", "update"),
    "clip_rule": ("init", "clip"),
}  # fmt: skip
"""What is asked of an object of each part, beside what `harness.capabilities` lets it declare."""

SHAPE = {
    "task": "write a task with these attributes, such as Latch",
    "model": "write a torch.nn.Module that holds it, such as TorchLSTM",
    "optimizer": "write a class with these, whose update is a pure function, such as AdamW",
    "clip_rule": "write a class with these, whose clip is a pure function, such as SoftClip",
}
"""What to write instead: the names are of examples in docs/extending.md."""


def check_class(part: str, path: str, cls: type) -> None:
    """Raise UserError for a class, named by import path, that is none of this part."""
    if part == "model":
        if not issubclass(cls, nn.Module):
            raise _unfit(part, path, "is no torch.nn.Module")
        if cls.forward is nn.Module.forward:
            raise _unfit(part, path, "has no forward")
    if part != "task":  # the attributes of a task may be made by its constructor
        check_object(part, path, cls)


def check_object(part: str, path: str, built: Any) -> None:
    """Raise UserError if an object, or a class, of this part lacks what is asked of it."""
    absent = object()
    missing = [
        name
        for name in NEEDED.get(part, ())
        if getattr_static(built, name, absent) is absent and not hasattr(built, name)
    ]
    if missing:
        raise _unfit(part, path, f"has no {', '.join(missing)}")


def _unfit(part: str, path: str, lack: str) -> UserError:
    return UserError(f"{path} is no {part}: it {lack}; {SHAPE[part]} ({DOCS})")

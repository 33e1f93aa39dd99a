"""Whether tensors are the same to the bit, and the refusal where they should be and are not."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor


class Impure(ValueError):
    """A class is no pure function of what it is given; the message names it and what it does."""


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same to the bit: tensors, or tuples and lists of them; NaN equals NaN."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if one.shape != other.shape or one.dtype != other.dtype:
            return False
        return bool(((one == other) | ((one != one) & (other != other))).all())
    if isinstance(one, tuple | list):
        return isinstance(other, tuple | list) and len(one) == len(other) and all(map(same, one, other))
    return bool(one is other or one == other)


def copied(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Copies that nobody else holds."""
    return [tensor.detach().clone() for tensor in tensors]


def changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """The names whose tensors differ, or that only one side has."""
    return [
        name
        for name in before.keys() | after.keys()
        if name not in before or name not in after or not same(before[name], after[name])
    ]


def near(one: Tensor, other: Tensor, relative: float, absolute: float) -> bool:
    """Whether the norm of the difference is within these bounds; where `other` is not finite, yes."""
    if not torch.isfinite(other).all():
        return True
    bound = relative * torch.linalg.vector_norm(other) + absolute
    return bool(torch.linalg.vector_norm(one - other) <= bound)

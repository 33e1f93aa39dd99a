"""The trials of a pack that are still training."""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.training.log import Log
from harness.training.replicas import Buffers
from harness.training.step import States


@dataclass
class Active:
    """The trials that are still training, and the rows of the tensors that are theirs."""

    logs: list[Log]
    weights_RP: Tensor
    states: States
    buffers: Buffers

    def select(self, keep: list[bool]) -> "Active":
        """Only the trials whose flag is set, in their order."""
        if all(keep):
            return self
        index = torch.tensor(keep, device=self.weights_RP.device).nonzero()[:, 0]
        optimizer, clip_rule = (tuple(tensor[index] for tensor in state) for state in self.states)
        return Active(
            [log for log, kept in zip(self.logs, keep, strict=True) if kept],
            self.weights_RP[index],
            (optimizer, clip_rule),
            {name: buffer[index] for name, buffer in self.buffers.items()},
        )

"""A cell and a space for hosts that share two cores: on a worker of Ray's it sleeps, and keeps a record."""

import sys
import time
from pathlib import Path

import torch
from torch import nn

from harness import Space

PACE = Path.home() / "pace"
"""Says how many seconds a step takes on a worker of Ray's, while it is there."""

RECORD = Path.home() / "trained"
"""Lists when this host trained: a line for each step, seconds since the epoch."""

ON_WORKER = Path(sys.argv[0]).name == "default_worker.py"


class Slow(nn.Module):
    """A plain recurrent network that answers at the end of a sequence."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.recurrent = nn.Linear(input_size + hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, output_size)

    def forward(self, inputs_BTI: torch.Tensor) -> torch.Tensor:
        """Logits (B, C)."""
        if ON_WORKER and PACE.exists():
            time.sleep(float(PACE.read_text()))
            with RECORD.open("a") as record:
                record.write(f"{time.time()}\n")
        hidden_BH = inputs_BTI.new_zeros(inputs_BTI.shape[0], self.out.in_features)
        for step in range(inputs_BTI.shape[1]):
            hidden_BH = torch.tanh(self.recurrent(torch.cat([inputs_BTI[:, step], hidden_BH], dim=-1)))
        return self.out(hidden_BH)


SPACE = Space(
    name="hosts",
    summary="A study of many small packs.",
    models=("tests.cluster.slow:Slow",),
    optimizers=("sgd", "rmsprop"),
    lengths=tuple(range(4, 10)),
    max_norms=(1.0, float("inf")),
    hidden_size=8,
    batch_size=8,
    learning_rate={"low": 1e-3, "high": 1e-1},
    lr_trials=3,
    lr_extend=0,
    seeds=2,
    max_steps=40,
    observe=20,
    eval_every=20,
    probes=(),
)

"""A model that takes its time, and may do something to its worker: for runs that are cut in the middle.

PACED_COUNT=file     each forward pass adds a byte to it; file.pid says which process built it last
PACED_SECONDS=0.01   each forward pass sleeps so long
PACED_FAULT=exit     what the weights of seed 1 do to the worker that builds them: see FAULTS
"""

import ctypes
import os
import sys
import time
from pathlib import Path

import torch

from harness.identity import stream_seed
from harness.models import models

LENGTH = 4
"""Time steps of the palindromes that it is trained on."""


def allocate() -> None:
    """More than any machine has."""
    torch.empty(2**45)


FAULTS = {
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(3),
    "hang": lambda: time.sleep(3600),
    "memory": allocate,
}


class Paced(models.get("rnn")):
    """An RNN whose forward pass sleeps and is counted."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size)
        if count := os.environ.get("PACED_COUNT"):
            Path(f"{count}.pid").write_text(str(os.getpid()))
        on_worker = "harness.executors.ray_worker" in sys.modules
        if on_worker and torch.initial_seed() == stream_seed("weights", "palindrome", LENGTH, 1):
            FAULTS.get(os.environ.get("PACED_FAULT", ""), lambda: None)()

    def forward(self, inputs):
        time.sleep(float(os.environ.get("PACED_SECONDS", "0")))
        if count := os.environ.get("PACED_COUNT"):
            with Path(count).open("ab") as file:
                file.write(b".")
        return super().forward(inputs)

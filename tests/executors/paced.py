"""A model that takes its time, and may do something to its worker: for runs that are cut in the middle.

PACED_COUNT=file     each forward pass adds a byte to it; file.pid says which process built it last
PACED_SECONDS=0.01   each forward pass sleeps so long
PACED_FAULT=1=exit   what the weights of seed 1 do to the worker that builds them: see FAULTS; 1=exit,2=hang
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


def commit_faults(text: str) -> None:
    """Do what is asked of the seed whose weights are being built."""
    for seed, _, fault in (each.partition("=") for each in text.split(",") if each):
        if torch.initial_seed() == stream_seed("weights", "palindrome", LENGTH, int(seed)):
            FAULTS[fault]()


class Paced(models.get("rnn")):
    """An RNN whose forward pass sleeps and is counted."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size)
        if count := os.environ.get("PACED_COUNT"):
            Path(f"{count}.pid").write_text(str(os.getpid()))
        if "harness.executors.ray_worker" in sys.modules:
            commit_faults(os.environ.get("PACED_FAULT", ""))

    def forward(self, inputs):
        time.sleep(float(os.environ.get("PACED_SECONDS", "0")))
        if count := os.environ.get("PACED_COUNT"):
            with Path(count).open("ab") as file:
                file.write(b".")
        return super().forward(inputs)

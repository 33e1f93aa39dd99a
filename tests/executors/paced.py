"""A model that takes its time, and may do something to its process: for runs that are cut in the middle.

    PACED_COUNT=file     each forward pass adds a byte to it; file.pid says which process built it last
    PACED_SECONDS=0.01   each forward pass sleeps so long
"""

import os
import time
from pathlib import Path

from harness.models import models


class Paced(models.get("rnn")):
    """An RNN whose forward pass sleeps and is counted."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size)
        if count := os.environ.get("PACED_COUNT"):
            Path(f"{count}.pid").write_text(str(os.getpid()))

    def forward(self, inputs):
        time.sleep(float(os.environ.get("PACED_SECONDS", "0")))
        if count := os.environ.get("PACED_COUNT"):
            with Path(count).open("ab") as file:
                file.write(b".")
        return super().forward(inputs)

"""The harness's own step: whole blocks of `Training`, with what it draws and logs."""

import torch

from benchmarks.step.work import Work
from harness.tasks import Stream
from harness.tasks.base import CHUNK_STEPS
from harness.training.loop import Training

Batch = tuple[torch.Tensor, torch.Tensor]


class Repeated:
    """A stream that gives its first batch again and again: what is timed then draws nothing."""

    def __init__(self, stream: Stream) -> None:
        self.batch: Batch = stream.next()
        self._batches = [torch.stack([part] * CHUNK_STEPS) for part in self.batch]

    def take(self, most: int) -> Batch:
        """The batch at most so many times: inputs (steps, batch, ...) and targets (steps, batch)."""
        inputs, targets = self._batches
        return inputs[:most], targets[:most]


class HarnessSide:
    """A pack under one engine. UserError if the engine is not known or cannot run here."""

    def __init__(self, work: Work, engine: str) -> None:
        self.work = work
        self.training = Training(work.trials(), "cpu", engine)
        self.weights_RP = self.training._active.weights_RP
        self.drawing = self.training._streams
        self.given = {seed: Repeated(stream) for seed, stream in self.drawing.items()}
        self.engine = self.training.engine.name

    def block(self, steps: int, draw: bool) -> None:
        """That many updates of the pack, without an evaluation, on new batches or on given ones."""
        training = self.training
        training._streams = self.drawing if draw else self.given
        begin, training.step = training.step, training.step + steps
        training._train(begin)

    def first_steps(self) -> list[tuple[float, float, float]]:
        """Loss before and after the first update on given batches, and the gradient's norm, by replica."""
        self.block(2, draw=False)
        first = [log.blocks[0] for log in self.training.logs]
        return [(float(scalars[0][0]), float(scalars[0][1]), float(scalars[2][0])) for scalars in first]

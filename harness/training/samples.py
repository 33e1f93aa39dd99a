"""Texts sampled while a trial trains, so that one can read what it has learned."""

from typing import Any

import torch
from torch import nn

from harness.capabilities import has_steps
from harness.condition import Trial
from harness.decoding import continuations
from harness.identity import stream_seed

TEMPERATURES = (0.0, 0.5, 1.0, 2.0)
"""One text at each; 0 is greedy."""

SAMPLE_LENGTH = 200
"""Characters in a text."""


def take_samples(model: nn.Module, task: Any, trial: Trial, step: int) -> list[dict[str, Any]]:
    """Rows of the samples table after `step` updates: the task's prompt continued at every temperature.

    No rows if the model cannot be taken through time step by step.
    """
    if not has_steps(model):
        return []
    seed = stream_seed("samples", trial.condition.task, trial.condition.length, trial.seed, step)
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for temperature in TEMPERATURES:
        mode = "sample" if temperature else "greedy"
        (text,) = continuations(
            model,
            task.vocabulary,
            task.prompt,
            SAMPLE_LENGTH,
            mode=mode,
            temperature=temperature,
            generator=generator,
        )
        rows.append(
            {"step": step, "prompt": task.prompt, "text": text, "mode": mode, "temperature": temperature}
        )
    return rows

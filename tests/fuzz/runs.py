"""A tiny run of text_study, which fills every table: three packs of two trials, of six steps each."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.executors import base
from harness.run import main
from tests.helpers import letters

SETTINGS = {
    "models": "lstm", "lengths": "4", "hidden_size": "2", "batch_size": "2", "learning_rate": "0.01,0.03,0.1",
    "seeds": "2", "max_steps": "6", "observe": "0", "eval_every": "3", "sample_every": "3", "lr_trials": "1",
    "lr_batch": "1", "pack_size": "2",
}  # fmt: skip

FAILING = 0.1
"""The learning rate whose pack fails in `failing_once`."""


def text_arguments(folder: Path, results: Path) -> list[str]:
    """The command line of the run; its text lies in the folder."""
    settings = SETTINGS | {"corpus": str(folder / "corpus.txt")}
    sets = [f"--set={name}={value}" for name, value in settings.items()]
    return ["--space", "text_study", "--executor", "serial", "--results", str(results), *sets]


def finished_run(folder: Path) -> Path:
    """Train in this folder; return the space's folder of results."""
    (folder / "corpus.txt").write_text(letters(400))
    main(text_arguments(folder, folder / "results"))
    return folder / "results" / "text_study"


@contextmanager
def failing_once() -> Iterator[None]:
    """The pack with the highest learning rate fails while this lasts."""

    def train(pack, device, real=base.train):
        if pack.trials[0].learning_rate == FAILING and pack.trials[0].max_steps > 1:
            raise RuntimeError("matrix is on fire")
        return real(pack, device)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "train", train)
        yield

"""A tiny run of text_study, which fills every table: three packs of two trials, of six steps each."""

import shutil
from pathlib import Path

import pytest

from harness.results import reader
from harness.run import main
from tests.trials import letters

SETTINGS = {
    "models": "lstm", "lengths": "4", "hidden_size": "2", "batch_size": "2", "learning_rate": "0.01,0.03,0.1",
    "seeds": "2", "max_steps": "6", "observe": "0", "eval_every": "3", "sample_every": "3", "lr_trials": "1",
    "lr_batch": "1", "pack_size": "2",
}  # fmt: skip

FAILING = 0.1
"""The learning rate whose pack fails in `with_a_failure`."""


def text_arguments(folder: Path, results: Path) -> list[str]:
    """The command line of the run; its text lies in the folder."""
    settings = SETTINGS | {"corpus": str(folder / "corpus.txt")}
    sets = [f"--set={name}={value}" for name, value in settings.items()]
    return ["--space", "text_study", "--executor", "serial", "--results", str(results), *sets]


def finished_run(folder: Path) -> Path:
    """Train in this folder; return the space's folder of results."""
    (folder / "corpus.txt").write_text(letters(400))
    main(text_arguments(folder, folder / "results"))
    return made_in(folder / "results")


def made_in(results: Path) -> Path:
    """The folder of the one space that was trained here, or one that is not there."""
    return next(iter(sorted(results.glob("*"))), results / "none")


def with_a_failure(finished: Path, folder: Path) -> Path:
    """A copy of a finished run in this folder, in which the pack of the rate FAILING has failed."""
    shutil.copytree(finished.parents[1], folder, dirs_exist_ok=True)
    copy = folder / "results" / finished.name
    trials = reader.read(copy, "trials")
    failed = trials[trials["learning_rate"] == FAILING]
    for file in [path for path in copy.rglob("*") if path.stem in {*failed["pack_id"], *failed["trial_id"]}]:
        file.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.executors.base.blocks", on_fire)
        main(text_arguments(folder, folder / "results"))
    return copy


def on_fire(*_: object) -> None:
    """A training that fails."""
    raise RuntimeError("matrix is on fire")

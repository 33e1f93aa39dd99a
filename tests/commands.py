"""Runs of the command line, in this process or in one of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from harness.models import models
from harness.results.reader import read
from harness.run import main

TINY = {
    "models": "rnn",
    "optimizers": "sgd",
    "lengths": "4",
    "learning_rate": "1e-1:1e1",
    "lr_trials": "3",
    "lr_batch": "1",
    "lr_extend": "0",
    "max_steps": "100",
    "observe": "50",
    "pack_size": "2",
    "hidden_size": "8",
}
"""Two conditions of ten trials in all, a second of training: three packs that tune and two that report."""


def own_space(folder: Path, name: str, settings: dict[str, str]) -> str:
    """A file of a space like the built-in one with these settings, which then make no variant of it."""
    sets = [f"{field}={value}" for field, value in settings.items()]
    path = folder / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "import dataclasses\n"
        "from harness import load_space\n"
        "from harness.planning.fields import parse_settings\n"
        f"SPACE = dataclasses.replace(load_space({name!r}).override(parse_settings({sets!r})))\n"
    )
    return str(path)


TINY_SPACE = Path(__file__).parent / "tiny_space.py"
"""Space smoke with the settings of TINY: its results lie in the folder smoke."""


def tiny_arguments(results: Path, *more: str, **changes: str | None) -> list[str]:
    """Arguments of a tiny run; a setting of None is left out."""
    settings = {name: value for name, value in (TINY | changes).items() if value is not None}
    sets = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    executor = [] if "--executor" in more else ["--executor", "serial"]
    return ["--space", str(TINY_SPACE), "--results", str(results), *executor, *sets, *more]


def run_without_pictures(arguments: list[str]) -> int:
    """The exit code of a run in this process. Pictures take longer than a tiny training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.report.svg", lambda _figure: "<svg></svg>")
        return main(arguments)


def run_tiny(results: Path, *more: str, **changes: str | None) -> int:
    """The exit code of a tiny run in this process, without pictures.

    Our own models are not tried out, which would start two processes.
    """
    with pytest.MonkeyPatch.context() as patch:
        if changes.get("models") in OURS:
            patch.setattr("harness.driver.preflight.try_out", lambda *_: [])
        return run_without_pictures(tiny_arguments(results, *more, **changes))


HELD = "tests.commands:Held"


class Held(models.get("rnn")):
    """An RNN that cannot be built any more once HELD_AFTER packs are recorded in HELD_FOLDER.

    So a run is certainly in the middle of a pack when it is killed. Without these variables it is an RNN.
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size)
        folder, packs = os.environ.get("HELD_FOLDER"), os.environ.get("HELD_AFTER")
        if folder and len(list(Path(folder, "trials").glob("*.parquet"))) >= int(packs):
            Path(folder).with_suffix(".held").touch()
            time.sleep(SECONDS_TO_WAIT)
            raise TimeoutError("nothing ended the run that was held")


OURS = (HELD, "tests.executors.paced:Paced")
"""Models by import path that are known to be sound."""

UNTRIED = "import sys; from harness.driver import preflight; preflight.try_out = lambda *_: []; " + (
    "from harness.run import main; sys.exit(main(sys.argv[1:]))"
)
"""A program: `python -m harness.run` without the try-out, whose two processes take longer than a tiny run."""


def run_command(arguments: list[str], *ours: str) -> list[str]:
    """The command of a run in a process of its own; our own models, and these, are not tried out."""
    sound = any(f"models={models}" in arguments for models in (*OURS, *ours))
    return [sys.executable, *(["-c", UNTRIED] if sound else ["-m", "harness.run"]), *arguments]


SECONDS_TO_WAIT = 300


def wait_until_held(process: subprocess.Popen[str], results: Path) -> None:
    """Return when the process is in the middle of a pack and `hold_after` packs are recorded."""
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while not (results / "smoke.held").exists():
        assert process.poll() is None, f"it ended before: {process.communicate()}"
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.01)


@contextmanager
def started_tiny(
    results: Path, *more: str, hold_after: int | None = None, **changes: str | None
) -> Iterator[subprocess.Popen[str]]:
    """A tiny run in a process of its own, which listens to Ctrl-C also where these tests do not.

    With `hold_after` it trains `Held`, and no pack ends after so many. The process is killed at the end.
    """
    environment = dict(os.environ)
    if hold_after is not None:
        changes["models"] = HELD
        environment |= {"HELD_FOLDER": str(results / "smoke"), "HELD_AFTER": str(hold_after)}
    process = subprocess.Popen(
        run_command(tiny_arguments(results, *more, **changes)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """All tables in one order, without the columns that time changes."""
    found = {}
    for name in ("trials", "steps", "evals"):
        table = read(folder, name).drop(columns="seconds", errors="ignore")
        keys = ["trial_id"] if name == "trials" else ["trial_id", "step"]
        found[name] = table.sort_values(keys, ignore_index=True)
    return found


def assert_same_tables(one: Path, other: Path) -> None:
    a, b = tables(one), tables(other)
    for name in a:
        pd.testing.assert_frame_equal(a[name], b[name], check_exact=True)

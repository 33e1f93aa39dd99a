"""A run on a terminal: what is to be done, a progress bar, what failed, and the summary with its report."""

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from harness.condition import Pack, Result
from harness.driver.listeners import Listener, Start
from harness.driver.progress import RunProgress
from harness.errors import plain
from harness.executors.base import Failure, Load
from harness.pipes import silence
from harness.planning.cost import Workload
from harness.planning.space import Space


def growing(space: Space) -> str:
    """What may add trials to those that are known, in words."""
    seeds = [] if isinstance(space.seeds, int) else ["seeds are added"]
    return " or ".join([*(["a range grows"] if space.tuned and space.lr_extend else []), *seeds])


class LastingConsole(Console):
    """A console that falls silent when its reader has gone, so that the run behind it goes on.

    Texts are printed without what is not printable: names and values may hold control characters.
    """

    def print(self, *objects: Any, **named: Any) -> None:
        """See `rich.console.Console.print`."""
        super().print(*(lines(each) if isinstance(each, str) else each for each in objects), **named)

    def on_broken_pipe(self) -> None:
        """Say no more."""
        self.quiet = True
        silence(self.file)


def lines(text: str) -> str:
    """A text without what is not printable, its line ends aside."""
    return "\n".join(map(plain, text.split("\n")))


def consoles() -> tuple[Console, Console]:
    """Standard output and standard error, without markup: names may hold brackets."""
    width = None if sys.stdout.isatty() else 120
    out = LastingConsole(markup=False, emoji=False, highlight=False, soft_wrap=True, width=width)
    return out, LastingConsole(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


def named(pack: Pack) -> str:
    """A pack of one trial by what tells it from every other; a larger one by its size and first condition."""
    first = pack.trials[0]
    if len(pack.trials) == 1:
        return f"1 trial, {first.condition} learning_rate={first.learning_rate:g} seed={first.seed}"
    return f"{len(pack.trials)} trials, the first {first.condition}"


class Terminal(Listener):
    """Shows a run on `err`, and its summary on `out`; writes the report at the end.

    With `tracebacks`, what failed is shown whole. With `table`, the summary has a row per condition.
    """

    def __init__(self, out: Console, err: Console, tracebacks: bool = False, table: bool = False) -> None:
        self._out = out
        self._err = err
        self._tracebacks = tracebacks
        self._table = table
        self._failed = 0
        self._start: Start | None = None

    def started(self, start: Start) -> None:
        """Say what is to be done, and show the bar."""
        for pair in start.space.skipped:
            self._err.print(f"skipped: {pair}")
        for line in start.repaired:
            self._err.print(line)
        for line in start.notes:
            self._err.print(line)
        trials = f"{start.total} trials"
        if start.may_grow:
            trials = f"at least {trials} (more where {growing(start.space)})"
        self._err.print(
            f"{start.space.name}: {len(start.space.conditions())} conditions, {trials}, "
            f"{start.recorded} already done; results in {start.folder}"
        )
        self._start = start
        self._progress = RunProgress(start.left, start.recorded, self._err)

    def done(self, pack: Pack, outcome: list[Result] | Failure) -> None:
        """Move the bar; say what failed."""
        if isinstance(outcome, Failure):
            count = len(pack.trials)
            self._failed += count
            self._progress.add_failed(count)
            self._err.print(f"failed: {named(pack)}: {outcome.reason}")
            if self._tracebacks:
                self._err.print(outcome.error)
        else:
            self._progress.add(outcome)

    def grew(self, more: Mapping[Workload, int]) -> None:
        """Count these too."""
        self._progress.grew(more)

    def divided(self, pack: Pack, failure: Failure) -> None:
        """Say what is tried again, and why."""
        self._err.print(f"tried again in halves: {named(pack)}: {failure.reason}")

    def works(self, load: Load) -> None:
        """Show how much of a cluster trains."""
        self._progress.works(load)

    def closed(self, error: BaseException | None) -> None:
        """Take the bar away; unless a fault ended the run, print the summary and write the report."""
        if self._start is None:
            return
        self._progress.stop()
        if error is None or isinstance(error, KeyboardInterrupt):
            from harness.driver.summary import summarise  # half a second that a run need not wait for

            summarise(self._start.space, self._start.folder, self._failed, self._out, self._table)

    @property
    def started_training(self) -> bool:
        """Whether the run came so far that something may have been trained."""
        return self._start is not None

    def stands(self) -> str:
        """How much is recorded, in a sentence."""
        if self._start is None:
            return "Nothing was started."
        recorded, total = self._progress.recorded, self._progress.total
        if not recorded:
            return "No trial is recorded."
        return f"{recorded} of {total} trials are recorded."

    def interrupted(self) -> str:
        """What to say after Ctrl-C: how much is recorded, and how to go on."""
        if self._start is None:
            return f"Interrupted. {self.stands()}"
        recorded, total = self._progress.recorded, self._progress.total
        rest = "writes the report" if recorded == total else "does the rest" if recorded else "starts again"
        return f"Interrupted. {self.stands()[:-1]}; the same command {rest}."

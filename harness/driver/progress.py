"""How far the run is: a live bar on a terminal, a plain line now and then elsewhere."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from harness.condition import Outcome, Result
from harness.executors.base import Load
from harness.planning.cost import Cost, Workload

PLAIN_EVERY = 15.0
"""Seconds between lines when the output is not a terminal."""

BAR_WIDTH = 16
"""Columns of the bar; a terminal narrower than BAR_FROM has none."""

BAR_FROM = 80


class RunProgress:
    """Counts trials and outcomes, and shows them with the time left and trials per minute."""

    def __init__(self, left: Mapping[Workload, int], done: int, console: Console) -> None:
        """Show the bar. `left` are the trials to train, by workload; `done` is the number recorded before."""
        self._left = Counter(left)
        self._done = done
        self.total = done + self._left.total()
        self._new = 0
        self._outcomes: Counter[str] = Counter()
        self._cost = Cost()
        self._load: Load | None = None
        self._console = console
        self._started = time.monotonic()
        self._last_line = self._started
        state = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._beside = BAR_WIDTH + 1 if console.width >= BAR_FROM else 0  # columns that the bar takes
        self._bar = Progress(
            *([BarColumn(bar_width=BAR_WIDTH)] if self._beside else []),
            TextColumn("{task.fields[state]}", table_column=state, markup=False),
            console=console,
            transient=True,
            expand=True,
            disable=not console.is_terminal,
        )
        starting = f"{done}/{self.total}: starting"
        self._task = self._bar.add_task("trials", total=self.total, completed=done, state=starting)
        self._bar.start()

    @property
    def recorded(self) -> int:
        """Trials that are recorded, before this run and in it."""
        return self._done + self._new

    def stop(self) -> None:
        """Take the bar away; elsewhere than on a terminal, leave a last line."""
        self._bar.stop()
        if self._new and not self._console.is_terminal:
            self._console.print(self.line(), soft_wrap=True, highlight=False)

    def add(self, results: Iterable[Result]) -> None:
        """These trials have ended and are recorded."""
        for result in results:
            self._left[Workload.of(result.trial.condition)] -= 1
            self._outcomes[result.outcome] += 1
            self._cost.learn(result)
            self._new += 1
        self._show()

    def grew(self, more: Mapping[Workload, int]) -> None:
        """These trials are to be trained, too; the next `add` shows it."""
        self._left.update(more)
        self.total += sum(more.values())

    def add_failed(self, trials: int) -> None:
        """This many trials failed."""
        self._outcomes[Outcome.FAILED] += trials
        self._show()

    def works(self, load: Load) -> None:
        """So much of what there is trains; it is shown of more than one node."""
        self._load = load if load.nodes != 1 else None
        if self._load is not None:
            self._show()

    def line(self) -> str:
        """The state in one line."""
        return fitting(f"{self.recorded} of {self.total} trials: ", self._pieces())

    def narrow_line(self, width: int) -> str:
        """The state in so many columns: what matters first."""
        return fitting(f"{self.recorded}/{self.total}: ", self._pieces(), width)

    def _pieces(self) -> list[str]:
        """The state, by how much it matters: the good news, faults, the time left, and the rest."""
        elapsed = time.monotonic() - self._started
        first = (Outcome.STABLE, Outcome.FAILED)
        others = [outcome for outcome in Outcome if outcome not in first and self._outcomes[outcome]]
        failed = [Outcome.FAILED] if self._outcomes[Outcome.FAILED] else []
        return [
            *(f"{outcome} {self._outcomes[outcome]}" for outcome in (Outcome.STABLE, *failed)),
            self._eta(elapsed),
            *(said_of(self._load) if self._load else ()),
            *(f"{outcome} {self._outcomes[outcome]}" for outcome in others),
            f"{60 * self._new / elapsed:.0f}/min",
        ]

    def _eta(self, elapsed: float) -> str:
        if not self._new:
            return "time left unknown"
        work = sum(count * self._cost.of(workload) for workload, count in self._left.items() if count > 0)
        seconds = work * elapsed / self._cost.total
        return f"about {duration(seconds)} left"

    def _show(self) -> None:
        state = self.narrow_line(self._console.width - self._beside)
        self._bar.update(self._task, total=self.total, completed=self.recorded, state=state)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line > PLAIN_EVERY:
            self._last_line = now
            self._console.print(self.line(), soft_wrap=True, highlight=False)


def said_of(load: Load) -> list[str]:
    """What trains, and what waits for what: `3 nodes, 8 GPUs, 8 of 8 places train, 12 packs wait`."""
    if not load.nodes:
        return ["no node is up that can train a pack"]
    pieces = [f"{load.nodes} nodes", f"{load.gpus} GPUs" if load.gpus else ""]
    pieces += [f"{load.training} of {load.places} places train"]
    pieces += [f"{load.starting} workers start or wait for a node" if load.starting else ""]
    idle = load.places - load.training - load.starting
    if load.waiting:
        pieces += [f"{load.waiting} packs wait for a place"]
    elif idle > 0:
        pieces += [f"{idle} places wait for a pack"]
    return [piece for piece in pieces if piece]


def fitting(start: str, pieces: Iterable[str], width: int | None = None) -> str:
    """`start` and the pieces that fit into so many columns, the first ones first; all without a width."""
    line, joint = start, ""
    for piece in pieces:
        if width is None or len(line) + len(joint) + len(piece) <= width:
            line, joint = f"{line}{joint}{piece}", ", "
    return line


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

"""Serial runs that are killed, terminated, or refused by the disk at the n-th event, and given again."""

import itertools
import random
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from benchmarks.soak.faults import ERRORS, KINDS, Faults
from benchmarks.soak.forks import Ended, in_a_child
from benchmarks.soak.tables import Contents, contents
from harness import run_space
from harness.planning.plan import Plan
from harness.planning.space import Space
from harness.training.loop import train

SPACE = Space(
    name="soak",
    summary="Two conditions of twelve trials, two or fewer in a pack.",
    models=("rnn",),
    optimizers=("sgd",),
    lengths=(4,),
    max_norms=(1.0, float("inf")),
    lr_trials=5,
    lr_batch=4,
    seeds=2,
    max_steps=20,
    observe=0,
    eval_every=10,
    pack_size=2,
    hidden_size=4,
    batch_size=4,
    probes=("spectrum",),
)

SHARE = 0.5
"""A fault is drawn among the first events of a run, this share of those of a whole one."""


@dataclass
class Tally:
    """What came of it: faults by kind, runs that ended in another way than they were made to, and so on."""

    faults: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    lost: int = 0
    doubled: int = 0
    differing: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled, different or unexpected."""
        return not (self.lost or self.doubled or self.differing or self.wrong)


class Watched:
    """A results folder whose trials are looked at after every fault."""

    def __init__(self, folder: Path, tally: Tally, what: str) -> None:
        self.folder, self._tally, self._what = folder, tally, what
        self._seen: set[str] = set()

    def look(self, when: str) -> Contents:
        """Count what was lost and doubled since the last look."""
        found = looked(self.folder, self._tally, f"{self._what}, {when}")
        self._tally.lost += len(self._seen - set(found.trials))
        self._tally.doubled += found.doubled
        self._seen |= set(found.trials)
        return found

    def finish(self, expected: Contents) -> None:
        """The last look: the tables must be those of the undisturbed run."""
        found = self.look("at the end")
        self._tally.rounds += 1
        self._tally.differing += found != expected


def looked(folder: Path, tally: Tally, when: str) -> Contents:
    """The contents of a folder; that it cannot be read is noted."""
    ended = in_a_child(lambda: asdict(contents(folder)))
    if ended.answer is None:
        tally.wrong.append(f"{when}: the folder cannot be read: {ended.error}")
        return Contents([], {}, 0)
    return Contents(**ended.answer)


def run(folder: Path, kind: str = "kill", at: int = 0, error: int = 0) -> Ended:
    """One serial run, in a child, with a fault at an event; the answer is the number of its events."""

    def work() -> int:
        faults = Faults(folder, kind, at, error)
        faults.install()
        run_space(SPACE, folder, executor="serial", engine="eager", yes=True)
        return faults.events

    return in_a_child(work)


def warm_up() -> None:
    """Load and check in this process what every child would: children begin with all of it."""
    torch.set_num_threads(1)
    plan = Plan(SPACE, {})
    while (pack := plan.ask()) is not None:
        plan.tell(pack, train(pack))


def expected_of(scratch: Path) -> tuple[Contents, int]:
    """The contents of an undisturbed run, and the number of its events."""
    ended = run(scratch / "undisturbed")
    if ended.answer is None:
        raise RuntimeError(f"the undisturbed run did not end: {ended}")
    return looked(scratch / "undisturbed" / SPACE.name, Tally(), "undisturbed"), int(ended.answer)


def soak(seed: int, faults: int, scratch: Path, tally: Tally) -> Iterator[str]:
    """So many faults in as many runs, in fresh folders one after the other; a line for each folder."""
    expected, events = expected_of(scratch)
    draw = random.Random(f"local {seed}")
    left = faults
    for number in itertools.count():
        if left <= 0:
            return
        before = left
        left = _one_folder(scratch / f"local{number}", draw, left, expected, events, tally)
        yield f"folder {number}: {before - left} faults, {len(expected.trials)} trials, {said(tally)}"


def _one_folder(
    folder: Path, draw: random.Random, left: int, expected: Contents, events: int, tally: Tally
) -> int:
    watched = Watched(folder / SPACE.name, tally, str(folder.name))
    while left:
        kind, at = draw.choice(KINDS), draw.randint(1, max(1, int(events * SHARE)))
        ended = run(folder, kind, at, draw.choice(ERRORS))
        if ended.answer is not None and ended.error is None:  # it finished before the fault
            break
        left -= 1
        tally.faults[f"driver: {kind}"] += 1
        if not as_made(kind, ended):
            tally.wrong.append(f"{folder.name}: {kind} at event {at} ended in {ended}")
        watched.look(f"{kind} at event {at}")
    ended = run(folder)
    if ended.answer is None:
        tally.wrong.append(f"{folder.name}: the last run did not finish: {ended}")
    watched.finish(expected)
    return left


def as_made(kind: str, ended: Ended) -> bool:
    """Whether a run ended as this fault makes it end."""
    if kind == "kill":
        return ended.signal == signal.SIGKILL
    if kind == "terminate":
        return ended.signal == signal.SIGTERM or (ended.error or "").startswith("KeyboardInterrupt")
    return (ended.error or "").startswith("Injected")


def said(tally: Tally) -> str:
    """The tally in a line."""
    named = ", ".join(f"{kind} {count}" for kind, count in sorted(tally.faults.items()))
    return f"{named}; lost {tally.lost}, doubled {tally.doubled}, differing {tally.differing}"

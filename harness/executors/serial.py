"""All packs in this process, one after the other."""

from contextlib import closing

from harness.condition import Checkpoint, Pack
from harness.executors.base import SAVE_EVERY, Outcome, Source, attempt, one_thread


def run_serial(source: Source, device: str, engine: str, save_every: float = SAVE_EVERY) -> None:
    """Train until the source has finished; every `save_every` minutes the state of the pack is kept."""
    with one_thread():
        while not source.finished:
            pack = source.ask()
            if pack is None:
                raise RuntimeError("the plan waits for results, but none are out")
            source.done(pack, train_here(source, pack, device, engine, save_every))


def train_here(source: Source, pack: Pack, device: str, engine: str, save_every: float) -> Outcome:
    """What comes of a pack."""
    with closing(attempt(pack, device, engine, source.begun(pack), save_every)) as training:
        while True:
            try:
                news = next(training)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            if isinstance(news, Checkpoint):
                source.keep(pack, news)

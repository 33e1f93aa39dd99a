"""All packs in this process, one after the other."""

from harness.executors.base import Source, attempt, one_thread


def run_serial(source: Source, device: str, engine: str) -> None:
    """Train until the source has finished."""
    with one_thread():
        while not source.finished:
            pack = source.ask()
            if pack is None:
                raise RuntimeError("the plan waits for results, but none are out")
            source.done(pack, attempt(pack, device, engine))

"""A finished run for all fuzzing, and a line after the tests that says how many inputs were tried."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.results import reader
from tests.fuzz import profiles  # noqa: F401  registers the profile before the command line asks for it
from tests.fuzz.oracle import CENSUS
from tests.fuzz.runs import finished_run, with_a_failure


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for part, count in CENSUS.inputs.items():
        ways = {way: n for (owner, way), n in sorted(CENSUS.outcomes.items()) if owner == part}
        said = ", ".join(f"{way} {n:,}" for way, n in ways.items())
        terminalreporter.write_line(f"fuzzed {part}: {count:,} inputs ({said})")


@contextmanager
def nothing_drawn() -> Iterator[None]:
    """Drawing a figure, or asking git for the commit, takes longer than all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.report.svg", lambda _figure: "")
        patch.setattr("analysis.report.draw_png", lambda _figure, _file: None)
        for home in ("harness.results.provenance", "analysis.sections.methods"):
            patch.setattr(f"{home}.git_commit", lambda *_: "0" * 40, raising=False)
        yield


@pytest.fixture(autouse=True)
def _nothing_is_drawn():
    with nothing_drawn():
        yield


@pytest.fixture
def untrained(monkeypatch) -> None:
    """Runs start nothing; an estimate times nothing."""
    monkeypatch.setattr("harness.driver.driver.execute", lambda *_: None)
    monkeypatch.setattr("harness.driver.estimate.timed", lambda *_: (1e-3, 1e-3), raising=False)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """Results of a run with weights and samples: three packs, all trained."""
    with nothing_drawn():
        return finished_run(tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="session")
def unfinished(finished, tmp_path_factory) -> Path:
    """The same, but one pack of three has failed."""
    return with_a_failure(finished, tmp_path_factory.mktemp("unfinished"))


@pytest.fixture(scope="session")
def weights(finished) -> tuple[Path, str]:
    """A results folder, and one of its trials with weights."""
    return finished, reader.checkpoints(finished)[0]

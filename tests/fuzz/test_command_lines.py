"""Any command line is done or refused in a few lines; a refusal leaves no file behind."""

import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import compare, report
from harness import generate, run
from tests.folders import drops_folder
from tests.fuzz import grammar
from tests.fuzz.oracle import CENSUS, Answer, call, faults, listing
from tests.fuzz.profiles import inputs

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    """A scratch folder with every kind of path, and the results of a run in results/x."""
    here = tmp_path_factory.mktemp("scratch")
    make_places(here)
    drops_folder(here / "results")
    return here


def make_places(here: Path) -> None:
    """The paths that `grammar.PLACES` names."""
    (here / "folder").mkdir()
    (here / "file").write_text("abcabc\n" * 40)
    (here / "text.py").write_text("SPACE = 1\n")
    os.mkfifo(here / "fifo")
    (here / "loop").symlink_to("loop")
    (here / "dangling").symlink_to("nothing/there")


@pytest.fixture(autouse=True)
def _there(monkeypatch, here) -> None:
    monkeypatch.chdir(here)


def filled(argv: Sequence[str], **places: str) -> list[str]:
    """The arguments with the paths that stand for {here} and others."""
    places["here/long"] = places["here"] + "/" + "x" * 300
    for name, path in sorted(places.items(), reverse=True):
        whole = name.partition("/")
        marked = "{" + whole[0] + "}" + whole[1] + whole[2]
        argv = [argument.replace(marked, path) for argument in argv]
    return list(argv)


def assert_answers(part: str, main: Callable[[Sequence[str]], int], argv: list[str], here: Path) -> Answer:
    """The answer to a command line; a refused one made no file in the scratch folder."""
    before = listing(here)
    CENSUS.begin(part, argv)
    answer = call(main, argv)
    found = faults(answer)
    made = sorted(set(listing(here)) - set(before))
    if made and answer.refused:
        found.append("refused, but wrote")
    for name in made:
        remove(here / name)
    CENSUS.judge(part, argv, answer, found)
    return answer


def remove(path: Path) -> None:
    """Remove what a command made; folders come before what is in them."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@inputs(50, 800)
@given(argv=grammar.run_commands())
def test_any_run_is_planned_or_refused(here, untrained, argv):
    assert_answers("run", run.main, filled(argv, here=str(here)), here)


@pytest.mark.slow
@inputs(200, 800)
@given(settings=grammar.several_settings(1))
def test_any_override_is_planned_or_refused(here, untrained, settings):
    argv = ["--space", "smoke", "--executor", "serial", *(f"--set={setting}" for setting in settings)]
    assert_answers("override", run.main, filled(argv, here=str(here)), here)


@inputs(15, 200)
@given(space=st.sampled_from(["smoke", "smoke", "graph_study"]), settings=grammar.sizes())
def test_any_size_is_planned_or_refused_at_once(here, untrained, space, settings):
    argv = ["--space", space, "--executor", "serial", *(f"--set={setting}" for setting in settings)]
    assert_answers("size", run.main, argv, here)


@contextmanager
def outs(folder: Path) -> Iterator[None]:
    """A folder of things that a report may be told to write to."""
    (folder / "folder").mkdir(parents=True)
    (folder / "file").write_text("old")
    (folder / "target").write_text("old")
    (folder / "link").symlink_to("target")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nothing/there")
    os.mkfifo(folder / "drained")
    with drained(folder / "drained"):
        yield
    shutil.rmtree(folder)


@contextmanager
def drained(pipe: Path) -> Iterator[None]:
    """Read a pipe all the time, so that who writes to it never waits."""
    file, over = os.open(pipe, os.O_RDWR), threading.Event()

    def read() -> None:
        while not over.is_set():
            os.read(file, 1 << 16)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    yield
    over.set()
    os.write(file, b"x")  # wakes the reader
    reader.join()
    os.close(file)


def kinds(folder: Path) -> dict[str, int]:
    """What each thing in a folder is: a file, a link, a pipe, ..."""
    return {path.name: stat.S_IFMT(path.lstat().st_mode) for path in folder.iterdir()}


@inputs(12, 200)
@given(argv=grammar.report_commands())
def test_any_report_is_written_or_refused_and_a_special_file_stays_one(here, argv):
    with outs(here / "outs"):
        before = kinds(here / "outs")
        answer = assert_answers("report", report.main, filled(argv, here=str(here)), here)
        after = kinds(here / "outs")
        changed = [f"replaced {name}" for name, kind in before.items() if after.get(name) != kind]
    CENSUS.judge("report: what --out was", argv, answer, changed)


@inputs(15, 150)
@given(argv=grammar.compare_commands())
def test_any_comparison_is_made_or_refused(here, argv):
    assert_answers("compare", compare.main, filled(argv, here=str(here)), here)


@inputs(30, 300)
@given(argv=grammar.generate_commands())
def test_any_text_is_written_or_refused(here, weights, argv):
    folder, trial = weights
    argv = filled(argv, here=str(here), weights=str(folder), trial=trial)
    assert_answers("generate", generate.main, argv, here)

"""A run that dies at any call of its storage leaves a folder that is read as ever, and finished by itself.

Every call of the door to a results folder is counted. A run is killed before the first that changes
something, before the second, and so on. Trials are not trained again: what came of each pack is handed out.
"""

import dataclasses
import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analysis.load import LoadError, load
from analysis.report import write_report
from harness import Listener, run_space
from harness.driver.driver import Driver
from harness.results import compaction, folder, lock, reader, writer
from harness.results.bundles import is_bundle, superseded
from harness.results.check import check_whole, faults
from harness.results.folder import Folder
from harness.results.local import PART, Local
from harness.results.lock import OWNER
from harness.results.remote import Remote
from tests.commands import assert_same_tables, tables
from tests.results.storage import AtOnce
from tests.tiny_space import SPACE as TINY

SPACE = dataclasses.replace(TINY, pack_size=4)
"""Four packs: three that tune, and one that reports."""

IS_GONE = lock.is_gone

CHANGES = ("put", "create", "remove", "move")

CALLS = ("kind", "entries", "content", *CHANGES)
"""All that a storage does."""


class Killed(BaseException):
    """The process is dead: nothing that it would still do reaches the storage."""


class Storage:
    """Notes the calls of a storage, by all threads; dies before or after one of them."""

    def __init__(self, number: int | None = None, when: str = "before") -> None:
        self.number, self.when, self.calls, self.dead = number, when, [], False

    def around(self, name, call):
        def counted(store, *arguments):
            self.die_if(self.dead)
            self.calls.append(name)
            mine = len(self.calls) - 1 == self.number
            if mine and self.when == "before":
                if name == "put" and isinstance(store, Local):
                    leave_half(Path(arguments[0]))
                self.die_if(True)
            found = call(store, *arguments)
            self.die_if(mine)
            return found

        return counted

    def die_if(self, dies: bool) -> None:
        if dies:
            self.dead = True
            raise Killed

    @contextmanager
    def watched(self) -> Iterator["Storage"]:
        with pytest.MonkeyPatch.context() as patch:
            for kind, name in itertools.product((Local, Remote), CALLS):
                patch.setattr(kind, name, self.around(name, getattr(kind, name)))
            yield self


def leave_half(path: Path) -> None:
    """What a process leaves of a file if it is killed while it writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f".{path.name}{PART}").write_bytes(b"half")


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> Iterator[Path]:
    """The folder of an undisturbed run; its results are handed out from now on."""
    results = {}

    class Keep(Listener):
        def done(self, pack, outcome):
            results[pack.pack_id] = outcome

    made = run_space(SPACE, tmp_path_factory.mktemp("expected"), executor="serial", listeners=[Keep()])

    def run_serial(driver: Driver, *_: object) -> None:
        while (pack := driver.ask()) is not None:
            driver.done(pack, results[pack.pack_id])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.driver.driver.run_serial", run_serial)
        patch.setattr("harness.driver.preflight.try_out", lambda *_: ())
        patch.setattr("analysis.report.SECTIONS", [])
        patch.setattr(lock, "is_gone", lambda _owner: True)  # whoever was killed
        patch.setattr(compaction, "PACKS", 2)
        patch.setattr(writer, "ThreadPoolExecutor", AtOnce)
        patch.setattr(folder, "AT_A_TIME", 1)
        yield made


def whole_run(where: str) -> str:
    """A run of four packs, which are bundled by two, and its report."""
    made = run_space(SPACE, where, executor="serial")
    write_report(load(made), style="json")
    return str(made)


def check_readable(where: str, expected: Path) -> None:
    """What is recorded is sound, and as it is in the end."""
    assert faults(where) == {}
    recorded = reader.read(where, "trials")["trial_id"]
    assert not recorded.duplicated().any()
    for name, table in tables(expected).items():
        kept = table[table["trial_id"].isin(recorded)].reset_index(drop=True)
        assert kept.equals(tables(where)[name]) if len(kept) else tables(where)[name].empty
    try:
        assert len(load(where).trials) == len(recorded)
    except LoadError:
        assert recorded.empty


def check_finished(where: str, expected: Path) -> None:
    """The same call does the rest, and nothing is left that does not belong there."""
    assert whole_run(where.removesuffix("/smoke")) == where
    assert_same_tables(expected, where)
    there = Folder.of(where)
    assert faults(where) == {} and check_whole(where)[1] == [] == superseded(there) == there.leftovers()
    assert not there.exists("set_aside") and there.exists("optuna.journal") and there.exists("report.json")
    assert any(map(is_bundle, there.sizes("trials")))


def die_everywhere(root: str, expected: Path, every: int = 1) -> int:
    """How many deaths were injected: before every call, or one of some, that changes something.

    A file of this machine is half written then. A death at any other call leaves what one of these leaves.
    """
    with Storage().watched() as undisturbed:
        assert_same_tables(expected, whole_run(f"{root}/undisturbed"))
    changes = [number for number, name in enumerate(undisturbed.calls) if name in CHANGES]
    chosen = sorted({*changes[::every], changes[-1]})
    for number in chosen:
        with Storage(number).watched(), pytest.raises(Killed):
            whole_run(f"{root}/{number}")
        check_readable(f"{root}/{number}/smoke", expected)
        check_finished(f"{root}/{number}/smoke", expected)
    return len(chosen)


@pytest.mark.slow
def test_a_run_that_dies_at_any_change_of_this_machines_files_is_finished_by_the_next(expected, tmp_path):
    assert die_everywhere(str(tmp_path), expected) > 25


@pytest.mark.slow
def test_a_run_that_dies_at_changes_of_object_storage_is_finished_by_the_next(expected, s3):
    assert die_everywhere(s3, expected, every=6) > 5


DIES = """
import os, sys
from pathlib import Path

import pytest

from tests.results import test_crashes as crashes
from harness.results import compaction

def die(self, dies):
    if dies:
        os._exit(9)

crashes.Storage.die_if = die
compaction.PACKS = 2
with crashes.Storage(int(sys.argv[2])).watched():
    crashes.whole_run(sys.argv[1])
"""


@pytest.mark.slow
def test_a_process_that_ends_in_the_middle_leaves_a_folder_to_go_on_with(expected, s3):
    """By os._exit, without any of what is done when an exception passes; nobody says that it is dead."""
    made = subprocess.run([sys.executable, "-c", DIES, s3, "90"], check=False)
    assert made.returncode == 9
    assert Folder.of(f"{s3}/smoke").exists(OWNER)
    check_readable(f"{s3}/smoke", expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock, "is_gone", IS_GONE)
        check_finished(f"{s3}/smoke", expected)

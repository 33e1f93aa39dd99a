"""What keeps two runs from one folder where the file system has no locks."""

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys

import pytest

from harness import probes
from harness.condition import Pack, Result
from harness.errors import RecordsError
from harness.results import reader
from harness.results.folder import Folder
from harness.results.lock import OWNER, exclusive, is_gone, this_process
from harness.results.writer import Writer
from tests.results.test_damage import RESULTS, SPACE


def record(writer: Writer, result: Result) -> None:
    writer.write_pack(Pack((result.trial,)), [result])


@pytest.mark.parametrize("code", ["ENOSYS", "ENOLCK", "ENOTSUP", "EOPNOTSUPP"])
def test_without_locks_a_file_stands_for_the_lock_and_says_whose_it_is(code, tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    folder = Folder.of(tmp_path / "r")
    said = rf"process {os.getpid()} on .* since .*; wait for it, or add --take-over if it is dead"
    with exclusive(folder), pytest.raises(RecordsError, match=said):
        exclusive(folder)
    exclusive(folder).close()
    assert not (tmp_path / "r" / ".running").exists()
    (tmp_path / "r" / ".running").write_text("")  # killed as it began
    with pytest.raises(RecordsError, match="it does not say which"):
        exclusive(folder)
    with exclusive(folder, take_over=True):
        pass
    assert not (tmp_path / "r" / ".running").exists()


@pytest.mark.parametrize(
    ("code", "said"), [("EAGAIN", "another run is writing"), ("EIO", "cannot be locked")]
)
def test_what_else_keeps_from_locking_is_not_called_another_run(code, said, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(RecordsError, match=said):
        exclusive(Folder.of(tmp_path / "r"))


@pytest.fixture(params=["here", "storage"])
def place(request, tmp_path, monkeypatch) -> str:
    """A place where a file stands for the lock: a file system without locks, and object storage."""
    if request.param == "storage":
        return f"{request.getfixturevalue('s3')}/r"

    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    return str(tmp_path / "r")


def held_by(place: str, **changes: object) -> None:
    """Have another process hold the folder."""
    owner = {**this_process(), "host": "elsewhere", "process": 71, "since": "2026-01-31 12:00:00 +0000"}
    content = json.dumps(owner | changes).encode()
    Folder.of(place).write_whole(OWNER, lambda file: file.write(content))


def writer(place: str, **more: object) -> Writer:
    conditions = [RESULTS[0].trial.condition]
    columns = dict(options=SPACE.option_columns(), measures=probes.measure_columns())
    return Writer(place, SPACE.definition(), conditions, provenance={}, **columns, **more)


def test_a_second_run_is_told_who_has_the_folder_since_when_and_how_to_take_it_over(place):
    held_by(place)
    with pytest.raises(RecordsError) as error:
        writer(place)
    assert str(error.value) == (
        f"another run is writing to {place} (process 71 on elsewhere since 2026-01-31 12:00:00 +0000); wait "
        f"for it, or add --take-over if it is dead"
    )
    taken = writer(place, take_over=True)
    with pytest.raises(RecordsError, match=rf"process {os.getpid()} on"):
        writer(place)
    taken.close()
    writer(place).close()
    assert not Folder.of(place).exists(OWNER)


def test_a_run_that_was_taken_for_dead_records_nothing_more(place):
    first = writer(place)
    record(first, RESULTS[0])
    second = writer(place, take_over=True)
    said = rf"{place} is no longer this run's: process {os.getpid()} on .* took it over"
    with pytest.raises(RecordsError, match=said):
        record(first, RESULTS[1])
    with pytest.raises(RecordsError, match=said):
        first.write_failure(Pack((RESULTS[1].trial,)), "no luck")
    first.close()  # leaves the lock of the second where it is
    assert len(reader.read(place, "trials")) == len(Folder.of(place).sizes("steps")) == 1
    record(second, RESULTS[1])
    Folder.of(place).remove(OWNER)
    with pytest.raises(RecordsError, match=r"its \.running was removed"):
        record(second, RESULTS[0])
    assert len(reader.read(place, "trials")) == 2


def test_the_lock_is_looked_at_again_just_before_a_pack_counts(place, monkeypatch):
    lost = writer(place)
    write_all = Folder.write_all
    monkeypatch.setattr(Folder, "write_all", lambda self, files: (write_all(self, files), held_by(place)))
    with pytest.raises(RecordsError, match=r"process 71 on elsewhere since .* took it over"):
        record(lost, RESULTS[0])
    assert reader.read(place, "trials").empty


DIED = """
import fcntl, os, sys
from harness.results.folder import Folder
from harness.results.lock import exclusive

def flock(*_):
    raise OSError(37, "no locks")

fcntl.flock = flock
exclusive(Folder.of(sys.argv[1]))
os._exit(9)
"""


def test_what_a_dead_process_of_this_host_left_is_taken_over(place):
    assert subprocess.run([sys.executable, "-c", DIED, place], check=False).returncode == 9
    assert Folder.of(place).exists(OWNER)
    writer(place).close()
    assert not Folder.of(place).exists(OWNER)


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({}, True),
        ({"host": "elsewhere"}, False),
        ({"place": ["another start of the system", "pid:[4026531836]"]}, False),
        ({"place": None}, False),
        ({"process": os.getpid()}, True),  # the number is another process's by now
        ({"process": os.getpid(), "started": this_process()["started"]}, False),
        ({"process": "x"}, False),
    ],
)
def test_only_a_process_that_is_surely_gone_is_taken_over(changes, taken, tmp_path, monkeypatch):
    gone = {"host": socket.gethostname(), "process": 2**22 + 1, "started": "1"}
    assert is_gone({**this_process(), **gone, **changes}) == taken


def test_an_answer_that_was_lost_is_not_taken_for_another_run(place, monkeypatch):
    create = Folder.create
    monkeypatch.setattr(Folder, "create", lambda *made: create(*made) and False)
    writer(place).close()


def test_a_lock_of_the_system_says_who_has_it_and_is_not_taken_over(tmp_path):
    with (
        exclusive(Folder.of(tmp_path)),
        pytest.raises(RecordsError, match=rf"process {os.getpid()} on .* since .*; wait for it or use"),
    ):
        exclusive(Folder.of(tmp_path), take_over=True)

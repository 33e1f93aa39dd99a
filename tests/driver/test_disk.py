"""What happens around a run: a disk fills up or becomes read-only, a clock jumps, a second driver comes."""

import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.driver.terminal import Terminal
from harness.results.reader import read
from tests.commands import HELD, assert_same_tables, run_tiny, started_tiny, wait_until_held


def mount(*arguments: str) -> bool:
    command = shutil.which("mount")
    return command is not None and not subprocess.run([command, *arguments], capture_output=True).returncode


@contextmanager
def small_disk(where: Path, size: str):
    """A disk of memory; the test is skipped where none may be mounted."""
    where.mkdir()
    if not mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(where)):
        pytest.skip("no disk can be mounted here")
    try:
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)


def read_only(disk: Path) -> None:
    """Until it is unmounted once: laid over the disk, because the run has a file open there."""
    assert mount("--bind", str(disk), str(disk))
    assert mount("-o", "remount,ro,bind", str(disk))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    results = tmp_path_factory.mktemp("whole")
    assert run_tiny(results) == 0
    return results / "smoke"


def then(monkeypatch, packs: int, what) -> None:
    """Do something once so many packs are recorded."""
    told = Terminal.done
    count = []

    def done(self, pack, outcome):
        told(self, pack, outcome)
        count.append(pack)
        if len(count) == packs:
            what()

    monkeypatch.setattr(Terminal, "done", done)


def test_a_full_disk_ends_the_run_in_a_line_and_with_room_the_same_command_goes_on(
    tmp_path, whole, monkeypatch, capsys
):
    with small_disk(tmp_path / "disk", "4m") as disk:
        ballast = disk / "ballast"

        def fill():
            with ballast.open("wb") as file, pytest.raises(OSError, match="No space"):
                while True:
                    file.write(bytes(1 << 16))
                    file.flush()

        with monkeypatch.context() as patch:
            then(patch, 2, fill)
            assert run_tiny(disk, "--save-every", "0") == 1
        said = capsys.readouterr().err.splitlines()[-1]
        assert "No space left on device" in said
        assert "4 of 16 trials are recorded. To go on, free some space" in said
        assert len(read(disk / "smoke", "trials")) == 4
        ballast.unlink()
        assert run_tiny(disk) == 0
        assert_same_tables(disk / "smoke", whole)


def test_a_disk_that_becomes_read_only_ends_the_run_in_a_line_and_once_writable_it_goes_on(
    tmp_path, whole, monkeypatch, capsys
):
    with small_disk(tmp_path / "disk", "16m") as disk:
        with monkeypatch.context() as patch:
            then(patch, 2, lambda: read_only(disk))
            assert run_tiny(disk, "--save-every", "0") == 1
        said = capsys.readouterr().err.splitlines()[-1]
        assert "Read-only file system" in said
        assert "4 of 16 trials are recorded. To go on, allow writing there" in said
        subprocess.run(["umount", str(disk)], check=True)
        assert run_tiny(disk) == 0
        assert_same_tables(disk / "smoke", whole)


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_jumps_while_a_run_goes_on_changes_nothing(jump, tmp_path, whole, monkeypatch):
    real, offset = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + offset[0])
    then(monkeypatch, 2, lambda: offset.__setitem__(0, jump))
    assert run_tiny(tmp_path, "--save-every", "0") == 0
    assert_same_tables(tmp_path / "smoke", whole)


@pytest.mark.slow
def test_a_second_driver_on_one_folder_is_refused_and_the_first_one_goes_on_undisturbed(tmp_path, capsys):
    with started_tiny(tmp_path, hold_after=2) as process:
        wait_until_held(process, tmp_path)
        assert run_tiny(tmp_path, models=HELD) == 2
        assert "another run is writing to" in capsys.readouterr().err
        assert process.poll() is None
    assert len(read(tmp_path / "smoke", "trials")) == 4
    assert run_tiny(tmp_path, models=HELD) == 0
    assert len(read(tmp_path / "smoke", "trials")) == 16

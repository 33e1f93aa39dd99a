"""What keeps two runs from one folder where the file system has no locks."""

import errno
import fcntl
import os

import pytest

from harness.errors import RecordsError
from harness.results.folder import Folder


@pytest.mark.parametrize("code", ["ENOSYS", "ENOLCK", "ENOTSUP", "EOPNOTSUPP"])
def test_without_locks_a_file_stands_for_the_lock_and_says_whose_it_is(code, tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    folder = Folder.of(tmp_path / "r")
    said = rf"process {os.getpid()} on .* since .*; wait for it, or add --take-over if it is dead"
    with folder.exclusive(), pytest.raises(RecordsError, match=said):
        folder.exclusive()
    folder.exclusive().close()
    assert not (tmp_path / "r" / ".running").exists()
    (tmp_path / "r" / ".running").write_text("")  # killed as it began
    with pytest.raises(RecordsError, match="it does not say which"):
        folder.exclusive()
    with folder.exclusive(take_over=True):
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
        Folder.of(tmp_path / "r").exclusive()

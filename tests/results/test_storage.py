"""A run whose results lie in object storage: a server of our own that speaks S3."""

from pathlib import Path

import pytest

from analysis.compare import main as compare
from harness import Listener, run_space
from harness.results import reader
from harness.results.folder import Folder
from harness.results.lock import OWNER
from tests.helpers import assert_same_tables, run_tiny
from tests.results.storage import forget_storages

__all__ = ["forget_storages"]


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    """The results of the tiny run, on this machine."""
    results = tmp_path_factory.mktemp("local")
    assert run_tiny(results) == 0
    return results / "smoke"


def upload(folder: Path, uri: str) -> str:
    """A copy of a local folder in storage."""
    there = Folder.of(uri)
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    there.write_all({name: (folder / name).read_bytes() for name in names if name != ".lock"})
    return uri


def test_a_run_writes_to_storage_what_it_writes_here_and_a_second_one_finds_it_done(s3, local, capsys):
    assert run_tiny(f"{s3}/r") == 0
    folder = f"{s3}/r/smoke"
    assert_same_tables(local, folder)
    assert Folder.of(folder).content("report.html").startswith(b"<!doctype html>")
    assert b"learning_rate" in Folder.of(folder).content("optuna.journal")
    assert not Folder.of(folder).exists(OWNER)
    said = capsys.readouterr()
    assert f"results in {folder}\n" in said.err and f"report:  {folder}/report.html\n" in said.out
    assert run_tiny(f"{s3}/r") == 0
    assert "10 already done" in capsys.readouterr().err
    assert compare([str(local), folder]) == 0


def test_an_interrupted_run_is_finished_by_the_same_call(s3, local):
    class Stop(Listener):
        def done(self, pack, outcome):
            raise KeyboardInterrupt

    from tests.tiny_space import SPACE as tiny

    with pytest.raises(KeyboardInterrupt):
        run_space(tiny, s3, executor="serial", listeners=[Stop()])
    folder = f"{s3}/smoke"
    assert len(reader.read(folder, "trials")) == 2
    assert run_space(tiny, s3, executor="serial") == folder
    assert_same_tables(local, folder)

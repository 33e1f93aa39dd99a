"""A run whose results lie in object storage: a server of our own that speaks S3."""

from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError

from analysis.compare import main as compare
from analysis.load import load
from analysis.report import main as report
from harness import Listener, run_space
from harness.errors import RecordsError
from harness.results import reader, remote
from harness.results.check import faults
from harness.results.folder import Folder
from harness.results.lock import OWNER
from tests.commands import assert_same_tables, run_tiny
from tests.results.storage import SECRET, forget_storages, free_port, send
from tests.results.test_damage import everything, folder, open_again, same, whole
from tests.tiny_space import SPACE as TINY

__all__ = ["folder", "whole"]  # fixtures


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


def contents(uri: str) -> dict[str, bytes]:
    """All files of a folder and of the folders in it, by name."""
    there = Folder.of(uri)
    names = [entry.name for entry in there.store.entries(there.root) if entry.size is not None]
    names += [name for below in there.folders() for name in there.sizes(below)]
    return {name: there.content(name) for name in names}


def test_a_run_writes_to_storage_what_it_writes_here(s3, local, capsys):
    assert run_tiny(f"{s3}/r") == 0
    folder = f"{s3}/r/smoke"
    assert_same_tables(local, folder)
    assert Folder.of(folder).content("report.html").startswith(b"<!doctype html>")
    assert b"learning_rate" in Folder.of(folder).content("optuna.journal")
    assert not Folder.of(folder).exists(OWNER)
    assert not any(SECRET.encode() in content for content in contents(folder).values())
    said = capsys.readouterr()
    assert f"results in {folder}\n" in said.err and f"report:  {folder}/report.html\n" in said.out
    assert compare([str(local), folder]) == 0


@pytest.mark.slow
def test_an_interrupted_run_is_finished_by_the_same_call(s3, local):
    class Stop(Listener):
        def done(self, pack, outcome):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_space(TINY, s3, executor="serial", listeners=[Stop()])
    folder = f"{s3}/smoke"
    assert len(reader.read(folder, "trials")) == 2
    assert run_space(TINY, s3, executor="serial") == folder
    assert_same_tables(local, folder)


def test_damage_in_storage_is_named_and_its_pack_set_aside(s3, folder, capsys):
    uri = upload(folder, f"{s3}/x")
    there = Folder.of(uri)
    assert same(everything(folder)[:-1], everything(uri)[:-1])
    name, other = there.files("steps", ".parquet")
    content = bytearray(there.content(name))
    content[len(content) // 2] ^= 1
    there.write_all({name: bytes(content), "trials/x (1).parquet": b"copied", "trials/old/x": b"a folder"})
    assert list(faults(uri).values()) == [(name, "is damaged: its bytes are not those that were written")]
    with pytest.raises(RecordsError, match=rf"^{uri}/{name} is damaged"):
        reader.read(uri, "steps")
    assert len(open_again(uri)) == 2
    assert contents(f"{uri}/set_aside")[name] == bytes(content)
    assert contents(f"{uri}/set_aside").keys() >= {"trials/x (1).parquet"}
    assert faults(uri) == {} and len(load(uri).trials) == 1
    assert there.files("steps", ".parquet") == [other]


def test_a_report_lies_beside_the_tables_or_where_it_is_asked_for(s3, folder, capsys, monkeypatch):
    monkeypatch.setattr("analysis.report.SECTIONS", [])
    uri = upload(folder, f"{s3}/x")
    assert report([uri, "--format", "json"]) == 0
    assert capsys.readouterr().out == f"report: {uri}/report.json\n"
    assert report([str(folder), "--format", "json", "--out", f"{s3}/pages/page"]) == 0
    assert Folder.of(uri).content("report.json") and Folder.of(s3).content("pages/page")


def refused(uri: str, capsys) -> str:
    """What a run says that must not start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.driver.preflight.try_out", lambda *_: pytest.fail("started"))
        assert run_tiny(uri) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and SECRET not in said
    return said


def test_what_keeps_a_run_from_storage_is_one_line_and_nothing_starts(s3, monkeypatch, capsys):
    assert "there is no bucket nowhere; make it, or name another" in refused("s3://nowhere/r", capsys)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    send("POST", "moto-api/reset-auth", b"0")
    try:
        assert "The storage refuses access" in refused(f"{s3}/r", capsys)
    finally:
        send("POST", "moto-api/reset-auth", b"inf")
    forget_storages()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    said = refused(f"{s3}/r", capsys)
    assert "Could not connect to the endpoint" in said and "Nothing was started. To go on, see to the" in said
    forget_storages()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "Unable to locate credentials" in refused(f"{s3}/r", capsys)


class Cut:
    """A network that carries so many writes, fails `times`, and carries the rest."""

    def __init__(self, uri: str, after: int, times: int, patch: pytest.MonkeyPatch) -> None:
        self.writes, self.failed = 0, 0
        files = Folder.of(uri).store._files
        put = files.pipe_file

        def pipe_file(*arguments, **named):
            self.writes += 1
            if self.writes > after and self.failed < times:
                self.failed += 1
                raise EndpointConnectionError(endpoint_url=f"http://user:{SECRET}@127.0.0.1/x")
            return put(*arguments, **named)

        patch.setattr(files, "pipe_file", pipe_file)


@pytest.mark.slow
def test_a_network_that_fails_for_a_while_is_waited_for(s3, local, monkeypatch):
    monkeypatch.setattr(remote, "PAUSES", (0, 0, 0))
    cut = Cut(s3, after=14, times=3, patch=monkeypatch)
    assert run_tiny(s3) == 0
    assert cut.failed == 3
    assert_same_tables(local, f"{s3}/smoke")


@pytest.mark.slow
def test_a_network_that_stays_away_ends_the_run_and_the_same_command_does_the_rest(
    s3, local, monkeypatch, capsys
):
    monkeypatch.setattr(remote, "PAUSES", (0, 0, 0))
    with monkeypatch.context() as patch:
        Cut(s3, after=14, times=10**9, patch=patch)
        assert run_tiny(s3) == 1
    said = capsys.readouterr().err
    assert "Could not connect" in said and SECRET not in said
    assert "2 of 16 trials are recorded. To go on, see to the storage or the network, and" in said
    assert len(reader.read(f"{s3}/smoke", "trials")) == 2
    assert run_tiny(s3) == 0
    assert_same_tables(local, f"{s3}/smoke")

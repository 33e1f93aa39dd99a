"""The one door to results: what it guarantees of files, locks and URIs."""

import re
import subprocess
import sys
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from harness.errors import RecordsError, UserError
from harness.results.folder import Folder
from harness.results.lock import exclusive
from harness.results.seal import sealed_table


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder.of(tmp_path / "r")


def put(folder: Folder, name: str, content: bytes = b"x") -> None:
    folder.write_whole(name, lambda file: file.write(content))


def test_a_file_appears_under_its_name_and_is_replaced_whole(folder, tmp_path):
    for content in (b"first, longer", b"second"):
        put(folder, "a/b/c.txt", content)
        assert (tmp_path / "r" / "a" / "b" / "c.txt").read_bytes() == content
        assert folder.content("a/b/c.txt") == content
    assert folder.leftovers() == []


def test_nothing_is_seen_of_a_file_while_it_is_written(folder):
    seen = []

    def write(file):
        file.write(b"half")
        seen.append((folder.exists("t/x.txt"), folder.files("t", ".txt"), folder.files("t", "")))

    folder.write_whole("t/x.txt", write)
    assert seen == [(False, [], [])]


def test_a_write_that_fails_leaves_the_file_as_it_was(folder):
    put(folder, "x.txt", b"kept")

    def fail(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        folder.write_whole("x.txt", fail)
    assert folder.content("x.txt") == b"kept"
    assert folder.leftovers() == []


KILLED = """
import os, sys
from harness.results.folder import Folder
from harness.results.lock import exclusive

folder = Folder.of(sys.argv[1])
lock = exclusive(folder)
folder.write_whole("steps/x.txt", lambda file: (file.write(b"half"), file.flush(), os.kill(os.getpid(), 9)))
"""


def test_a_killed_writer_leaves_no_file_and_no_lock_but_a_leftover_that_can_be_removed(folder):
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)
    assert done.returncode == -9
    assert not folder.exists("steps/x.txt")
    assert folder.leftovers() == ["steps/.x.txt.harness-part"]
    with exclusive(folder):
        folder.remove("steps/.x.txt.harness-part")
    assert folder.leftovers() == []


def test_the_lock_lasts_until_it_is_closed(folder):
    held = exclusive(folder)
    for _ in range(2):
        with pytest.raises(
            RecordsError, match=r"another run is writing to .*/r \(process \d+ on .*\); wait for it or"
        ):
            exclusive(folder)
    held.close()
    with exclusive(folder), pytest.raises(RecordsError, match="another run"):
        exclusive(folder)
    exclusive(folder).close()


def test_what_is_not_there_is_no_error(folder):
    folder.remove("none")
    assert (folder.folders(), folder.files("t", ".txt"), folder.leftovers()) == ([], [], [])
    assert folder.content("none") is None
    assert not folder.exists("none")


def test_files_and_folders_are_named_sorted_and_relative_here_and_behind_a_uri(folder):
    """fsspec's memory file system stands for remote storage."""
    for name in ("t/b.txt", "t/a.txt", "t/c.md", "t/deep/d.txt", "u/.hidden.txt", "space.json"):
        put(folder, name, name.encode())
    fsspec.filesystem("memory").put(str(folder), "/door", recursive=True)
    for found in (folder, Folder.of("fsspec+memory://door"), Folder.of("fsspec+memory://door/")):
        assert found.folders() == ["t", "u"]
        assert found.files("t", ".txt") == ["t/a.txt", "t/b.txt"]
        assert found.files("u", ".txt") == []
        assert found.folder("t").files("deep", ".txt") == ["deep/d.txt"]
        assert found.folder("t").content("deep/d.txt") == b"t/deep/d.txt"
        assert found.exists("t") and found.exists("space.json")
    assert str(Folder.of("fsspec+memory://door/").folder("t")) == "fsspec+memory://door/t"


def test_tables_are_read_in_the_order_asked_and_a_damaged_one_is_named(folder):
    for name, value in (("t/a.parquet", 1), ("t/b.parquet", 2)):
        table = pa.table({"condition_id": [""], "x": [value], "y": [0]}, metadata={"schema_version": "3"})
        put(folder, name, sealed_table(table, name, {"key": str(value)}))
    names = ["t/b.parquet", "t/a.parquet"]
    assert [table.to_pydict() for table in folder.read(names, ["x"])] == [{"x": [2]}, {"x": [1]}]
    assert [footer[b"key"] for footer in folder.footers(names)] == [b"2", b"1"]
    put(folder, "t/b.parquet", b"half of it")
    for read in (folder.read, folder.footers):
        with pytest.raises(RecordsError, match=r"r/t/b.parquet is no Parquet file .*; restore it, or"):
            read(names)


@pytest.mark.parametrize("uri", ["gopher://host/x", "fsspec+gopher://host/x", "gopher:/host/x"])
def test_a_uri_that_cannot_be_opened_is_one_line(uri):
    said = re.escape(uri.replace(":/host", "://host"))
    with pytest.raises(RecordsError, match=rf"^{said} cannot be opened: .+$"):
        Folder.of(uri)


def test_a_path_with_a_colon_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("c:/x", "12:30/x", "a b:/x", "results: new"):
        put(Folder.to_write(name), "file")
        assert (tmp_path / name / "file").exists()


def test_a_file_is_no_folder_to_write_to(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(UserError, match=r"--results .*/x is not a folder"):
        Folder.to_write(tmp_path / "x")


@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_uri_is_a_local_folder(tmp_path, kind):
    for uri in (f"file://{tmp_path}/a%20b", f"file:{tmp_path}/a%20b"):
        folder = Folder.to_write(kind(uri))
        assert folder.local and str(folder) == f"{tmp_path}/a b"
    assert str(Folder.of(f"file://localhost{tmp_path}")) == str(tmp_path)
    with pytest.raises(RecordsError, match=r"is on another host; expected file:///path"):
        Folder.of("file://other/x")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIAKEY:topsecret@bucket/x",
        "s3:/AKIAKEY:topsecret@bucket/x",
        "s3://bucket/x?secret_key=topsecret",
        "ftp://user:topsecret@host/x?a",
    ],
)
def test_a_uri_with_credentials_is_refused_without_repeating_them(uri):
    for use in (Folder.of, Folder.to_write):
        with pytest.raises(RecordsError, match="a URI with credentials or options is refused") as error:
            use(uri)
        assert "topsecret" not in str(error.value) and "\n" not in str(error.value)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(
        RecordsError, match=r"^gs://b/x cannot be opened: .* give the command: pip install gcsfs$"
    ):
        Folder.of("gs://b/x")

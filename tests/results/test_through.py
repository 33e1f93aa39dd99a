"""What already lies where a file is to be written: links, pipes and devices stay what they are."""

import os
import select
import socket
import stat
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from analysis import report
from analysis.load import load
from analysis.report import main, write_report
from analysis.sections.drops import SECTION as DROPS
from harness.errors import RecordsError
from harness.planning.study import Study, export
from harness.results.folder import Folder
from harness.results.schema import JOURNAL
from tests.folders import drops_folder
from tests.trials import make_condition

NEW = b"new"


def write(path, content: bytes = NEW) -> None:
    Folder.of(path.parent).write_whole(path.name, lambda file: file.write(content))


def kind(path) -> int:
    return stat.S_IFMT(path.lstat().st_mode)


def to_a_file(path):
    target = path.with_name("target")
    target.write_bytes(b"old")
    path.symlink_to(target.name)
    return target


def to_nothing_yet(path):
    path.symlink_to("target")
    return path.with_name("target")


def to_a_link(path):
    path.symlink_to("between")
    return to_a_file(path.with_name("between"))


def to_another_folder(path):
    (path.parent / "far").mkdir()
    path.symlink_to("far/target")
    return path.parent / "far" / "target"


@pytest.mark.parametrize("place", [to_a_file, to_nothing_yet, to_a_link, to_another_folder])
def test_a_link_stays_and_its_target_is_replaced_whole(tmp_path, place):
    path = tmp_path / "x.html"
    target = place(path)
    write(path)
    assert kind(path) == stat.S_IFLNK
    assert kind(target) == stat.S_IFREG
    assert target.read_bytes() == NEW
    assert Folder.of(tmp_path).leftovers() == []


@pytest.fixture
def short(monkeypatch):
    """A report of one section: the others take their time."""
    monkeypatch.setattr(report, "SECTIONS", [DROPS])


@contextmanager
def read_from(path):
    """A pipe at this path whose reader is waiting; what it read is in the list after the block."""
    os.mkfifo(path)
    found: list[bytes] = []
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read() -> None:
        select.select([descriptor], [], [])  # until somebody writes
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "rb") as pipe:
            found.append(pipe.read())

    yield found, (reader := threading.Thread(target=read))
    reader.join()


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_through(tmp_path, linked):
    pipe = tmp_path / "pipe"
    path = tmp_path / "x.html" if linked else pipe
    content = b"x" * 300_000  # more than a pipe holds
    with read_from(pipe) as (found, reader):
        if linked:
            path.symlink_to("pipe")
        reader.start()
        write(path, content)
    assert found == [content]
    assert kind(pipe) == stat.S_IFIFO


@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd"])
def test_an_open_file_is_written_through(folder):
    """As a shell's >(...) and /dev/stdout name it."""
    if not Path(folder).is_dir():
        pytest.skip(f"there is no {folder}")
    receiving, sending = os.pipe()
    Folder.of(folder).write_whole(str(sending), lambda file: file.write(NEW))
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        assert pipe.read() == NEW


def test_a_file_that_standard_output_goes_to_is_appended_to(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"before ")
    with path.open("ab") as file:
        Folder.of("/dev/fd").write_whole(str(file.fileno()), lambda out: out.write(NEW))
    assert path.read_bytes() == b"before " + NEW


def test_a_device_stays_a_device(tmp_path):
    """One of our own in a scratch folder, with the numbers of the device that swallows everything."""
    path = tmp_path / "x.html"
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        path.open("wb").close()
    except OSError as error:
        pytest.skip(f"no devices can be made here: {error}")
    write(path)
    assert kind(path) == stat.S_IFCHR
    assert main([str(drops_folder(tmp_path)), "--format", "json", "--out", str(path)]) == 0
    assert kind(path) == stat.S_IFCHR
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def a_folder(path):
    path.mkdir()
    return "is a folder"


def a_link_to_a_folder(path):
    (path.parent / "elsewhere").mkdir()
    path.symlink_to("elsewhere")
    return "is a folder"


def a_pipe_without_reader(path):
    os.mkfifo(path)
    return "nothing reads from"


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return "nothing reads from"


REFUSED = [a_folder, a_link_to_a_folder, a_pipe_without_reader, a_socket]


@pytest.mark.parametrize("place", REFUSED)
def test_what_nothing_can_be_written_to_is_refused_in_one_line_and_stays(tmp_path, place, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    path = tmp_path / "x.html"
    message = place(path if place is not a_socket else path.relative_to(tmp_path))
    before = kind(path)
    with pytest.raises(RecordsError, match=f"x.html .*{message}") as error:
        write(path)
    assert "\n" not in str(error.value)
    assert kind(path) == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("place", [to_a_file, a_folder])
@pytest.mark.parametrize("style", ["html", "md", "json"])
def test_every_style_of_report_asks_what_lies_in_its_place(tmp_path, place, style, capsys, short):
    path = tmp_path / f"x.{style}"
    target = place(path)
    code = main([str(drops_folder(tmp_path / "r")), "--format", style, "--out", str(path)])
    said = capsys.readouterr()
    if place is a_folder:
        assert (code, list(path.iterdir())) == (2, [])
        assert said.err.count("\n") == 1
        assert "is a folder" in said.err
    else:
        assert (code, kind(path)) == (0, stat.S_IFLNK)
        assert len(target.read_bytes()) > 500


def test_pictures_of_markdown_follow_links_too_and_a_pipe_gets_none(tmp_path, short):
    results = load(drops_folder(tmp_path / "r"))
    (tmp_path / "page-1.png").symlink_to("elsewhere.png")
    write_report(results, tmp_path / "page.md", "md")
    assert (tmp_path / "page-1.png").is_symlink()
    assert (tmp_path / "elsewhere.png").read_bytes().startswith(b"\x89PNG")
    with read_from(tmp_path / "pipe.md") as (found, reader):
        reader.start()
        write_report(results, tmp_path / "pipe.md", "md")
    assert b"## Drops" in found[0]
    assert b".png" not in found[0]
    assert not list(tmp_path.glob("pipe-*"))


def test_the_export_for_optuna_follows_a_link(tmp_path):
    target = to_a_file(tmp_path / JOURNAL)
    study = Study(make_condition(), 0, [0.01, 0.1], [])
    study.tell({0.01: 0.5, 0.1: 0.2})
    export([study], tmp_path)
    assert (tmp_path / JOURNAL).is_symlink()
    assert b"learning_rate" in target.read_bytes()

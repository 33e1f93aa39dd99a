"""What a run does with the place of its results: bent names, things in the way, other definitions."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness import RecordsError, Space, UserError, run_space
from harness.driver import driver
from harness.driver.engine import choose_engine
from harness.driver.faults import REMEDIES, said_of_fault
from harness.driver.places import FILES, FOLDERS, folder_of
from harness.results import reader, writer
from harness.results.definition import parse
from harness.results.folder import Folder
from harness.run import main
from tests.commands import assert_same_tables, run_tiny
from tests.driver.test_run_space import TINY, Heard, run

SPACE = Space(**TINY)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return run(tmp_path_factory.mktemp("whole"))


def place(results, **changes) -> Path:
    space = SPACE.override(changes)
    engine, _ = choose_engine("auto", "cpu", results, space)
    return folder_of(results, space, {"device": "cpu", "engine": engine, **space.definition()})


BENT = {
    "seed=7": "read a column out of a folder named seed=7",
    "a=b/c": "read a column out of a folder named a=b",
    "a*": r"read '\*' in a path as a pattern",
    "a?/b": r"read '\?' in a path as a pattern",
    "a[12]": r"read '\[' in a path as a pattern",
    "r" * 256: "is too long",
    "new/" + "r" * 300: "is too long",
    "/".join(["d" * 200] * 25): "is too long",
    "a\0b": "null character",
    os.fsdecode(b"r\xff"): "is not UTF-8",
    os.fsdecode(b"r\xff") + "/x": "is not UTF-8",
}


@pytest.mark.parametrize("name", BENT, ids=lambda name: ascii(name)[:12])
def test_a_name_that_bends_what_is_read_or_cannot_be_written_is_refused(name, tmp_path):
    with pytest.raises((UserError, RecordsError), match=BENT[name]) as caught:
        place(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "said"), [(b"seed=7", "named seed=7"), (b"c\xff", "is not UTF-8")])
def test_the_current_folder_counts_too(name, said, tmp_path, monkeypatch):
    folder = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(folder)).mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises((UserError, RecordsError), match=said):
        place("results")


@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
def test_what_is_in_the_way_is_named_before_anything_starts_and_moved_away_the_run_goes_on(name, tmp_path):
    here = tmp_path / "tiny" / name
    here.parent.mkdir()
    here.touch() if name in FOLDERS else here.mkdir()
    with pytest.raises(RecordsError, match=rf"tiny/{name} is no (file|folder); .* move it away"):
        place(tmp_path)
    here.unlink() if name in FOLDERS else here.rmdir()
    assert place(tmp_path) == tmp_path / "tiny"


@pytest.mark.parametrize("kind", ["file", "dangling", "loop", "fifo", "below a file"])
def test_results_that_are_no_folder_are_refused(kind, tmp_path):
    results = tmp_path / "x"
    {
        "file": results.touch,
        "dangling": lambda: results.symlink_to(tmp_path / "none"),
        "loop": lambda: results.symlink_to(results),
        "fifo": lambda: os.mkfifo(results),
        "below a file": results.touch,
    }[kind]()
    with pytest.raises((RecordsError, UserError), match=r"x is (no|not a) folder"):
        place(results / "y" if kind == "below a file" else results)


def test_a_variant_has_a_folder_of_its_own_and_blocks_nothing(tmp_path):
    variant = SPACE.override({"max_steps": 10})
    folders = [run_space(space, tmp_path, executor="serial") for space in (variant, SPACE)]
    assert [folder.name for folder in folders] == ["tiny--max_steps-10", "tiny"]
    more = run_space(variant.override({"seeds": 4}), tmp_path, executor="serial")
    assert more == folders[0], "it grows there"
    assert len(reader.read(more, "trials")) == 8


def test_a_variant_whose_results_lie_in_the_plain_folder_goes_on_there(tmp_path):
    """As it was before variants had folders."""
    old = run(tmp_path, max_steps=10)
    assert old.name == "tiny"
    assert place(tmp_path, max_steps=10, seeds=9) == old
    assert place(tmp_path, max_steps=11).name == "tiny--max_steps-11"
    with pytest.raises(
        RecordsError, match=r"max_steps: 10 here, 20 asked for.*use --set max_steps=10 to go on"
    ):
        place(tmp_path)


@pytest.mark.contract
def test_the_command_line_names_the_same_folder_as_python(tmp_path):
    assert run_tiny(tmp_path, max_steps="20", observe="0") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["smoke--max_steps-20--observe-0"]


def damaged(whole: Path, **changes) -> bytes:
    definition = json.loads((whole / "space.json").read_text()) | changes
    return json.dumps({name: value for name, value in definition.items() if value != "gone"}).encode()


CONTENT = {
    "empty": b"", "null": b"null", "list": b"[]", "number": b"3", "half": b"{", "bytes": b"\xff",
    "deep": b"[" * 100_000,
}  # fmt: skip
CHANGED = [
    *({name: "gone"} for name in ("options", "seeds", "lengths", "name", "first_grids", "models")),
    *({"seeds": value} for value in ("8", None, [1], True)),
    *({"options": value} for value in ([], {"model rnn": 3}, {"model rnn": {"layers": 1}})),
    *({"lengths": value} for value in ([4], {"palindrome": 4})),
    *({"models": value} for value in ("rnn", [{}])),
    {"max_norms": [[1]]}, {"learning_rate": "x"}, {"first_grids": []}, {"sources": []}, {"checkpoints": 1},
]  # fmt: skip


@pytest.mark.parametrize("case", [*CONTENT, *CHANGED], ids=str)
def test_a_definition_that_is_none_is_damaged_and_says_how(case, whole, tmp_path):
    (tmp_path / "tiny").mkdir()
    content = CONTENT[case] if isinstance(case, str) else damaged(whole, **case)
    (tmp_path / "tiny" / "space.json").write_bytes(content)
    with pytest.raises(RecordsError, match=r"space.json is damaged \(.+\); restore it") as caught:
        place(tmp_path)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("version", "said"),
    [(99, "version 99.*use a later"), (2, "version 2.*use an earlier"),
     ("3", "does not say"), ("gone", "does not say"), (10**99, "does not say")],
)  # fmt: skip
def test_a_definition_of_another_version_names_it_and_the_remedy(version, said, whole, tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "space.json").write_bytes(damaged(whole, schema_version=version))
    with pytest.raises(RecordsError, match=said) as caught:
        place(tmp_path)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_a_definition_that_is_sound_is_read_as_it_is(whole):
    content = (whole / "space.json").read_bytes()
    assert parse(content) == {k: v for k, v in json.loads(content).items() if k != "sha256"}


def test_another_run_that_finishes_before_the_lock_is_taken_is_noticed(tmp_path, monkeypatch):
    """Two drivers: both check an empty folder, then one runs to its end."""
    checked = driver.check_job

    def check_then_wait(*args, **how):
        job = checked(*args, **how)
        with monkeypatch.context() as patch:
            patch.setattr(driver, "check_job", checked)
            run(tmp_path, max_steps=10)
        return job

    monkeypatch.setattr(driver, "check_job", check_then_wait)
    with pytest.raises(RecordsError, match="max_steps: 10 here, 20 asked for"):
        run(tmp_path)
    trials = reader.read(tmp_path / "tiny", "trials")
    assert set(trials["max_steps"]) == {10}
    monkeypatch.undo()
    run(tmp_path, max_steps=10)  # the folder is not left locked


def test_a_growth_killed_before_its_definition_stood_leaves_no_conditions(tmp_path, whole, monkeypatch):
    shutil.copytree(whole, tmp_path / "tiny")
    write = Folder.write_whole

    def killed(self, name, content):
        if name == "space.json":
            raise KeyboardInterrupt
        write(self, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, lengths=(4, 5))
    assert len(reader.read_conditions(tmp_path / "tiny")) == 4
    run(tmp_path)
    assert len(reader.read_conditions(tmp_path / "tiny")) == 2
    assert_same_tables(tmp_path / "tiny", whole)


class Removes(Heard):
    """Removes something of the results after the first pack."""

    def __init__(self, what: Path) -> None:
        super().__init__()
        self.what = what

    def done(self, pack, outcome):
        super().done(pack, outcome)
        if len(self.calls) == 2:
            shutil.rmtree(self.what)


@pytest.mark.parametrize("what", [".", "tiny", "tiny/trials"])
def test_results_removed_while_running_end_the_run_and_the_same_call_trains_them_again(what, tmp_path, whole):
    results = tmp_path / "results"
    with pytest.raises(FileNotFoundError, match="recorded was removed or moved"):
        run(results, Removes(results / what))
    assert_same_tables(run(results), whole)


@pytest.mark.parametrize("code", [*REMEDIES, errno.EFBIG], ids=errno.errorcode.get)
@pytest.mark.parametrize(
    ("at", "recorded"), [("space.json", "No trial is recorded"), ("report.html", "16 of 16 trials are")]
)
def test_a_fault_of_the_disk_says_what_where_how_much_is_recorded_and_what_to_do(
    code, at, recorded, tmp_path
):
    line = said_of_fault(OSError(code, os.strerror(code), str(tmp_path / at)), f"{recorded}.")
    assert line.startswith(f"{os.strerror(code)}: {tmp_path / at}. ")
    assert (recorded in line) == (code != errno.ENOENT), "what was counted may be gone"
    assert "What was finished is kept" not in line
    assert REMEDIES.get(code, "mend this") in line


@pytest.mark.contract
@pytest.mark.parametrize(
    ("at", "said", "status"),
    [(".lock", "Nothing was started", 2), ("trials/", "No trial is recorded", 1), ("report", "16 of 16", 1)],
)
def test_a_full_disk_is_one_true_line_and_freed_the_same_command_does_the_rest(
    at, said, status, tmp_path, monkeypatch, capsys
):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), at)

    write = Folder.write_whole
    with monkeypatch.context() as patch:
        if at == ".lock":
            patch.setattr(writer, "exclusive", full)
        else:
            patch.setattr(Folder, "write_whole", lambda *a: full() if at in a[1] else write(*a))
        assert run_tiny(tmp_path) == status
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and said in lines[0] and "free some space" in lines[0]
    assert run_tiny(tmp_path) == 0


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_interrupted_before_the_start_nothing_is_promised(more, tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.driver.preflight.try_out", interrupt)
    assert run_tiny(tmp_path, *more) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "Interrupted. Nothing was started."


ENDS = {
    "harness.executors.base.blocks": "No trial is recorded; the same command starts again",
    "harness.driver.summary.write_report": "16 of 16 trials are recorded; the same command writes the report",
}


@pytest.mark.parametrize(("where", "said"), ENDS.items())
def test_interrupted_it_says_what_the_same_command_does(where, said, tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(where, interrupt)
    assert run_tiny(tmp_path) == 130
    assert capsys.readouterr().err.splitlines()[-1] == f"Interrupted. {said}."


@pytest.mark.contract
def test_an_argument_that_is_not_utf8_neither_ends_the_run_nor_its_report(tmp_path):
    shutil.copy(Path(__file__).parents[1] / "tiny_space.py", os.fsencode(tmp_path) + b"/s\xff.py")
    space = os.fsdecode(os.fsencode(tmp_path) + b"/s\xff.py")
    assert main(["--space", space, "--executor", "serial", "--results", str(tmp_path / "r")]) == 0
    assert "report.html" in {path.name for path in (tmp_path / "r" / "smoke").iterdir()}


PIPED = {
    "list": ("harness.run", "--list", 0),
    "report": ("analysis.report", "{whole} --format json --out {out}/r.json", 0),
}


@pytest.mark.parametrize("name", PIPED)
@pytest.mark.parametrize("closed", [False, True], ids=["reader gone", "stdout closed"])
def test_a_command_whose_reader_has_gone_ends_quietly(name, closed, whole, tmp_path):
    module, arguments, status = PIPED[name]
    words = arguments.format(whole=whole, out=tmp_path).split()
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", module, *words], stderr=subprocess.PIPE, text=True, check=False,
        stdout=None if closed else writing, cwd=Path(harness.__file__).parents[1],
        preexec_fn=(lambda: os.close(1)) if closed else None,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (0 if closed else status, "")

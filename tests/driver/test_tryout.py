"""Every class of tests/traps is refused before anything starts, or accepted if it is sound."""

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch.utils.checkpoint  # two of the classes use it, and each fork would import it

from harness.condition import PARTS
from harness.driver import tryout
from harness.driver.tryout.apart import tried_apart
from harness.driver.tryout.child import judge
from harness.driver.tryout.watch import Watch
from harness.errors import UserError
from harness.models import models
from harness.planning.fits import fits
from harness.planning.parts import REGISTRIES
from harness.planning.space import Space
from harness.run import main
from tests.traps import IMPURE, SOUND, TRAPS, source
from tests.trials import LENGTHS, TASK_OF, contract

pytestmark = pytest.mark.contract

ENDING = {"ExitsAtOnce", "ExitsQuietly", "Segfaults", "Aborts", "KillsItself", "Loops", "Sleeps"}
"""They end the process, or never come to an end: only a process of their own can be used."""

TWO_PROCESSES = {"HashedInit"}
"""What can be seen only from two processes."""

ENDED_APART = ENDING | TWO_PROCESSES

TINY = {
    "lengths": "4", "max_norms": "1", "hidden_size": "8", "batch_size": "8", "learning_rate": "0.1",
    "seeds": "2", "max_steps": "6", "observe": "0", "eval_every": "3", "probes": "none", "models": "rnn",
    "optimizers": "sgd",
}  # fmt: skip


@pytest.fixture
def named(tmp_path, monkeypatch):
    """The import path of a trap, in a module that is there."""

    def name_of(*traps: str) -> str:
        module = f"traps_{'_'.join(traps)}"
        (tmp_path / f"{module}.py").write_text(source(*traps))
        monkeypatch.syspath_prepend(tmp_path)
        return f"{module}:{traps[-1]}"

    return name_of


def space_with(part: str, path: str) -> Space:
    fields = dict(TINY, learning_rate=(0.1,), lengths=(4,), max_norms=(1.0,))
    fields |= {name: (fields[name],) for name in ("models", "optimizers")} | {PARTS[part]: (path,)}
    return Space(name="x", summary="", **fields)


def in_a_fork(monkeypatch, space: Space) -> str:
    """What is said of the space; the fork may do to its process what it likes."""
    monkeypatch.setattr(tryout, "tried_apart", lambda job: judge(job, Watch(None, 60)))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = f"accepted {tryout.try_out(space, 'cpu')}"
        except UserError as refusal:
            said = f"refused: {refusal}"
        except BaseException as error:  # noqa: BLE001  (a fork must not go on with the tests)
            said = f"raised: {error!r}"
        os.write(write, said.encode("utf-8", "replace"))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


def assert_refused(said: str, trap_name: str) -> None:
    assert all(words in said for words in TRAPS[trap_name].said), said
    assert "\n" not in said


@pytest.mark.parametrize("name", [t.name for t in IMPURE if t.name not in ENDED_APART])
def test_a_class_that_is_no_pure_function_is_refused_in_one_line(monkeypatch, named, name):
    said = in_a_fork(monkeypatch, space_with(TRAPS[name].part, named(name)))
    assert said.startswith("refused: ")
    assert "cannot be trained" in said
    assert_refused(said, name)


@pytest.mark.parametrize("name", [t.name for t in SOUND])
def test_a_sound_class_is_accepted(monkeypatch, named, name):
    said = in_a_fork(monkeypatch, space_with(TRAPS[name].part, named(name)))
    assert said.endswith("accepted []") or "accepted ['found: traps_" in said, said


@pytest.mark.parametrize(
    "name",
    [
        "Segfaults",
        *(pytest.param(n, marks=pytest.mark.slow) for n in sorted(ENDED_APART - {"Segfaults"})),
    ],
)
def test_a_class_that_ends_its_process_does_not_end_ours(monkeypatch, named, name):
    monkeypatch.setattr(tryout, "tried_apart", lambda job: tried_apart(replace(job, limit=3.0)))
    with pytest.raises(UserError) as caught:
        tryout.try_out(space_with(TRAPS[name].part, named(name)), "cpu")
    assert_refused(str(caught.value), name)


def test_what_a_class_prints_does_not_garble_the_verdict_and_a_thread_may_ask(named):
    space, found = space_with("model", named("Prints")), []
    thread = threading.Thread(target=lambda: found.extend(tryout.try_out(space, "cpu")))
    thread.start()
    thread.join()
    assert found == [
        "found: traps_Prints:Prints: replicas run one after the other; no steps; no recurrent weight"
    ]


def test_a_space_of_built_in_classes_starts_no_process(monkeypatch):
    monkeypatch.setattr(tryout, "tried_apart", lambda _: pytest.fail("a process was started"))
    assert tryout.try_out(space_with("model", "rnn"), "cpu") == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ChangesFolder", "ChangesDtype", "ClosesOutput"])
def test_a_run_refuses_what_changes_its_process_and_is_as_it_was(named, tmp_path, capsys, name):
    before = Path.cwd(), torch.get_default_dtype(), sys.stdout
    sets = [f"--set={key}={value}" for key, value in (TINY | {"models": named(name)}).items()]
    results = tmp_path / "results"
    assert main(["--space", "smoke", "--executor", "serial", "--results", str(results), *sets]) == 2
    assert (Path.cwd(), torch.get_default_dtype(), sys.stdout) == before
    assert_refused(capsys.readouterr().err.removesuffix("\n"), name)
    assert not results.exists()


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("task", "digits"),  # its library draws from Python's `random` when it is imported
        *(contract((part, name)) for part, r in REGISTRIES.items() for name in r.names() if name != "digits"),
    ],
)
def test_what_is_built_in_is_accepted_by_its_import_path(monkeypatch, part, name):
    cls = REGISTRIES[part].get(name)
    task = TASK_OF[name] if part == "model" else name if part == "task" else "palindrome"
    model = next(model for model in models.names() if fits(model, task))
    chosen = {"task": task, "model": model} | {part: f"{cls.__module__}:{cls.__qualname__}"}
    fields = TINY | {PARTS[key]: (value,) for key, value in chosen.items()} | {"optimizers": ("sgd",)}
    fields |= {PARTS[part]: (chosen[part],), "lengths": (LENGTHS.get(task, 10),), "learning_rate": (0.1,)}
    fields |= {"max_norms": (1.0,), "batch_size": 1 if task == "karate" else 8}
    said = in_a_fork(monkeypatch, Space(name="x", summary="", **fields))
    assert said.startswith("accepted ["), said


FIRST_LINES = {
    "torch.set_default_dtype(torch.float64)": "import changes torch.get_default_dtype",
    "Own.more = lambda self, size: setattr(self, 'bidirectionnal', True)": "did you mean 'bidirectional'",
}
"""What a module does when it is imported, and what is said of it."""


@pytest.mark.slow
@pytest.mark.parametrize("line", FIRST_LINES)
def test_what_a_module_does_and_what_an_object_declares_is_refused_too(monkeypatch, tmp_path, line):
    (tmp_path / "own_module.py").write_text(source() + f"\n\nclass Own(Alone):\n    pass\n\n{line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_module", raising=False)
    default = torch.get_default_dtype()
    try:
        with pytest.raises(UserError, match=FIRST_LINES[line]):
            tryout.try_out(space_with("model", "own_module:Own"), "cpu")
    finally:
        torch.set_default_dtype(default)

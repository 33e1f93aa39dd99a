"""The call from Python: what it returns, raises and tells its listeners, wherever it is called from."""

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

import harness
from harness import FailedTrials, Failure, Listener, RecordsError, Space, UserError, run_space
from harness.models.rnn import RNN
from harness.results import reader
from tests.commands import assert_same_tables
from tests.trials import mostly_contract

TINY = dict(
    name="tiny", summary="", models=("rnn",), optimizers=("sgd",), lengths=(4,), max_norms=(1.0,),
    learning_rate=(0.1, 1.0), seeds=3, max_steps=20, observe=0, eval_every=10, pack_size=2, hidden_size=8,
    probes=(),
)  # fmt: skip
"""Two conditions, six trials in three packs."""


class Heard(Listener):
    """What a listener was told, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def started(self, start):
        self.calls.append(("started", start.recorded, start.total))

    def done(self, pack, outcome):
        self.calls.append(("done", len(pack.trials), isinstance(outcome, Failure)))

    def closed(self, error):
        self.calls.append(("closed", type(error)))


def run(results: Path, *listeners: Listener, **changes) -> Path:
    return run_space(Space(**TINY | changes), results, executor="serial", listeners=listeners)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return run(tmp_path_factory.mktemp("whole"))


def test_it_returns_the_folder_of_the_results_and_prints_nothing(tmp_path, capfd):
    folder = run(tmp_path)
    assert folder == tmp_path / "tiny"
    assert len(reader.read(folder, "trials")) == 6
    assert capfd.readouterr() == ("", "")
    assert not (folder / "report.html").exists()


def test_listeners_hear_of_the_start_of_every_pack_and_of_the_end(tmp_path):
    heard = Heard()
    run(tmp_path, heard)
    assert heard.calls == [("started", 0, 6), *[("done", 2, False)] * 3, ("closed", type(None))]
    again = Heard()
    run(tmp_path, again)
    assert again.calls == [("started", 6, 6), ("closed", type(None))]


def test_a_listener_may_define_what_it_needs_and_no_more(tmp_path):
    class Counter(Listener):
        packs = 0

        def done(self, pack, outcome):
            self.packs += 1

    counter = Counter()
    run(tmp_path, counter)
    assert counter.packs == 3


@pytest.mark.parametrize("method", mostly_contract(["started", "done", "closed"], "done"))
def test_a_listener_that_raises_loses_no_result_and_deafens_no_other(tmp_path, whole, method):
    broken, heard = Heard(), Heard()

    def fail(*_):
        broken.calls.append("raised")
        raise ZeroDivisionError("a listener's own")

    setattr(broken, method, fail)
    with pytest.raises(ZeroDivisionError, match="a listener's own"):
        run(tmp_path, broken, heard)
    assert_same_tables(tmp_path / "tiny", whole)
    assert len(heard.calls) == 5
    assert broken.calls.count("raised") == 1
    run(tmp_path)  # the folder is not left locked


def test_failed_trials_are_raised_when_everything_else_is_done(tmp_path, monkeypatch):
    from harness.executors import base

    def train(pack, *how, real=base.blocks):
        if pack.trials[0].learning_rate == 1.0:
            raise RuntimeError("matrix is on fire")
        return real(pack, *how)

    heard = Heard()
    with monkeypatch.context() as patch:
        patch.setattr("harness.executors.base.blocks", train)
        with pytest.raises(FailedTrials, match=r"3 trials failed, the first .* matrix is on fire") as caught:
            run(tmp_path, heard, pack_size=3)
    assert (caught.value.folder, caught.value.count) == (tmp_path / "tiny", 3)
    assert heard.calls[-2:] == [("done", 3, True), ("closed", type(None))]
    assert len(reader.read(tmp_path / "tiny", "trials")) == 3
    assert len(reader.read(run(tmp_path, pack_size=3), "trials")) == 6


class Interrupts(Heard):
    """Stops the run after its first pack, as Ctrl-C would."""

    def done(self, pack, outcome):
        super().done(pack, outcome)
        raise KeyboardInterrupt


def test_interrupted_it_raises_when_what_is_finished_is_recorded(tmp_path, whole):
    stop = Interrupts()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop)
    assert len(reader.read(tmp_path / "tiny", "trials")) == 2
    assert stop.calls[-1] == ("closed", KeyboardInterrupt)
    run(tmp_path)
    assert_same_tables(tmp_path / "tiny", whole)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (dict(executor="dask"), "executor=dask is not known; known: auto, ray, serial"),
        (dict(device="gpu"), "device=gpu is not known; known: auto, cpu, cuda"),
        (dict(executor="ray", workers=0), "workers=0 is not allowed"),
        (dict(workers=2), "workers=2 is for executor=ray"),
        (dict(address="auto"), "address=auto is for executor=ray"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_known_and_nothing_is_written(tmp_path, how, said):
    with pytest.raises(UserError, match=said):
        run_space(Space(**TINY), tmp_path, **{"executor": "serial"} | how)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_another_definition_or_a_file_is_refused(tmp_path, whole):
    with pytest.raises(RecordsError, match="max_steps: 20 here, 30 asked for"):
        run(whole.parent, max_steps=30)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is not a folder"):
        run(tmp_path / "file")


def test_torch_has_as_many_threads_afterwards_as_before(tmp_path):
    torch.set_num_threads(2)
    try:
        run(tmp_path)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def in_a_thread(results: Path, **how) -> Path:
    """The folder of a run in a thread that is not the main one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run_space, Space(**TINY), results, **how).result()


async def in_a_loop(results: Path, **how) -> Path:
    return run_space(Space(**TINY), results, **how)


def test_it_works_in_a_thread(tmp_path, whole):
    assert_same_tables(in_a_thread(tmp_path, executor="serial"), whole)


def test_it_works_where_an_asyncio_loop_runs(tmp_path, whole):
    """As in a notebook."""
    assert_same_tables(asyncio.run(in_a_loop(tmp_path, executor="serial")), whole)


@pytest.mark.ray
def test_on_ray_it_works_in_an_asyncio_loop_of_a_thread_and_prints_nothing(tmp_path, whole, capfd):
    """Where Ray may take no signals, and may wait for nothing that the loop would have to do."""
    with ThreadPoolExecutor(1) as pool:
        folder = pool.submit(asyncio.run, in_a_loop(tmp_path, executor="ray", workers=2)).result()
    assert_same_tables(folder, whole)
    assert capfd.readouterr() == ("", "")


@pytest.mark.ray
def test_a_listener_stops_a_run_on_ray(tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        run_space(Space(**TINY), tmp_path, executor="ray", workers=1, listeners=[Interrupts()])
    assert 0 < len(reader.read(tmp_path / "tiny", "trials")) < 6


@pytest.mark.ray
def test_a_ray_of_the_callers_own_is_left_alone(tmp_path):
    import ray

    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        with pytest.raises(UserError, match=r"call ray.shutdown\(\) first"):
            run_space(Space(**TINY), tmp_path, executor="ray")
        assert ray.is_initialized()
    finally:
        ray.shutdown()


def test_a_class_is_named_by_its_import_path():
    assert Space(**TINY | {"models": RNN}).models == ("harness.models.rnn:RNN",)


class Outer:
    class Inner(RNN):
        """Below a class, where an import path does not reach."""


def test_a_class_that_other_processes_cannot_import_is_refused_in_one_line_that_says_what_to_do():
    class Local(RNN):
        pass

    for cls in (Local, Outer.Inner):
        with pytest.raises(UserError, match=rf"and give models=mycells:{cls.__name__}$") as caught:
            Space(**TINY | {"models": ("rnn", cls)})
        assert "\n" not in str(caught.value)


SCRIPT = """
from harness import Space, UserError, run_space
from harness.models.rnn import RNN

class MyCell(RNN):
    pass

for cell in (MyCell, "__main__:MyCell"):
    try:
        Space(name="mine", summary="", models=(cell,))
    except UserError as error:
        print(error)
"""


@pytest.mark.contract
def test_a_class_of_a_notebook_or_script_is_refused_as_a_class_and_by_name(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(Path(harness.__file__).parents[1])},
    )  # fmt: skip
    line = (
        "models=__main__:MyCell is defined in the notebook or script that runs, so other processes cannot "
        "import it; write MyCell at the top of a file such as mycells.py, and give models=mycells:MyCell"
    )
    assert done.stdout.splitlines() == [line, line], done.stderr


def test_everything_public_is_documented_and_found_by_its_name():
    assert set(harness.__all__) == set(harness.HOMES) <= set(dir(harness))
    assert all(getattr(harness, name).__doc__ for name in harness.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Grid'"):
        harness.Grid  # noqa: B018
    assert (Path(harness.__file__).parent / "py.typed").exists()


def test_the_command_line_is_recorded_and_a_call_from_python_has_none(tmp_path, whole):
    assert [record["argv"] for record in reader.provenance(whole)] == [None]
    folder = run_space(Space(**TINY), tmp_path, executor="serial", argv=["--space", "tiny"])
    assert [record["argv"] for record in reader.provenance(folder)] == [["--space", "tiny"]]


CALL = """
import sys
from mycells import MyCell
from harness import Space, run_space

space = Space(
    name="mine", summary="", models=(MyCell,), optimizers=("sgd",), lengths=(4,), learning_rate=(0.1,),
    seeds=2, max_steps=10, observe=0, eval_every=10, hidden_size=8, probes=(),
)
for executor in sys.argv[1:]:
    run_space(space, executor, executor=executor)
"""


@pytest.mark.ray
def test_a_class_of_a_file_beside_the_script_is_found_in_process_and_on_ray(tmp_path):
    (tmp_path / "mycells.py").write_text(
        "from harness.models.rnn import RNN\n\nclass MyCell(RNN):\n    pass\n"
    )
    (tmp_path / "script.py").write_text(CALL)
    environment = os.environ | {"PYTHONPATH": str(Path(harness.__file__).parents[1])}
    subprocess.run(
        [sys.executable, "script.py", "serial", "ray"], cwd=tmp_path, env=environment, check=True, timeout=300
    )
    for executor in ("serial", "ray"):
        trials = reader.read(tmp_path / executor / "mine", "trials")
        assert trials["model"].tolist() == ["mycells:MyCell"] * 2


TUNED = TINY | dict(learning_rate=None, lr_trials=6, lr_batch=5, tuning_seeds=1, seeds=1, max_steps=2)
"""Two conditions, fourteen trials."""


def tuned(results: Path, *listeners: Listener, **changes) -> Path:
    return run_space(Space(**TUNED | changes), results, executor="serial", listeners=listeners)


def test_the_export_is_written_when_trials_join_and_left_when_none_do(tmp_path):
    journal = tuned(tmp_path) / "optuna.journal"
    before = journal.stat()
    first = journal.read_text()
    tuned(tmp_path)
    assert journal.stat().st_mtime_ns == before.st_mtime_ns
    journal.unlink()
    tuned(tmp_path)
    assert journal.read_text().count("\n") == first.count("\n")
    tuned(tmp_path, lengths=(4, 5))
    assert journal.read_text().count("\n") == 2 * first.count("\n")


def test_while_trials_join_the_export_does_not_say_that_it_has_all(tmp_path):
    """A run that is killed then, with nothing left to train, leaves it to the next one."""
    journal, sizes = tuned(tmp_path) / "optuna.journal", []

    class Sizes(Listener):
        def done(self, pack, outcome):
            sizes.append(journal.stat().st_size)

    tuned(tmp_path, Sizes(), lengths=(4, 5))
    assert set(sizes) == {0} and journal.stat().st_size > 0

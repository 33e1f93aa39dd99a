"""What users bring to Ray: classes that end or change its workers, modules from anywhere, no Ray at all."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.results.reader import read
from tests.commands import run_command, run_tiny, tiny_arguments

pytestmark = pytest.mark.ray

ON_RAY = ["--executor", "ray", "--workers", "2"]


def ray_errors():
    """The module of Ray's exceptions, which is imported only where these tests run."""
    return importlib.import_module("ray.exceptions")


TRAPS = """
import os, signal, sys, threading, warnings
import torch
from harness.models.rnn import RNN

class Own(BaseException):
    pass

class Held(Exception):
    def __init__(self):
        super().__init__("cannot be pickled")
        self.lock = threading.Lock()

def raising(error):
    raise error

WHAT = {
    "Text": lambda: raising(ValueError("a\\n\\ud800")),
    "Megabytes": lambda: raising(ValueError("x" * 20_000_000)),
    "Exit": lambda: sys.exit(0),
    "Interrupt": lambda: raising(KeyboardInterrupt()),
    "Generator": lambda: raising(GeneratorExit()),
    "Base": lambda: raising(Own("own")),
    "Unpicklable": lambda: raising(Held()),
    "Double": lambda: torch.set_default_dtype(torch.float64),
    "Threads": lambda: torch.set_num_threads(2),
    "Folder": lambda: os.chdir("/"),
    "Output": lambda: (sys.stdout.close(), os.close(1)),
    "Handlers": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "Warnings": lambda: warnings.simplefilter("error"),
    "Nothing": lambda: None,
}

def trapped(name):
    def __init__(self, input_size: int, hidden_size: int, output_size: int):
        RNN.__init__(self, input_size, hidden_size, output_size)
        if "harness.executors.ray_worker" in sys.modules:  # on a worker: not yet where the run starts
            WHAT[name]()
    return type(name, (RNN,), {"__init__": __init__, "__module__": __name__})

for name in WHAT:
    globals()[name] = trapped(name)
"""

FAIL = {
    "Text": "ValueError: a ? (traps.py:",
    "Megabytes": "ValueError: xxxx",
    "Exit": "SystemExit: 0 (traps.py:",
    "Interrupt": "KeyboardInterrupt (traps.py:",
    "Generator": "GeneratorExit (traps.py:",
    "Base": "Own: own (traps.py:",
    "Unpicklable": "Held: cannot be pickled (traps.py:",
    "Double": "",
    "Threads": "torch.get_num_threads() from 1 to 2",
}
"""Models of TRAPS that fail, and why."""


def test_whatever_a_class_does_on_a_worker_the_next_pack_of_the_worker_is_as_if_it_were_not(tmp_path):
    (tmp_path / "traps.py").write_text(TRAPS)
    names = [*FAIL, "Folder", "Output", "Handlers", "Warnings", "Nothing"]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"}
    one_rate = dict(learning_rate="0.1,1", lr_trials=None, lr_batch=None, max_norms="1", seeds="1")
    models = ",".join(f"traps:{n}" for n in names)
    how = ["--executor", "ray", "--workers", "1"]
    done = subprocess.run(
        run_command(tiny_arguments(tmp_path, *how, models=models, **one_rate), models),
        capture_output=True, text=True, env=environment, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert all(len(line) < 2000 for line in done.stderr.splitlines())
    folder = tmp_path / "smoke--learning_rate-fixed"  # a variant has its own
    trials, failures = read(folder, "trials"), read(folder, "failures")
    for name, said in FAIL.items():
        mine = failures[failures["condition"].str.contains(f"traps:{name} ")]
        assert len(mine) == 2
        assert mine["error"].str.contains(said, regex=False).all()
    assert len(trials) == 2 * 5, "those that only change the process are put back"
    columns = ["final_loss", "objective", "outcome", "steps"]
    by_model = trials.sort_values("learning_rate").groupby("model")[columns]
    plain = by_model.get_group("traps:Nothing").values.tolist()
    assert all(group.values.tolist() == plain for _, group in by_model)


PLACES = """
import sys, os
sys.path.insert(0, ROOT)       # where the harness is: nothing else says so
from harness import Space, run_space
sys.path.append(os.path.abspath("appended"))
sys.path.insert(0, "relative")
sys.path += [os.path.abspath("half_a"), os.path.abspath("half_b")]
modules = ("by_append", "by_relative", "parts.first", "parts.second", "here.inner", "by_env")
names = tuple(f"{module}:Cell" for module in modules)
space = Space(
    name="mine", summary="", models=names, optimizers=("sgd",), lengths=(4,), learning_rate=(0.1, 1.0),
    max_norms=(1.0,), seeds=1, max_steps=10, observe=0, eval_every=10, hidden_size=8, probes=(),
)
print(run_space(space, "results", workers=1))
"""


def test_modules_are_found_on_workers_wherever_the_driver_found_them(tmp_path):
    """In a folder appended, a relative one, the halves of a namespace package, a package here, PYTHONPATH."""
    cell = "from harness.models.rnn import RNN\nclass Cell(RNN):\n    pass\n"
    files = [
        "appended/by_append", "relative/by_relative", "half_a/parts/first", "half_b/parts/second",
        "here/inner", "env/by_env",
    ]  # fmt: skip
    for name in files:
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(cell)
    (tmp_path / "here" / "__init__.py").write_text("")
    elsewhere = tmp_path / "scripts" / "script.py"
    elsewhere.parent.mkdir()
    root = str(Path(__file__).parents[2])
    elsewhere.write_text(
        PLACES.replace("ROOT", repr(root)).replace("import sys, os", "import sys, os\nsys.path.append('')")
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "env")}
    done = subprocess.run(
        [sys.executable, str(elsewhere)], cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(read(tmp_path / "results" / "mine", "trials")) == 12


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("AuthenticationError", "no token"),
        ("RaySystemError", "several\nlines"),
        (TimeoutError, "timed out"),
        (Exception, "The current node timed out during startup."),
        (RuntimeError, "Version mismatch:\n  Ray: 2.9\n  Python: 3.9"),
    ],
)
def test_whatever_ray_raises_at_its_start_is_one_line(tmp_path, capsys, monkeypatch, kind, message):
    kind = getattr(ray_errors(), kind) if isinstance(kind, str) else kind

    def init(**_):
        raise kind(message)

    monkeypatch.setattr("ray.init", init)
    assert run_tiny(tmp_path, *ON_RAY) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"error: Ray cannot be reached or started (address=None): {kind.__name__}: ")
    assert not (tmp_path / "smoke" / "space.json").exists()


def test_a_cluster_without_gpus_is_refused_for_cuda_and_an_end_of_ray_in_the_middle_is_one_line(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "none")
    monkeypatch.setattr("harness.executors.ray_tune.connect", lambda *_: None)
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 4.0})
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": {"CPU": 4.0}}])
    assert run_tiny(tmp_path, *ON_RAY, "--device", "cuda") == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "has the 1 CPU and 1 GPU that a pack needs; they have: 4 CPU, 0 GPU; use device=cpu" in said

    def broken(*_):
        raise ray_errors().RaySystemError("gone")

    monkeypatch.setattr("harness.executors.ray_tune.tune_slots", broken)
    assert run_tiny(tmp_path, *ON_RAY, "--device", "cpu") == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: Ray broke down in the middle of the run: RaySystemError: ")
    assert said.endswith("the same command does the rest.")


def test_why_no_worker_could_be_started_is_said(tmp_path):
    from harness.executors.ray_tune import lost

    died = ray_errors().ActorDiedError(
        ray_errors().RayTaskError("f", "File x\nModuleNotFoundError: No module named 'harness'\n", OSError())
    )
    assert lost(died).reason == "no worker could be started: ModuleNotFoundError: No module named 'harness'"
    assert "it ends its worker" in lost(ray_errors().ActorDiedError()).reason
    assert "it ends its worker" in lost(None).reason

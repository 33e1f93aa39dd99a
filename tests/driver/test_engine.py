"""Which engine a run takes, and what it says about it."""

import json

import pytest

from harness import RecordsError, UserError, load_space, run_space
from harness.driver import engine
from harness.driver.engine import choose_engine, eager_lines
from harness.driver.preflight import check_job
from harness.planning.fields import parse_settings
from harness.planning.space import Space
from harness.training.compiled import build
from tests.commands import TINY
from tests.compiler import needs_compiler

SPACE = load_space("smoke").override(parse_settings([f"{n}={v}" for n, v in TINY.items()]))
HOW = dict(executor="serial", workers=None, address=None, device="cpu")


@pytest.fixture(autouse=True)
def builds(monkeypatch):
    monkeypatch.setattr(build, "check", lambda: None)


@pytest.fixture
def builds_nothing(monkeypatch):
    def check():
        raise build.CannotBuild("no C++ compiler is installed")

    monkeypatch.setattr(build, "check", check)


def begin(results, engine: str) -> None:
    """A results folder that was begun with an engine."""
    folder = run_space(SPACE, results, executor="serial", engine=engine)
    assert json.loads((folder / "space.json").read_text())["engine"] == engine


def test_a_new_folder_is_compiled_where_something_can_be_built(tmp_path):
    assert choose_engine("auto", "cpu", tmp_path, SPACE) == ("compiled", [])
    assert check_job(SPACE, tmp_path, **HOW).definition["engine"] == "compiled"
    assert choose_engine("eager", "cpu", tmp_path, SPACE) == ("eager", [])
    assert choose_engine("auto", "cuda", tmp_path, SPACE) == ("eager", [])


def test_without_a_compiler_a_line_says_so_and_how_to_get_one(tmp_path, builds_nothing):
    engine, (line,) = choose_engine("auto", "cpu", tmp_path, SPACE)
    assert engine == "eager"
    assert "no C++ compiler is installed" in line
    assert "apt install g++" in line
    with pytest.raises(UserError, match=r"engine=compiled: no C\+\+ compiler is installed; .* engine=eager"):
        choose_engine("compiled", "cpu", tmp_path, SPACE)


def test_a_folder_goes_on_with_its_engine_or_says_why_it_cannot(tmp_path, monkeypatch, builds_nothing):
    begin(tmp_path, "eager")
    monkeypatch.setattr(build, "check", lambda: None)
    assert choose_engine("auto", "cpu", tmp_path, SPACE) == ("eager", [])
    with pytest.raises(RecordsError, match="use --engine eager to go on with it"):
        check_job(SPACE, tmp_path, engine="compiled", **HOW)


@needs_compiler
def test_a_compiled_folder_is_not_gone_on_with_eagerly(tmp_path, monkeypatch):
    begin(tmp_path, "compiled")

    def check():
        raise build.CannotBuild("no C++ compiler is installed")

    monkeypatch.setattr(build, "check", check)
    with pytest.raises(UserError, match="begun with it; no C\\+\\+ compiler is installed"):
        choose_engine("auto", "cpu", tmp_path, SPACE)


@pytest.mark.parametrize(
    ("engine", "device", "said"),
    [("jit", "cpu", "known: auto, eager, compiled"), ("compiled", "cuda", "engine=compiled trains on a CPU")],
)
def test_what_cannot_be_is_refused(engine, device, said, tmp_path):
    with pytest.raises(UserError, match=said):
        choose_engine(engine, device, tmp_path, SPACE)


def test_models_that_are_not_compiled_are_named_with_the_reason():
    space = Space(name="x", summary="", models=("rnn", "transformer"), lengths=(5, 9), hidden_size=8)
    (line,) = eager_lines(space)
    assert line.startswith("engine: compiled, but eager for palindrome transformer: ")
    assert eager_lines(SPACE) == []


def test_captured_is_for_gpus_and_auto_there_stays_eager(tmp_path, monkeypatch):
    """Without a GPU nobody can tell which models cannot be captured."""
    assert choose_engine("captured", "cuda", tmp_path, SPACE) == ("captured", [])
    assert choose_engine("auto", "cuda", tmp_path, SPACE) == ("eager", [])
    with pytest.raises(UserError, match="engine=captured trains on a GPU; use device=cuda, or engine=auto"):
        choose_engine("captured", "cpu", tmp_path, SPACE)


def test_models_that_are_not_captured_are_named_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "why_eager", lambda model, task, name: f"{name}, it waits")
    engine.reason_of.cache_clear()
    _, (line,) = choose_engine("captured", "cuda", tmp_path, SPACE)
    engine.reason_of.cache_clear()
    assert line == "engine: captured, but eager for palindrome rnn: captured, it waits"

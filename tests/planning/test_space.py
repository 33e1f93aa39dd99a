import importlib
import linecache
import math
import os
import sys

import numpy as np
import pytest

from harness.errors import UserError
from harness.models import models
from harness.optimizers import optimizers
from harness.planning.fields import parse_settings
from harness.planning.load import built_in_spaces, load_space
from harness.planning.rates import grid_size, log_grid
from harness.planning.space import Space

SPACE_OF = "from harness import Space\nSPACE = Space(name='mine', summary='', {})\n"


def space(**changes) -> Space:
    return Space(name="test", summary="A test.", **changes)


REFUSED = {
    "lengthz=3": "unknown field 'lengthz' .did you mean lengths..; known:",
    "models=lstn": "no model named 'lstn' .did you mean lstm..; known: .*lstm.*rnn",
    "optimizers=sdg": "no optimizer named 'sdg' .did you mean sgd..; known: .*sgd",
    "tasks=palindrom": "no task named 'palindrom' .did you mean palindrome..; known: .*palindrome",
    "lengths=": "lengths is empty",
    "lengths=5,5": "lengths repeats 5",
    "lengths=-3": "lengths=-3",
    "lengths=2.5": "lengths=2.5",
    "lengths=1": "lengths=1 is too short",
    "max_norms=0": "max_norms=0",
    "max_norms=-1": "max_norms=-1",
    "max_norms=nan": "max_norms=nan",
    "max_norms=x": "max_norms=x",
    "models=torch.nn.LSTM": "did you mean torch.nn:LSTM",
    "models=mycells.py:Cell": "did you mean mycells:Cell",
    "models=cells/mine.py:Cell": "did you mean cells.mine:Cell",
    "max_norms=1e-50": "max_norms=1e-50 counts as 0 in float32",
    "max_norms=1e-39": "max_norms=1e-39 counts as 0 in float32",
    "max_norms=1,1e39": r"max_norms=1e.39 counts as inf in float32",
    "learning_rate=1e-60": "learning_rate=1e-60 counts as 0",
    "learning_rate=1e-60:1": "learning_rate=1e-60 counts as 0",
    "learning_rate=1:1e39": "learning_rate=1e.39 counts as inf",
    "learning_rate=1e-2,1e39": "learning_rate=1e.39 counts as inf",
    "eps=1e-50": "eps=1e-50 counts as 0",
    "learning_rate=1:1e-3": "learning_rate=1:0.001 is not a range",
    "learning_rate=1e-3:1e-3": "learning_rate=0.001:0.001 is not a range",
    "learning_rate=1e-3:inf": "learning_rate=0.001:inf is not a range",
    "learning_rate=nan": "learning_rate=nan",
    "learning_rate=-1": "learning_rate=-1",
    "learning_rate=inf": "learning_rate=inf",
    "seeds=0": "seeds=0.*>= 1",
    "seeds=1,2": "seeds=1,2",
    "seeds=true": "seeds=true",
    "max_steps=0": "max_steps=0",
    "observe=-1": "observe=-1.*>= 0",
    "lr_trials=2": "lr_trials=2 is too few for rmsprop.*at least 4",
    "init=xaver": "init=xaver is not allowed .did you mean xavier",
    "encoding=hot": "encoding=hot.*one_hot | scalar",
    "alpha=2": "alpha=2.*0 <= alpha < 1",
    "momentum=0.9": "unknown field 'momentum' .it belongs to optimizer momentum",
    "lengths": "not of the form name=value",
    "seeds=1_0": "seeds=1_0 is not allowed; expected a whole number",
    "layers=\uff12": "layers=\uff12 is not allowed; expected a whole number",
    "max_norms=1_0": "max_norms=1_0 is not allowed",
    "checkpoints=ture": "checkpoints=ture is not allowed .did you mean true",
    "layer_norm=flase": "layer_norm=flase is not allowed .did you mean false",
    "probes=lyapunow": "probes=lyapunow is not known .did you mean lyapunov",
    "lengths.palindrom=5": "no task 'palindrom' .did you mean palindrome",
    "int=xavier": "unknown field 'int' .did you mean init",
    "learning_rate=1e-300:1e300": "learning_rate=1e-300 counts as 0 in float32",
    "learning_rate=1e-37:1e37": "lr_trials=7 is too few for rmsprop.*at least 75",
}


@pytest.mark.parametrize("setting", REFUSED)
def test_bad_settings_are_refused_in_one_line_that_names_them(setting):
    with pytest.raises(UserError, match=REFUSED[setting]) as error:
        space().override(parse_settings([setting]))
    assert "\n" not in str(error.value)


def test_setting_a_field_twice_is_refused():
    with pytest.raises(UserError, match="seeds is set twice"):
        parse_settings(["seeds=1", "seeds=2"])


def test_settings_are_typed():
    changed = space().override(
        parse_settings(
            ["lengths=5, 10", "max_norms=0.5,inf", "seeds=3", "hidden_size=8,16", "forget_bias=0,1"]
        )
    )
    assert changed.lengths == (5, 10)
    assert changed.max_norms == (0.5, math.inf)
    assert changed.seeds == 3
    assert changed.hidden_size == (8, 16)
    assert changed.options == {"forget_bias": (0.0, 1.0)}


def test_learning_rate_is_a_range_or_fixed_values():
    tuned = space().override(parse_settings(["learning_rate=1e-4:1e-2"]))
    fixed = space().override(parse_settings(["learning_rate=1e-3,1e-2"]))
    assert (tuned.tuned, tuned.range_of("sgd")) == (True, (1e-4, 1e-2))
    assert not fixed.tuned
    assert {c.learning_rate for c in fixed.conditions()} == {1e-3, 1e-2}


@pytest.mark.parametrize("text", ["3", "3.0", "3e0"])
def test_whole_fields_and_options_take_whole_numbers_however_written(text):
    changed = space().override(parse_settings([f"seeds={text}", f"lengths={text},4", f"layers={text}"]))
    assert (changed.seeds, changed.lengths, changed.options) == (3, (3, 4), {"layers": (3,)})


def test_an_option_goes_with_the_last_component_that_has_it():
    """drops_study sets beta1 and beta2 of adam, and alpha of rmsprop."""
    study = load_space("drops_study")
    assert set(study.override({"optimizers": "rmsprop"}).options) == {"encoding", "alpha"}
    assert set(study.override({"optimizers": "adam"}).options) == {"encoding", "beta1", "beta2"}
    assert set(study.override({"tasks": "adding", "lengths": 10}).options) == {"alpha", "beta1", "beta2"}
    with pytest.raises(UserError, match=r"unknown field 'beta1' .it belongs to optimizer adam"):
        study.override({"optimizers": "rmsprop", "beta1": "0.9"})


def test_left_out_the_learning_rate_range_is_the_optimizers_own():
    assert space().range_of("sgd") == (1e-2, 10)
    assert space().range_of("momentum") == (1e-3, 1)
    assert space().range_of("rmsprop") == space().range_of("adam") == (1e-4, 1e-1)


@pytest.mark.parametrize(
    ("low", "high", "size"), [(1e-5, 1e-1, 5), (1e-3, 10, 5), (0.1, 0.2, 2), (1e-3, 5e-1, 4)]
)
def test_first_grid_is_at_most_a_decade_apart(low, high, size):
    assert grid_size(low, high) == size
    assert (high / low) ** (1 / (size - 1)) <= 10 * (1 + 1e-9)
    grid = log_grid(low, high, size)
    assert (grid[0], grid[-1]) == (low, high), "the ends exactly"
    assert np.allclose(np.diff(np.log(grid)), np.log(high / low) / (size - 1), rtol=1e-4)


def test_only_rules_that_use_max_norm_are_trained_at_every_threshold():
    grid = space(clip_rules=("norm", "zclip"), max_norms=(0.5, 1.0, math.inf)).conditions()
    per_rule = {rule: [c.max_norm for c in grid if c.clip_rule == rule] for rule in ("norm", "zclip")}
    assert set(per_rule["norm"]) == {0.5, 1.0, math.inf}
    assert set(per_rule["zclip"]) == {None}
    assert len(per_rule["norm"]) == 3 * len(per_rule["zclip"])


def test_conditions_are_the_product_of_the_axes():
    grid = space(lengths=(5, 6, 7), max_norms=(1.0, math.inf), optimizers=("sgd", "adam")).conditions()
    assert len(grid) == 2 * 3 * 2 * 2
    assert len({c.condition_id for c in grid}) == len(grid)


def test_an_option_axis_multiplies_only_the_conditions_that_have_it():
    grid = space(options={"forget_bias": (0.0, 1.0)}).conditions()
    assert sum(c.model == "lstm" for c in grid) == 2 * sum(c.model == "rnn" for c in grid)


def test_conditions_carry_the_defaults_of_all_their_options():
    grid = space(models=("lstm",), optimizers=("adam",)).conditions()
    assert dict(grid[0].options) == {
        "beta1": 0.9,
        "beta2": 0.999,
        "bidirectional": False,
        "encoding": "one_hot",
        "eps": 1e-8,
        "forget_bias": 1.0,
        "init": "xavier",
        "layer_norm": False,
        "layers": 1,
    }


def test_built_in_spaces_have_both_scales_and_their_own_folders():
    assert {"clipping_study", "length_study", "optimizer_study", "smoke"} <= set(built_in_spaces())
    for name in built_in_spaces():
        laptop = load_space(name)
        assert laptop.name == name
        assert laptop.conditions()
        if laptop.paper:
            assert laptop.at_scale("paper").folder_name == f"{name}-paper"


def test_clipping_study_has_the_thresholds_of_the_source_and_its_paper_sizes():
    paper = load_space("clipping_study").at_scale("paper")
    assert paper.max_norms == (0.5, 1, 2, 5, 10, math.inf)
    assert (paper.hidden_size, paper.batch_size, paper.max_steps, paper.seeds) == ((128,), (128,), 10_000, 10)
    assert (min(paper.lengths), max(paper.lengths)) == (5, 50)


def test_a_space_is_loaded_from_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from harness import Space\nSPACE = Space(name='mine', summary='Mine.', lengths=(7,))\n")
    assert load_space(str(file)).lengths == (7,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1", "binds no SPACE"),
        ("1 / 0", "ZeroDivisionError"),
        ("from harness import Space\nSPACE = 3", "no SPACE .*is a int"),
        ("import sys; sys.exit(0)", "line 1: SystemExit: 0"),
        ("class Odd(BaseException): pass\nraise Odd('a\\nb')", "line 2: Odd: a b"),
        ("x = (", "SyntaxError"),
        ("caf\u00e9 = 1".encode("latin-1"), "SyntaxError.*utf-8"),
        (b"x = 1\0", "SyntaxError"),
        (SPACE_OF.format("paper=[1, 2]"), "paper=1,2 is not allowed; expected a dict"),
        (SPACE_OF.format("paper={4: 5}"), "paper={4: 5} is not allowed"),
        (SPACE_OF.format("options=[1]"), "options=1 is not allowed"),
        (SPACE_OF.format("options={3: 4}"), "options={3: 4} is not allowed"),
        (SPACE_OF.format("learning_rate={'lo': 2}"), "learning_rate={'lo': 2} is not allowed"),
        (SPACE_OF.format("scale='papr'"), "scale=papr is not known .did you mean paper"),
        (SPACE_OF.format("seeds=[[1]]"), "seeds=.* is not allowed"),
        (SPACE_OF.format("lengths=None"), "lengths=None is not allowed"),
    ],
)
def test_a_file_that_binds_no_space_is_a_clear_error(tmp_path, content, message):
    file = tmp_path / "bad.py"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message) as error:
        load_space(str(file))
    assert "\n" not in str(error.value)


def test_a_name_that_is_close_to_a_built_in_space_is_recognised():
    with pytest.raises(UserError, match=r"no space named 'smok' .did you mean smoke"):
        load_space("smok")


def test_what_is_no_regular_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    for name in ("pipe.py", "folder.py"):
        with pytest.raises(UserError, match=f"{name}' is no regular file"):
            load_space(str(tmp_path / name))
    for name in ("a\0b.py", "x" * 300 + ".py"):
        with pytest.raises(UserError, match="no space named"):
            load_space(name)


def test_what_a_space_file_prints_stays_out_of_standard_output(tmp_path, capsys):
    file = tmp_path / "talks.py"
    file.write_text("print('hello')\n" + SPACE_OF.format("seeds=2"))
    assert load_space(str(file)).seeds == 2
    assert capsys.readouterr().out == ""


def test_a_space_file_that_takes_long_is_named_and_ctrl_c_says_where(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("harness.planning.load.PATIENCE", 0.05)
    file = tmp_path / "loops.py"
    file.write_text("import signal, time\ntime.sleep(0.2)\nsignal.raise_signal(signal.SIGINT)\n")
    with pytest.raises(KeyboardInterrupt):
        load_space(str(file))
    said = capsys.readouterr().err
    assert f"reading {file}" in said
    assert f"interrupted while reading {file}, line 3" in said


def test_an_unknown_space_lists_the_known_ones():
    with pytest.raises(
        UserError,
        match=r"no space named 'cliping' \(did you mean clipping_study\?\); known: .*clipping_study",
    ):
        load_space("cliping")


class Hungry(models.get("rnn")):
    """An option that would hide a column."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int, seed: int = 3) -> None:
        super().__init__(input_size, hidden_size, output_size)


def test_an_option_may_not_take_the_name_of_a_column():
    with pytest.raises(UserError, match="has an option named 'seed'"):
        space(models=("tests.planning.test_space:Hungry",))


def test_a_model_that_other_processes_cannot_find_is_refused_with_its_import_path(monkeypatch):
    monkeypatch.setitem(models._classes, "hungry", Hungry)
    with pytest.raises(UserError, match=r"by its import path, such as tests\.planning\.test_space:Hungry"):
        space(models=("hungry",))


@pytest.mark.parametrize("field", ["name", "summary"])
@pytest.mark.parametrize("value", [1, ..., None, b"x"])
def test_a_space_is_named_and_described_by_texts(field, value):
    with pytest.raises(UserError, match=f"^{field}=.* is not allowed; expected a text$"):
        Space(**{"name": "x", "summary": ""} | {field: value})


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden"])
def test_a_space_is_named_as_a_folder_may_be(name):
    with pytest.raises(UserError, match="names a folder"):
        Space(name=name, summary="")


@pytest.mark.parametrize("path", [":Foo", ".x:Foo", "no.such:Foo"])
def test_odd_import_paths_are_refused_in_one_line(path):
    with pytest.raises(UserError, match="model"):
        space(models=(path,))


class Clashing(models.get("rnn")):
    """An option that the optimizer has too."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int, alpha: float = 0.2) -> None:
        super().__init__(input_size, hidden_size, output_size)


def test_a_model_and_an_optimizer_may_not_share_an_option():
    with pytest.raises(UserError, match="both have an option named 'alpha'"):
        space(models=("tests.planning.test_space:Clashing",))


class Texts(models.get("rnn")):
    def __init__(self, input_size: int, hidden_size: int, output_size: int, layers: str = "1") -> None:
        super().__init__(input_size, hidden_size, output_size)


class Numbered(models.get("rnn")):
    def __init__(self, input_size: int, hidden_size: int, output_size: int, init: int = 1) -> None:
        super().__init__(input_size, hidden_size, output_size)


class Whole(models.get("rnn")):
    def __init__(self, input_size: int, hidden_size: int, output_size: int, width: int = 1) -> None:
        super().__init__(input_size, hidden_size, output_size)


class Half(models.get("rnn")):
    def __init__(self, input_size: int, hidden_size: int, output_size: int, width: float = 1.5) -> None:
        super().__init__(input_size, hidden_size, output_size)


class Decaying(optimizers.get("sgd")):
    def __init__(self, momentum: bool = True) -> None: ...


OWN = "tests.planning.test_space"

TWO_TYPES = [
    (
        "models",
        ("rnn", f"{OWN}:Texts"),
        r"model \w+ has the option layers: int, and model .*Texts has layers: str",
    ),
    ("models", (f"{OWN}:Texts",), "has layers: str; give it that type, or rename it"),
    ("models", (f"{OWN}:Numbered", "lstm"), "has the option init: str, and model .*Numbered has init: int"),
    (
        "models",
        (f"{OWN}:Whole", f"{OWN}:Half"),
        "Whole has the option width: int, and .*Half has width: float",
    ),
    (
        "models",
        (f"{OWN}:Half", f"{OWN}:Whole"),
        "Half has the option width: float, and .*Whole has width: int",
    ),
    (
        "optimizers",
        (f"{OWN}:Decaying",),
        "momentum has the option momentum: float, and .*Decaying has .*: bool",
    ),
]


@pytest.mark.parametrize(("axis", "names", "message"), TWO_TYPES)
def test_one_option_of_two_types_is_refused_with_both_owners(axis, names, message):
    """Both would fill one column: the pack that has been trained could not be written."""
    with pytest.raises(UserError, match=message):
        space(**{axis: names})


def test_the_definition_knows_the_source_of_classes_from_outside(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "outside_cells.py"
    sources = []
    for activation in ("tanh", "relu"):
        file.write_text(
            f"from harness.models.rnn import RNN\nclass Mine(RNN):\n    activation = '{activation}'\n"
        )
        sys.modules.pop("outside_cells", None)
        importlib.invalidate_caches()
        linecache.clearcache()
        sources.append(space(models=("outside_cells:Mine",)).definition()["sources"])
    assert sources[0].keys() == sources[1].keys() == {"outside_cells:Mine"}
    assert sources[0] != sources[1]


def test_a_space_without_paper_fields_has_no_paper_scale():
    with pytest.raises(UserError, match="has no paper scale"):
        space().at_scale("paper")

"""A results folder goes on when the code has gained a field, an option or a part since it was made."""

import dataclasses
import json

import pytest

from harness.errors import RecordsError
from harness.models import models
from harness.planning.growth import check_growth
from harness.planning.space import Space
from harness.results.reader import read
from tests.commands import run_without_pictures


def definition(**changes) -> dict:
    return Space(name="test", summary="", **changes).definition()


def without(whole: dict, *path: str) -> dict:
    """A definition as it was before what the path leads to existed."""
    held = json.loads(json.dumps(whole))
    inner = held
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return held


def test_an_option_that_a_folder_does_not_name_has_its_default(tmp_path):
    held = without(definition(), "options", "model lstm", "forget_bias")
    check_growth(held, definition(), tmp_path)
    check_growth(held, definition(options={"forget_bias": (1.0, 0.0)}), tmp_path)
    with pytest.raises(RecordsError, match=r"forget_bias: 1\.0 here, 0\.0 asked for"):
        check_growth(held, definition(options={"forget_bias": (0.0,)}), tmp_path)


def test_a_field_that_a_folder_does_not_name_has_its_default(tmp_path):
    held = without(definition(), "checkpoints")
    check_growth(held, definition(), tmp_path)
    with pytest.raises(RecordsError, match="checkpoints: false here, true asked for"):
        check_growth(held, definition(checkpoints=True), tmp_path)


def test_a_folder_from_before_ranges_grew_goes_on_without_growth(tmp_path):
    held = without(definition(), "lr_extend")
    check_growth(held, definition(lr_extend=0), tmp_path)
    with pytest.raises(RecordsError, match="lr_extend: 0 here, 2 asked for"):
        check_growth(held, definition(), tmp_path)


def test_by_how_much_a_range_may_grow_is_fixed(tmp_path):
    """Else seeds would be reported twice, at the rate of before and at that of now."""
    with pytest.raises(RecordsError, match="lr_extend: 1 here, 2 asked for"):
        check_growth(definition(lr_extend=1), definition(), tmp_path)


def test_a_part_that_a_folder_does_not_name_has_its_default_and_may_grow(tmp_path):
    held = without(without(definition(), "clip_rules"), "options", "clip_rule norm")
    check_growth(held, definition(), tmp_path)
    check_growth(held, definition(clip_rules=("norm", "zclip")), tmp_path)
    with pytest.raises(RecordsError, match="clip_rules: norm here, zclip asked for"):
        check_growth(held, definition(clip_rules=("zclip",)), tmp_path)


def test_what_is_no_field_of_a_space_has_no_default(tmp_path):
    with pytest.raises(RecordsError, match="device: none here, cuda asked for"):
        check_growth(definition(), {"device": "cuda", **definition()}, tmp_path)


def test_an_option_that_the_code_has_lost_is_refused(tmp_path):
    held = definition()
    held["options"]["model rnn"]["heat"] = [0.5]
    with pytest.raises(RecordsError, match="heat"):
        check_growth(held, definition(), tmp_path)


class Warm(models.get("reservoir")):
    """A reservoir with an option more."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int, heat: float = 0.5) -> None:
        super().__init__(input_size, hidden_size, output_size)


@pytest.mark.contract
def test_a_run_goes_on_where_a_model_has_gained_an_option(tmp_path, monkeypatch, capsys):
    command = [
        "--space=smoke", f"--results={tmp_path}", "--executor=serial", "--set=models=reservoir",
        "--set=optimizers=sgd", "--set=lengths=4", "--set=learning_rate=0.1:1", "--set=lr_trials=3",
        "--set=lr_batch=1", "--set=max_steps=2", "--set=observe=0", "--set=eval_every=2",
        "--set=hidden_size=4",
    ]  # fmt: skip
    assert run_without_pictures(command) == 0
    (folder,) = tmp_path.iterdir()
    before = read(folder, "trials")
    capsys.readouterr()
    monkeypatch.setattr(Warm, "__module__", "harness.models.reservoir")
    monkeypatch.setitem(models._classes, "reservoir", Warm)
    monkeypatch.setattr("harness.executors.base.blocks", lambda *_: pytest.fail("trained again"))
    assert run_without_pictures(command) == 0
    assert f"{len(before)} already done" in capsys.readouterr().err


def test_every_field_of_a_space_beside_its_name_has_a_default():
    """A folder that does not name a later field is read as having its default."""
    required = {f.name for f in dataclasses.fields(Space) if f.default is f.default_factory}
    assert required == {"name", "summary"}

"""The folder of a variant: readable, bounded, safe everywhere, and another for every other variant."""

import itertools
import re

import pytest

from harness.planning.load import load_space
from harness.planning.variants import LONGEST

PLAIN = load_space("smoke")


@pytest.mark.parametrize(
    ("changes", "folder"),
    [
        ({"max_steps": 50}, "smoke--max_steps-50"),
        ({"max_steps": 200}, "smoke"),  # as it is
        ({"seeds": 9}, "smoke"),
        ({"models": "gru", "lengths": (3, 7), "max_norms": (0.5,), "layers": 2}, "smoke"),
        ({"checkpoints": True}, "smoke--checkpoints-true"),
        ({"probes": "none"}, "smoke--probes-none"),
        ({"probes": ("spectrum", "curvature")}, "smoke--probes-curvature-spectrum"),
        ({"learning_rate": (0.1,)}, "smoke--learning_rate-fixed"),
        ({"learning_rate": {"low": 0.01, "high": 1e20}, "lr_trials": 99},
         "smoke--learning_rate-0.01-to-1e20--lr_trials-99"),
    ],
)  # fmt: skip
def test_what_may_not_grow_names_the_folder(changes, folder):
    assert PLAIN.override(changes).folder_name == folder


def test_it_does_not_depend_on_the_way_there():
    one = PLAIN.override({"max_steps": 50}).override({"observe": 5})
    assert one.folder_name == PLAIN.override({"observe": 5, "max_steps": 50}).folder_name
    assert one.override({"observe": 100, "max_steps": 200}).folder_name == "smoke"


def test_the_paper_scale_is_no_variant_but_may_have_them():
    study = load_space("clipping_study")
    assert study.at_scale("paper").folder_name == "clipping_study-paper"
    for one in (
        study.at_scale("paper").override({"observe": 5}),
        study.override({"pack_size": 5}).at_scale("paper"),
    ):
        assert re.fullmatch(r"clipping_study-paper--(observe|pack_size)-5", one.folder_name)


def test_names_are_bounded_safe_and_distinct():
    values = {"max_steps": (1, 10**15), "observe": (0, 10**15), "pack_size": (1, 2), "lr_batch": (1, 2),
              "tuning_seeds": (2, 3), "checkpoints": (True, False), "eval_every": (1, 2)}  # fmt: skip
    names = [
        PLAIN.override(dict(zip(values, point, strict=True))).folder_name
        for point in itertools.product(*values.values())
    ]
    assert len(set(names)) == len(names) == 2**7
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names)
    assert max(map(len, names)) <= len("smoke") + LONGEST

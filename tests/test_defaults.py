"""What has its default does not identify a condition, so no default ever changes."""

import dataclasses

import pytest

from harness.condition import PARTS, Condition
from harness.models import models
from harness.planning.cohort import make_trial
from harness.planning.parts import REGISTRIES
from harness.planning.space import Space
from harness.planning.study import proposal_seed
from tests.trials import make_condition

WHY = (
    "a default never changes: it is left out of condition_id and trial_id, so that with another default old "
    "results would pass for new ones. Add an option of another name, or a new class"
)

DEFAULTS = {
    "task adding": {},
    "task copy": {},
    "task digits": {"order": "rows"},
    "task graph_signal": {"nodes": 48, "homophily": 0.9, "noise": 0.1},
    "task karate": {},
    "task palindrome": {"encoding": "one_hot"},
    "task parity": {},
    "task recall": {"vocabulary": 16, "pairs": 4},
    "task sbm": {"nodes": 40, "homophily": 0.8, "noise": 1.0},
    "task text": {"corpus": "pydoc_topics"},
    "model gat": {"init": "xavier", "residual": False, "norm": "none"},
    "model gcn": {"init": "xavier", "residual": False, "norm": "none"},
    "model gcn_lstm": {"init": "xavier", "forget_bias": 1.0, "use_graph": True, "use_memory": True},
    "model gcn_rnn": {"init": "xavier", "use_graph": True, "use_memory": True},
    "model gru": {"init": "xavier", "layers": 1, "bidirectional": False, "layer_norm": False},
    "model irnn": {"layers": 1, "bidirectional": False, "layer_norm": False},
    "model lru": {"r_min": 0.0, "r_max": 1.0, "max_phase": 6.28},
    "model lstm": {
        "init": "xavier",
        "forget_bias": 1.0,
        "layers": 1,
        "bidirectional": False,
        "layer_norm": False,
    },
    "model mgu": {"init": "xavier", "layers": 1, "bidirectional": False, "layer_norm": False},
    "model min_gru": {"init": "xavier", "layers": 2},
    "model min_lstm": {"init": "xavier", "layers": 2},
    "model reservoir": {},
    "model rnn": {"init": "xavier", "layers": 1, "bidirectional": False, "layer_norm": False},
    "model transformer": {"init": "xavier", "layers": 2, "heads": 1},
    "optimizer adam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    "optimizer momentum": {"momentum": 0.9},
    "optimizer rmsprop": {"alpha": 0.99, "eps": 1e-8},
    "optimizer sgd": {},
    "clip_rule autoclip": {"percentile": 10.0},
    "clip_rule norm": {},
    "clip_rule value": {"max_value": 0.01},
    "clip_rule zclip": {"z_threshold": 2.5, "zclip_alpha": 0.97, "zclip_warmup": 25},
}
"""Every option of everything built in. Names are added here, none is changed."""

CONDITION_DEFAULTS = {"clip_rule": "norm", "learning_rate": None}

SPACE_DEFAULTS = {
    "tasks": ["palindrome"],
    "models": ["rnn", "lstm"],
    "optimizers": ["rmsprop"],
    "clip_rules": ["norm"],
    "lengths": {"palindrome": [5, 10, 20]},
    "max_norms": ["inf"],
    "hidden_size": [32],
    "batch_size": [32],
    "learning_rate": None,
    "lr_trials": 7,
    "lr_batch": 7,
    "lr_extend": 2,
    "tuning_seeds": 1,
    "tune_for": "fast",
    "seeds": 8,
    "max_steps": 1_000,
    "observe": 800,
    "eval_every": 100,
    "pack_size": 32,
    "probes": ["gradient_flow", "lyapunov", "spectrum"],
    "checkpoints": False,
    "sample_every": 0,
    "scale": "laptop",
}
"""Every field of a definition that Space gives a default: a folder that does not name it has this.

`harness.planning.growth.BEFORE` has the exceptions.
"""


def space(**changes) -> Space:
    return Space(name="test", summary="A test.", **changes)


def test_the_default_of_an_option_never_changes():
    found = {
        f"{part} {name}": {option.name: option.default for option in registry.options(name).values()}
        for part, registry in REGISTRIES.items()
        for name in registry.names()
    }
    pinned = {part: options.keys() for part, options in DEFAULTS.items()}
    new = {part: sorted(set(options) - set(pinned.get(part, ()))) for part, options in found.items()}
    added = {part: names for part, names in new.items() if names or part not in DEFAULTS}
    assert added == {}, "these parts or options are new: add them to DEFAULTS"
    assert found == DEFAULTS, WHY


def test_the_defaults_of_conditions_and_spaces_never_change():
    required = dict(task="a", model="b", optimizer="c", length=1, max_norm=1.0, hidden_size=1, batch_size=1)
    bare = Condition(**required).fields()
    assert {name: bare[name] for name in bare.keys() - required.keys()} == CONDITION_DEFAULTS, WHY
    definition = space().definition()
    derived = ("name", "schema_version", "options", "first_grids", "tuned_by", "sources")
    assert {name: definition[name] for name in definition if name not in derived} == SPACE_DEFAULTS, WHY


def test_what_has_its_default_does_not_identify_a_condition():
    condition = make_condition()
    assert condition.condition_id == make_condition(clip_rule="norm", learning_rate=None).condition_id
    assert not condition.identity().keys() & {"clip_rule", "learning_rate"}
    assert make_condition(clip_rule="zclip", max_norm=None).identity()["clip_rule"] == "zclip"
    plain = make_condition(options=(("encoding", "one_hot"),), at_default=frozenset({"encoding"}))
    assert plain.condition_id == make_condition(options=()).condition_id
    assert plain.fields()["encoding"] == "one_hot", "tables have it all the same"


def test_an_option_set_to_its_default_is_the_same_condition():
    left_out = space(models=("lstm",), lengths=(5,)).conditions()
    given = space(models=("lstm",), lengths=(5,), options={"forget_bias": (1.0, 0.0)}).conditions()
    assert [c.condition_id for c in left_out] == [given[0].condition_id]
    assert given[1].condition_id != given[0].condition_id


class Hot(models.get("reservoir")):
    """A model with an option more."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int, heat: float = 0.5) -> None:
        super().__init__(input_size, hidden_size, output_size)


def with_heat(cls: type) -> type:
    """The class with an option more, at home where it is."""
    hot = Hot if issubclass(cls, models.get("reservoir")) else None
    hot = hot or dataclasses.make_dataclass("Hot", [("heat", float, 0.5)], bases=(cls,), frozen=True)
    hot.__module__ = cls.__module__
    return hot


@pytest.mark.parametrize(
    ("part", "name"),
    [("task", "palindrome"), ("model", "reservoir"), ("optimizer", "rmsprop"), ("clip_rule", "zclip")],
)
def test_a_keyword_with_a_default_renames_nothing_and_changes_no_proposal(part, name, monkeypatch):
    def made() -> tuple[list[Condition], list[tuple[str, str, int]]]:
        this = space(models=("reservoir",), clip_rules=("zclip",))
        trials = [make_trial(this, condition, 0.1, 0) for condition in this.conditions()]
        identities = [
            (t.condition.condition_id, t.trial_id, proposal_seed(t.condition, t.seed, 1)) for t in trials
        ]
        return this.conditions(), identities

    _, before = made()
    hot = with_heat(REGISTRIES[part].get(name))
    monkeypatch.setitem(REGISTRIES[part]._classes, name, hot)
    conditions, after = made()
    assert all(dict(condition.options)["heat"] == 0.5 for condition in conditions)
    assert after == before


def test_a_text_identifies_a_condition_also_where_its_name_is_the_default(monkeypatch):
    """The text that ships with Python changes with its version."""
    (before,) = space(tasks=("text",), models=("lstm",), lengths=(8,)).conditions()
    assert "corpus" in before.identity()
    assert "layers" not in before.identity()
    monkeypatch.setattr("pydoc_data.topics.topics", {"only": "one topic, of another Python. " * 40})
    (after,) = space(tasks=("text",), models=("lstm",), lengths=(8,)).conditions()
    assert before.files == after.files
    assert before.condition_id != after.condition_id


def test_parts_are_those_that_a_space_has_axes_for():
    assert PARTS == {
        "task": "tasks",
        "model": "models",
        "optimizer": "optimizers",
        "clip_rule": "clip_rules",
    }

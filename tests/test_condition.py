import dataclasses
import math

import pytest

from harness.condition import FIRST_TUNING_SEED, Pack
from harness.identity import content_hash, stream_seed
from tests.trials import make_condition, make_trial

CHANGED = {
    "task": "adding",
    "model": "lstm",
    "optimizer": "adam",
    "length": 6,
    "max_norm": math.inf,
    "hidden_size": 9,
    "batch_size": 17,
    "options": (("encoding", "scalar"), ("init", "xavier")),
}


@pytest.mark.parametrize("name", CHANGED)
def test_trial_id_changes_with_every_field_of_the_condition(name):
    assert make_trial().trial_id != make_trial(**{name: CHANGED[name]}).trial_id


@pytest.mark.parametrize("name", ["learning_rate", "seed", "max_steps", "observe", "eval_every"])
def test_trial_id_changes_with_every_field_of_the_trial(name):
    trial = make_trial()
    changed = dataclasses.replace(trial, **{name: getattr(trial, name) * 2 + 1})
    assert trial.trial_id != changed.trial_id


def test_trial_id_is_the_same_whether_the_learning_rate_was_tuned_or_fixed():
    tuned, fixed = make_trial(), make_trial(learning_rate=0.1)
    fixed = dataclasses.replace(fixed, condition=dataclasses.replace(fixed.condition, learning_rate=0.1))
    assert tuned.trial_id == fixed.trial_id
    assert tuned.condition.condition_id != fixed.condition.condition_id


def test_identities_do_not_change_between_versions():
    """Recorded results are found again by these: a change here orphans every folder."""
    assert make_trial().trial_id == "29196837d0d922c4"
    assert stream_seed("data", "palindrome", 5, 0) == 6753050613245325952
    assert content_hash({"b": math.inf, "a": [1, "x"]}) == content_hash({"a": [1, "x"], "b": math.inf})


def test_nan_identifies_nothing():
    with pytest.raises(ValueError, match="NaN"):
        content_hash([math.nan])


def test_tuning_and_report_seeds_are_disjoint_and_judged_on_different_sets():
    report, tune = make_trial(seed=0), make_trial(seed=FIRST_TUNING_SEED)
    assert (report.phase, report.heldout_split) == ("report", "test")
    assert (tune.phase, tune.heldout_split) == ("tune", "validation")


def test_streams_differ_by_every_name():
    seeds = {
        stream_seed(*names) for names in [("data", "a", 1), ("data", "a", 2), ("data", "b", 1), ("x", "a", 1)]
    }
    assert len(seeds) == 4


@pytest.mark.parametrize(
    "other",
    [
        make_trial(length=6),
        make_trial(max_steps=40),
        make_trial(seed=FIRST_TUNING_SEED),
        make_trial(model="lstm"),
    ],
)
def test_a_pack_refuses_trials_that_differ_in_more_than_seed_rate_and_max_norm(other):
    with pytest.raises(ValueError, match="may differ only in"):
        Pack((make_trial(), other))


def test_a_pack_takes_trials_that_differ_in_seed_rate_and_max_norm():
    Pack((make_trial(), make_trial(seed=3, learning_rate=0.5, max_norm=math.inf)))


def test_siblings_differ_only_in_max_norm_and_fixed_learning_rate():
    assert make_condition().siblings_key() == make_condition(max_norm=9.0, learning_rate=0.1).siblings_key()
    assert make_condition().siblings_key() != make_condition(length=9).siblings_key()

"""The rule that says how many lengths are enough."""

import math

import pandas as pd
import pytest

from harness.errors import UserError
from harness.planning.bracket import Bracket
from harness.planning.fields import parse_settings
from harness.planning.growth import check_growth
from harness.planning.lengths import with_held_lengths, with_missing_lengths
from harness.planning.space import Space


def space(**changes) -> Space:
    fields = dict(models=("rnn", "lstm"), lengths=(5, 40), learning_rate=(0.1,), seeds=10)
    return Space(name="test", summary="", **fields | changes)


def recorded(this: Space, solved_up_to) -> pd.DataFrame:
    """Report trials of every condition: all seeds solve up to a length of the model, none from its double."""

    def share(condition) -> float:
        edge = solved_up_to[condition.model]
        return min(1.0, max(0.0, 2 - condition.length / edge))

    rows = [
        (c.condition_id, "report", seed, "stable" if (seed + 0.5) / 10 < share(c) else "unsolved")
        for c in this.conditions()
        for seed in range(10)
    ]
    return pd.DataFrame(rows, columns=["condition_id", "phase", "seed", "outcome"])


def bracketed(this: Space, solved_up_to) -> list[tuple[int, ...]]:
    """The lengths of a space, stage by stage."""
    stages = [this]
    while (more := with_missing_lengths(stages[-1], recorded(stages[-1], solved_up_to))) is not None:
        stages.append(more)
    return [stage.lengths_of("palindrome") for stage in stages]


def test_lengths_are_halved_until_both_levels_lie_between_close_neighbours():
    """The RNN solves nine of ten at 11, and half at 15."""
    stages = bracketed(space(models=("rnn",), bracket="until:ratio=1.25"), {"rnn": 10})
    assert stages == [
        (5, 40),
        (5, 14, 40),
        (5, 8, 14, 24, 40),
        (5, 8, 11, 14, 18, 24, 40),
        (5, 8, 11, 12, 14, 16, 18, 24, 40),
    ]


@pytest.mark.parametrize("edge", [3, 6, 10, 17, 29])
@pytest.mark.parametrize("ratio", [1.1, 1.5, 2.0])
def test_where_there_are_enough_the_crossings_are_bracketed(edge, ratio):
    lengths = bracketed(space(models=("rnn",), bracket=f"until:ratio={ratio},max=80"), {"rnn": edge})[-1]
    for crossing in (1.15 * edge, 1.55 * edge):  # from here on fewer than 9, and than 5, of ten solve
        above = [n for n in lengths if n < crossing]
        below = [n for n in lengths if n >= crossing]
        assert not above or not below or below[0] <= ratio * above[-1] or below[0] == above[-1] + 1


def test_arms_that_are_compared_have_the_same_lengths():
    this = space(bracket="until:ratio=1.5,max=160")
    both = set(bracketed(this, {"rnn": 8, "lstm": 60})[-1])
    assert both >= {5, 40, 80, 160}
    grown = with_missing_lengths(this, recorded(this, {"rnn": 8, "lstm": 60}))
    assert {c.model for c in grown.conditions() if c.length == 80} == {"rnn", "lstm"}
    assert grown.folder_name == this.folder_name


@pytest.mark.parametrize(
    ("rule", "last"), [("until:ratio=2", 40), ("until:ratio=2,max=50", 50), ("until:ratio=2,max=200", 200)]
)
def test_longer_ones_are_tried_up_to_the_bound(rule, last):
    assert bracketed(space(bracket=rule), {"rnn": 999, "lstm": 999})[-1][-1] == last


def test_a_space_without_a_rule_has_the_lengths_given():
    assert with_missing_lengths(space(), recorded(space(), {"rnn": 9, "lstm": 9})) is None
    assert with_held_lengths(space(), {"lengths": {"palindrome": [7]}}).lengths == (5, 40)


def test_a_run_goes_on_with_the_lengths_that_were_added_before(tmp_path):
    this = space(bracket="until:ratio=1.5")
    grown = with_missing_lengths(this, recorded(this, {"rnn": 10, "lstm": 10}))
    again = with_held_lengths(this, grown.definition())
    assert again.lengths_of("palindrome") == grown.lengths_of("palindrome") == (5, 14, 40)
    check_growth(grown.definition(), again.definition(), tmp_path)
    check_growth(this.definition(), grown.definition(), tmp_path)
    check_growth(space().definition(), this.definition(), tmp_path)


def test_a_rule_follows_the_lengths_on_the_command_line():
    plain = space()
    made = plain.override(parse_settings(["lengths=4,60,until:ratio=1.25,max=160"]))
    assert (made.lengths, made.bracket) == ((4, 60), Bracket(ratio=1.25, max=160))
    own = plain.override(parse_settings(["lengths=until:ratio=1.5"]))
    assert (own.lengths, own.bracket) == ((5, 40), Bracket(ratio=1.5))
    assert own.definition()["bracket"] == "until:ratio=1.5"
    assert own.override(parse_settings(["bracket=none"])).definition().get("bracket") is None
    assert own.override({"seeds": 3}).bracket == own.bracket


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lengths=5,until:rato=2", r"lengths=until:rato=2: 'rato' is not known \(did you mean ratio\?\)"),
        ("lengths=5,until:ratio=1", "expected a ratio above 1, as in until:ratio=1.25,max=160"),
        ("lengths=5,until:max=9", "expected a ratio above 1"),
        ("lengths=5,until:ratio=2,max=1.5", "max=1.5 is not allowed; expected a whole number"),
        ("lengths=5,until:ratio=2,max=0", "max=0 is not allowed"),
        (
            "bracket=yes",
            "bracket=yes is not allowed; expected a rule such as until:ratio=1.25,max=160, or none",
        ),
    ],
)
def test_a_rule_that_is_none_is_refused_with_what_is_known(text, said):
    with pytest.raises(UserError, match=said):
        space().override(parse_settings([text]))


def test_a_length_between_two_is_nearest_to_their_geometric_mean():
    rule = Bracket(ratio=1.01)
    for low in range(1, 30):
        for high in range(low + 2, 60):
            between = rule.between(low, high)
            assert low < between < high
            assert abs(between - math.sqrt(low * high)) <= 0.5 or high == low + 2

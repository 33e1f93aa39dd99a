"""The rule that says how many report seeds are enough."""

import pytest

from analysis.statistics import wilson
from harness.errors import RecordsError, UserError
from harness.planning.fields import parse_settings
from harness.planning.growth import check_growth
from harness.planning.space import Space
from harness.planning.until import Until, wilson_width


def space(**changes) -> Space:
    return Space(name="test", summary="", learning_rate=(0.1,), **changes)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 8), (3, 8), (8, 8), (50, 100), (999, 1000)])
def test_the_width_is_that_of_the_interval_on_the_page(k, n):
    low, high = wilson(k, n)
    assert wilson_width(k, n) == pytest.approx(high - low, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("until:width=.2", Until(width=0.2)),
        ("until:width=0.2,max=100", Until(width=0.2, max=100)),
        ("until: max=1e2, width=2e-1, batch=10", Until(width=0.2, batch=10, max=100)),
    ],
)
def test_a_rule_is_read_from_the_command_line_and_from_python(text, rule):
    plain = Space(name="test", summary="", learning_rate=(0.1,))
    for made in (plain.override(parse_settings([f"seeds={text}"])), space(seeds=text), space(seeds=rule)):
        assert made.seeds == rule
        assert made.folder_name == plain.folder_name, "seeds may grow"
        assert made.definition()["seeds"] == made.first_seeds == rule.batch
        assert made.definition()["seeds_until"] == str(rule)
        assert made.override({"models": ("gru",)}).seeds == rule
        assert made.override({"seeds": 3}).definition().get("seeds_until") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("until", r"expected a whole number >= 1, or a rule such as seeds=until:width=0\.2,max=64"),
        ("untill:width=.2", "or a rule such as seeds=until:"),
        ("until:", "'' is not known; known: width, batch, max, as in until:width=0.2,max=64"),
        ("until:wdth=.2", r"'wdth' is not known \(did you mean width\?\); known: width, batch, max"),
        ("until:max=9", "gives no width"),
        ("until:width=.2,width=.3", "gives width twice"),
        ("until:width=2", "width=2 is not allowed; expected a number between 0 and 1"),
        ("until:width=x", "width=x is not allowed"),
        ("until:width=.2,max=0", "max=0 is not allowed; expected a whole number, 1 to 1000000"),
        ("until:width=.2,batch=1.5", "batch=1.5 is not allowed"),
        ("until:width=.2,max=4", "max=4 is below batch=8"),
    ],
)
def test_a_rule_that_is_none_is_refused_with_what_is_known(text, said):
    with pytest.raises(UserError, match=said):
        space().override(parse_settings([f"seeds={text}"]))


@pytest.mark.parametrize(
    ("held", "wanted", "refused"),
    [
        (8, "until:width=.2", None),
        ("until:width=.2", "until:width=.1,max=99", None),
        (9, "until:width=.2", "seeds: 9 here, 8 asked for"),
        ("until:width=.2", 64, "seeds: until:width=0.2,batch=8,max=64 here, none asked for"),
        ("until:width=.2", "until:width=.3", "use --set seeds=until:width=0.2,batch=8,max=64 to go on"),
        ("until:width=.2", "until:width=.2,max=60", "seeds: until"),
        ("until:width=.2", "until:width=.2,batch=9", "seeds: until"),
    ],
)
def test_a_rule_may_be_added_and_ask_for_more(held, wanted, refused, tmp_path):
    held, wanted = space(seeds=held).definition(), space(seeds=wanted).definition()
    if refused is None:
        check_growth(held, wanted, tmp_path)
        return
    with pytest.raises(RecordsError, match=refused):
        check_growth(held, wanted, tmp_path)

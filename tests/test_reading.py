import math

import pytest

from harness.planning.fields import parse_settings
from harness.reading import closest, real_number, whole_number
from harness.registry import Option

WHOLE = {
    "7": 7, "1e3": 1_000, "1E3": 1_000, "1000.0": 1_000, "+5": 5, "-0": 0, "2.50e1": 25, "1e18": 10**18,
    1_000.0: 1_000, 3: 3,
}  # fmt: skip

NOT_WHOLE = [
    "1_000", "\uff11\uff10", "\u0663", "2.5", "1e-1", "1e19", "1e9999", "1e999999999999",
    "9223372036854775808", "0x10",
    "true", "", " 5", "5 ", "--5", "1e", "inf", "nan", True, None, 2.5, math.inf, math.nan, "1,000", [1],
    "9" * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("text", WHOLE)
def test_whole_numbers_may_be_written_with_a_point_or_an_exponent(text):
    assert whole_number(text) == WHOLE[text]
    assert type(whole_number(text)) is int
    assert Option("layers", int, None, 1).parse(text) == WHOLE[text]


@pytest.mark.parametrize("text", NOT_WHOLE)
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(ValueError, match=" "):
        whole_number(text)
    with pytest.raises(ValueError, match=r"layers=.* is not allowed; expected a whole number"):
        Option("layers", int, None, 1).parse(text)


@pytest.mark.parametrize(("text", "number"), {"inf": math.inf, ".5": 0.5, "5.": 5, "1e-3": 1e-3}.items())
def test_numbers_and_infinity_are_read(text, number):
    assert real_number(text) == number


@pytest.mark.parametrize(
    "text", ["1_0", "\uff11", "nan", "1e999", "", "x", True, None, " 1", "0x1p3", 10**400]
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match=" "):
        real_number(text)


def test_the_nearest_known_name_is_meant():
    assert closest("lstn", ["gru", "lstm"]) == " (did you mean lstm?)"
    assert closest("LSTM", ["gru", "lstm"]) == " (did you mean lstm?)"
    assert closest("transformer", ["gru", "lstm"]) == ""


LISTS = {
    "lengths=5,6": ("5", "6"),
    "lengths=[5,6]": ("5", "6"),
    "lengths=(5, 6)": ("5", "6"),
    "lengths=[]": (),
    "lengths=": (),
    'corpus="a,b.txt"': ("a,b.txt",),
    'corpus="a,b.txt",c': ("a,b.txt", "c"),
    "seeds=[3]": "3",
}


@pytest.mark.parametrize("setting", LISTS)
def test_lists_may_stand_in_brackets_and_commas_in_quotes(setting):
    assert list(parse_settings([setting]).values()) == [LISTS[setting]]


@pytest.mark.parametrize("setting", ["lengths=[5,6", "lengths=5]", "lengths={5}", 'corpus="a'])
def test_an_open_bracket_or_quote_is_answered_with_how_lists_are_written(setting):
    with pytest.raises(ValueError, match=r"write several values as (lengths|corpus)=5,6"):
        parse_settings([setting])

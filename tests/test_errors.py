"""The line and the traceback of an exception, whatever its class does."""

import sys
from pathlib import Path

import pytest
import torch

from harness.errors import LONGEST, LONGEST_TRACEBACK, one_line, whole
from harness.models.rnn import RNN


class Mute(Exception):
    def __str__(self):
        raise self


class Leaving(Exception):
    def __str__(self):
        sys.exit(3)

    __repr__ = __str__


class Meta(type):
    def __getattribute__(cls, name):
        raise RuntimeError(name)


class Nameless(Exception, metaclass=Meta):
    pass


class Text(str):
    def __getitem__(self, _):
        raise KeyError

    split = __getitem__


class Strange(Exception):
    def __str__(self):
        return Text("strange")


class Own(BaseException):
    pass


def noted(error, *notes):
    error.__notes__ = list(notes) if len(notes) > 1 else notes[0]
    return error


def nested(depth):
    error = KeyError("h")
    for _ in range(depth):
        error = ExceptionGroup("more", [error, ValueError("y")])
    return error


RAISED = {
    "without text": (ValueError(), "ValueError (test_errors.py:0: raise error)"),
    "blank": (ValueError(" \n "), "ValueError (test_errors.py:0: raise error)"),
    "several lines": (ValueError("a\n  b\r\n\tc\x0b"), "ValueError: a b c (test_errors.py:0)"),
    "a lone surrogate": (ValueError("a\ud800b"), "ValueError: a?b (test_errors.py:0)"),
    "control characters": (ValueError("\x1b[31m\0\u202e"), "ValueError: ?[31m?? (test_errors.py:0)"),
    "a key": (KeyError("h"), "KeyError: 'h' (test_errors.py:0)"),
    "str raises": (Mute("x"), "Mute (test_errors.py:0: raise error)"),
    "str exits": (Leaving("x"), "Leaving (test_errors.py:0: raise error)"),
    "a class without a name": (Nameless("x"), "<class 'tests.test_errors.Nameless'>"),
    "text of a class of its own": (Strange(), "Strange: strange (test_errors.py:0)"),
    "an exit": (SystemExit("bye"), "SystemExit: bye (test_errors.py:0)"),
    "an exit with a code": (SystemExit(3), "SystemExit: 3 (test_errors.py:0)"),
    "a base exception": (Own("x"), "Own: x (test_errors.py:0)"),
    "a generator's exit": (GeneratorExit(), "GeneratorExit (test_errors.py:0: raise error)"),
    "a group": (
        nested(1),
        "ExceptionGroup: more (2 sub-exceptions) (test_errors.py:0), the first KeyError: 'h'",
    ),
    "a deep group": (
        nested(500),
        "ExceptionGroup: more (2 sub-exceptions) (test_errors.py:0), the first KeyError: 'h'",
    ),
    "notes": (
        noted(ValueError("x"), "see\nbelow", "or not"),
        "ValueError: x (test_errors.py:0) see below or not",
    ),
    "notes that are none": (noted(ValueError("x"), 5), "ValueError: x (test_errors.py:0)"),
}


@pytest.mark.parametrize("name", RAISED)
def test_one_line_says_type_message_and_place(name):
    error, said = RAISED[name]
    with pytest.raises(BaseException) as caught:
        raise error
    place = caught.value.__traceback__.tb_lineno
    line, text = one_line(caught.value), whole(caught.value)
    assert line == said.replace(".py:0", f".py:{place}")
    assert line.isprintable()
    text.encode()
    assert "Traceback (most recent call last)" in text
    assert "raise error" in text


@pytest.mark.parametrize("text", ["x" * 50_000_000, "x\n" * 1_500_000, "\ud800" * 3_000_000])
def test_a_huge_message_is_bounded_in_both(text):
    error = ValueError(text)
    error.__notes__ = [text[:3000]] * 30
    assert len(one_line(error)) <= 4 * LONGEST
    kept = whole(error)
    assert len(kept) < 2 * LONGEST_TRACEBACK * len("\\ud800") + 100
    assert "characters left out" in kept


class Careless(RNN):
    """Raises in torch, in the standard library and by itself."""

    def __init__(self, where):
        super().__init__(3, 4, 2)
        self.where = where

    def forward(self, inputs):
        if self.where == "assert":
            raise AssertionError
        if self.where == "itself":
            return self.forward(inputs)
        if self.where == "stdlib":
            __import__("json").loads("{")
        return torch.nn.functional.linear(inputs, torch.zeros(9, 9))


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("torch", "return torch.nn.functional.linear"),
        ("stdlib", '__import__("json")'),
        ("assert", "raise AssertionError"),
        ("itself", "self."),
    ],
)
def test_the_place_is_the_last_line_of_the_users_own_code(where, said):
    model = Careless(where)
    with pytest.raises(BaseException) as caught:
        torch.func.vmap(lambda inputs: model(inputs))(torch.zeros(2, 1, 5, 3))
    line = one_line(caught.value)
    number = int(line.partition("(test_errors.py:")[2].partition(")")[0].partition(":")[0])
    assert said in Path(__file__).read_text().splitlines()[number - 1]
    assert ("raise AssertionError" in line) == (where == "assert"), "where there is no text, it is quoted"


def test_without_code_of_the_users_it_is_the_innermost_line_and_none_for_a_module_that_is_not_there():
    with pytest.raises(RuntimeError) as caught:
        RNN(3, 4, 2)(torch.zeros(2, 5, 9))
    error = caught.value.with_traceback(caught.value.__traceback__.tb_next)
    assert "test_errors" not in one_line(error)
    assert one_line(error).endswith(")")
    with pytest.raises(ImportError) as caught:
        import no_such_module  # noqa: F401
    error = caught.value.with_traceback(None)
    assert one_line(error) == "ModuleNotFoundError: No module named 'no_such_module'"

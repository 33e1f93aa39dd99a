"""How values read: names, numbers, counts out of a whole, and intervals as text."""

import hashlib
import unicodedata
from typing import Any

import pandas as pd

LONGEST = 60
"""Characters of a name or value that a page shows; JSON has it whole."""

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move, hide or reorder text: control, format, surrogates, line ends."""

JOINERS = "\u200c\u200d"
"""Format characters that words of some languages and emoji need; they reorder nothing."""


def printable(words: str) -> str:
    """The text with what moves, hides or reorders text written out: a newline is \\n, Escape is \\x1b.

    It is one line, and applied twice it is the same.
    """
    return "".join(
        escaped(sign) if unicodedata.category(sign) in UNSEEN and sign not in JOINERS else sign
        for sign in words
    )


def escaped(sign: str) -> str:
    """A character as an escape that Python and bash read: \\n, \\x1b, \\u202e; a byte of no text is \\xff."""
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte of a name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if 0x80 <= code <= 0xFFFF else sign.encode("unicode_escape").decode()


def text(value: Any) -> str:
    """A value as a person reads it, in one line; - where there is none.

    What is longer than LONGEST loses its middle: `first ... last #1a2b3c4d`. The hash is of the whole, so
    that two values never look the same.
    """
    if value is None or value is pd.NA or value != value:
        return "-"
    if isinstance(value, float):
        return f"{value:zg}"
    words = printable(str(value).replace("\\", "\\\\") if isinstance(value, str) else str(value))
    if len(words) <= LONGEST:
        return words
    digest = hashlib.sha256(words.encode()).hexdigest()[:8]
    return f"{words[:30]} ... {words[-15:]} #{digest}"


def exact(value: Any) -> str:
    """The same as `text`, but a number has all the digits that tell it from every other."""
    if not isinstance(value, float) or value != value:
        return text(value)
    return text(value) if float(f"{value:g}") == value else repr(float(value))


def decimals(value: Any, digits: str) -> str:
    """A number in this format, such as .2f or +.3f; - where there is none, and never a negative zero."""
    if value is None or value is pd.NA or value != value:
        return "-"
    sign, rest = ("+", digits[1:]) if digits.startswith("+") else ("", digits)
    return format(value, f"{sign}z{rest}")


def two_digits(value: Any) -> str:
    """A number rounded to two significant digits; - where there is none."""
    return "-" if value is None or value is pd.NA or value != value else text(float(f"{value:.2g}"))


def k_of_n(frame: pd.DataFrame, part: str, whole: str = "n") -> list[str]:
    """A column of counts, each with what it is a part of: 3 of 8."""
    return [f"{k} of {n}" for k, n in zip(frame[part], frame[whole], strict=True)]


def between(value: float, low: float, high: float, digits: str, brackets: str = "[]") -> str:
    """A number with its limits, all in this format: value [low, high]; - where there is no value."""
    if value != value:
        return "-"
    ends = f"{decimals(low, digits)}, {decimals(high, digits)}"
    return f"{decimals(value, digits)} {brackets[0]}{ends}{brackets[1]}"


def interval(frame: pd.DataFrame, name: str, digits: str = ".2f", brackets: str = "[]") -> list[str]:
    """A column with its limits _low and _high: see `between`."""
    columns = (frame[name], frame[f"{name}_low"], frame[f"{name}_high"])
    return [between(*row, digits, brackets) for row in zip(*columns, strict=True)]


TOO_FEW, FEWEST = "too few", 5
"""What is said instead of an interval of P(stable | solved), and from how many pairs on it has one."""


def difference(row: Any, measure: str, digits: str = "+.2f") -> str:
    """A difference with its limits, all with their signs: +0.25 [-0.10, +0.60]; - where there is none.

    Of P(stable | solved) it is `too few` where both runs solved in fewer than FEWEST pairs, but in some.
    """
    if measure == "kept" and 0 < row.get("both_solved", FEWEST) < FEWEST:
        return TOO_FEW
    value, low, high = (row[f"{measure}_{end}"] for end in ("difference", "low", "high"))
    return between(value, low, high, digits)


def signed_interval(frame: pd.DataFrame, measure: str, digits: str = "+.2f") -> list[str]:
    """A column of differences with their limits: see `difference`."""
    return [difference(row, measure, digits) for row in frame.to_dict("records")]

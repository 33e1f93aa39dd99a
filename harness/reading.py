"""How numbers are written, and what a misspelt name was meant to be: the same rules for every argument."""

import difflib
import math
import operator
import re
from collections.abc import Iterable
from decimal import Decimal

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,4})?", re.ASCII | re.IGNORECASE)
"""Decimal digits, a point, an exponent. No underscores, no spaces, no digits of other scripts."""

INFINITY = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)

LARGEST = 2**63 - 1
"""The largest whole number that a table holds."""


def whole_number(value: object) -> int:
    """A whole number, given as one or as text: `1000`, `1e3` and `1000.0` are the same.

    Raises ValueError for anything else: 1_000, 2.5, true, inf, and what is beyond a table's 64 bits.
    """
    number = _whole(value)
    if abs(number) > LARGEST:
        raise ValueError(f"{value!r} is too large for a table's column")
    return number


def _whole(value: object) -> int:
    if isinstance(value, bool):
        raise ValueError("a flag is no number")
    if isinstance(value, str):
        if not NUMBER.fullmatch(value):
            raise ValueError(f"{value!r} is no number")
        exact = Decimal(value)
        if exact.adjusted() > 18 or exact != exact.to_integral_value():
            raise ValueError(f"{value!r} is no whole number of 64 bits")
        return int(exact)
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = real_number(value)
        if not number.is_integer():
            raise ValueError(f"{value!r} is not whole") from None
        return int(number)


def real_number(value: object) -> float:
    """A number or infinity, given as one or as text such as 0.5, 1e-3 and inf; ValueError for anything else.

    NaN is none, and neither is a number beyond what a float holds.
    """
    if isinstance(value, str):
        known = NUMBER.fullmatch(value) or INFINITY.fullmatch(value)
        number = float(value) if known else math.nan
        if math.isinf(number) and not INFINITY.fullmatch(value):
            raise ValueError(f"{value!r} is beyond what a float holds")
    else:
        try:
            number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
        except (TypeError, OverflowError) as error:
            raise ValueError(str(error)) from None
    if math.isnan(number):
        raise ValueError(f"{value!r} is no number")
    return number


def closest(name: str, known: Iterable[object]) -> str:
    """Such as ' (did you mean tasks?)'; nothing if no known name is near."""
    near = difflib.get_close_matches(str(name).lower(), [str(each) for each in known], n=1)
    return f" (did you mean {near[0]}?)" if near else ""

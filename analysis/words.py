"""How values read: numbers, counts out of a whole, and intervals as text."""

from typing import Any

import pandas as pd


def text(value: Any) -> str:
    """A value as a person reads it; - where there is none."""
    if value is None or value != value:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)


def two_digits(value: float) -> str:
    """A number rounded to two significant digits; - where there is none."""
    return text(float(f"{value:.2g}"))


def k_of_n(frame: pd.DataFrame, part: str, whole: str = "n") -> list[str]:
    """A column of counts, each with what it is a part of: 3 of 8."""
    return [f"{k} of {n}" for k, n in zip(frame[part], frame[whole], strict=True)]


def interval(frame: pd.DataFrame, name: str) -> list[str]:
    """A column with its limits: value [low, high], or - where there is no value."""
    columns = (frame[name], frame[f"{name}_low"], frame[f"{name}_high"])
    return [
        "-" if value != value else f"{value:.2f} [{low:.2f}, {high:.2f}]"
        for value, low, high in zip(*columns, strict=True)
    ]


def signed_interval(frame: pd.DataFrame, measure: str, digits: int = 2) -> list[str]:
    """A column of differences with their limits, all with their signs: +0.25 [-0.10, +0.60]."""
    columns = (frame[f"{measure}_{end}"] for end in ("difference", "low", "high"))
    return [
        f"{difference:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
        for difference, low, high in zip(*columns, strict=True)
    ]

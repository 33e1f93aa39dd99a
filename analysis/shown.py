"""When a difference counts as shown, and when no outcome of so few seeds could have been."""

from typing import Any

import pandas as pd

from analysis.contrasts import MEASURES, SHOWN_AT

ORDER = ("solved", "stable", "kept", "drops")
"""Measures as sentences go through them."""


def is_shown(row: dict[Any, Any], measure: str) -> bool:
    """Whether a difference of this measure is shown."""
    return bool(row[f"{measure}_p_holm"] < SHOWN_AT)


def told_measures(rows: pd.DataFrame) -> list[str]:
    """The measures that sentences about a factor go through: P(stable) only where its parts show nothing."""
    parts = (rows[["solved_p_holm", "kept_p_holm"]] < SHOWN_AT).any(axis=None)
    return [measure for measure in ORDER if measure != "stable" or not parts]


def any_shown(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Which contrasts have a measure whose difference is shown."""
    found: pd.Series[bool] = (rows[[f"{m}_p_holm" for m in MEASURES]] < SHOWN_AT).any(axis=1)
    return found


def decidable(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Which contrasts of one factor have so many clusters that some outcome of them could be shown.

    With c clusters the least p is 2 / 2^c. It is adjusted for the tests of the factor.
    """
    tests = int(rows[[f"{m}_p" for m in MEASURES]].notna().sum().sum())
    found: pd.Series[bool] = tests * 2.0 ** (1 - rows["clusters"]) < SHOWN_AT
    return found

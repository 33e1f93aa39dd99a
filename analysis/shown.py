"""When a difference counts as shown, and when so few seeds that differ could not have shown one."""

import math
from typing import Any

import numpy as np
import pandas as pd

from analysis.contrasts import MEASURES
from analysis.paired import holm, least_p

SHOWN_AT = 0.05
"""Adjusted p below which a difference counts as shown."""

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
    """Which contrasts of one factor could have been shown: see `decidable_measures`."""
    found: pd.Series[bool] = decidable_measures(rows).any(axis=1)
    return found


def decidable_measures(rows: pd.DataFrame) -> pd.DataFrame:
    """By contrast of one factor and measure: whether it could have been shown, had all clusters gone one way.

    A cluster that ties decides nothing: where 8 of 12 tie, the least p is 2 / 2^4. The least p of every test
    of the factor are adjusted together (Holm), as p are. `rows` are all contrasts of the factor.
    """
    least = rows[[f"{m}_differ" for m in MEASURES]].apply(least_p)
    least = least.where(rows[[f"{m}_p" for m in MEASURES]].notna().to_numpy())
    adjusted = np.reshape(holm(least.to_numpy().ravel().tolist()), least.shape)
    return pd.DataFrame(adjusted < SHOWN_AT, columns=list(MEASURES), index=rows.index)


def lead(row: dict[Any, Any], measure: str, suffix: str = "") -> float:
    """By how much the level has more: a difference of shares, or a ratio's log; NaN where there is none."""
    if measure != "drops":
        return float(row[f"{measure}_difference{suffix}"])
    ratio = float(row[f"drops_ratio{suffix}"])
    return math.log(ratio) if ratio > 0 else -math.inf if ratio == 0 else math.nan

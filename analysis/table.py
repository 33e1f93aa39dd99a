"""A table of the report, and the columns that tell its rows apart."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from analysis.words import text


@dataclass(frozen=True, eq=False, kw_only=True)
class Table:
    """Rows, with the columns that name the condition of each: what a section computes and draws.

    `keys` are those columns, in order; they are columns of `frame`. `clip_keys` are the fields and options
    that say how gradients were clipped; some of them may be no keys. `length_label` is what an axis of
    lengths is called: see `analysis.names`. A section that computes more than rows adds fields in a subclass.
    """

    frame: pd.DataFrame
    keys: list[str] = field(default_factory=list)
    clip_keys: list[str] = field(default_factory=list)
    length_label: str = "length T"

    def where(self, chosen: "pd.Series[bool]") -> Self:
        """The same table with the chosen rows only."""
        return replace(self, frame=self.frame[chosen])


def varies(frame: pd.DataFrame, name: str) -> bool:
    """Whether a column has more than one value; having none counts as a value."""
    return bool(frame[name].nunique(dropna=False) > 1)


def panel_keys(table: Table) -> list[str]:
    """The keys that tell panels apart: model, optimizer, and others that vary, but not length or clipping."""
    fixed = ["model", "optimizer", "length", *table.clip_keys]
    return ["model", "optimizer", *(k for k in table.keys if k not in fixed and varies(table.frame, k))]


def panel_title(keys: Sequence[str], values: Sequence[Any]) -> str:
    """The heading of a panel: model and optimizer by name, other keys with their value.

    Example: lstm, adam, task adding, forget_bias 1. A key without a value is left out.
    """
    return ", ".join(
        text(value) if key in ("model", "optimizer") else f"{key} {text(value)}"
        for key, value in zip(keys, values, strict=True)
        if pd.notna(value)
    )


def shown_keys(table: Table) -> dict[str, Any]:
    """The columns a reader needs to tell rows apart: the usual keys, and any that varies.

    The threshold is one of them where some gradient is clipped by it.
    """
    frame = table.frame
    clipped = "max_norm" in frame and np.isfinite(frame["max_norm"].astype("float64")).any()
    usual = ("model", "optimizer", "length", *(["max_norm"] if clipped else []))
    return {key: frame[key].map(text) for key in table.keys if key in usual or varies(frame, key)}

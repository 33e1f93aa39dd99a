"""Sections of the report, in order. Each answers one question: `table` computes, `render` draws."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.load import Results


@dataclass(frozen=True)
class Section:
    """A question, the table that answers it, and a picture of that table (or none)."""

    title: str
    question: str
    table: Callable[[Results], pd.DataFrame]
    render: Callable[[pd.DataFrame], Figure | None]
    note: str = ""

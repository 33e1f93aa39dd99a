"""What a section of the report is: one question; `table` computes, `render` draws, `readable` words it."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.load import Results


@dataclass(frozen=True)
class Section:
    """A question, the table that answers it, its picture (or none), and the table as a person reads it.

    `findings` are sentences that say what the table shows, `warnings` those that a reader must know before.
    """

    title: str
    question: str
    table: Callable[[Results], pd.DataFrame]
    render: Callable[[pd.DataFrame], Figure | None]
    readable: Callable[[pd.DataFrame], pd.DataFrame]
    note: str = ""
    if_empty: str = "Nothing is recorded for this."
    findings: Callable[[pd.DataFrame], list[str]] = lambda _: []
    warnings: Callable[[pd.DataFrame], list[str]] = lambda _: []

"""What a section of the report is: one question; `table` computes, `render` draws, `readable` words it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import pandas as pd
from matplotlib.figure import Figure

from analysis.load import Results
from analysis.table import Table

T = TypeVar("T", bound=Table)


class Sentence:
    """A sentence of the report, and the titles of the sections whose tables hold its numbers."""

    def __init__(self, words: str, *sections: str) -> None:
        self.words = words
        self.sections = sections


@dataclass(frozen=True)
class Section(Generic[T]):
    """A question, the table that answers it, its picture, and the table as a person reads it.

    `render` gives a figure for every table. Where there is nothing to draw, the figure has no axes and says
    so in a sentence; a page leaves it out.
    `applies` says whether these results could have rows for it: a page leaves out a section that does not
    apply. `if_empty` is said where a run that has not finished may still bring rows; without it, and once all
    is recorded, a section without rows is left out too.
    `answers` are sentences of the whole report, each with the section that holds its numbers.
    `findings` are sentences that say what the table shows. `remarks` follow the `note` below the figure and
    depend on the table. `warnings` are sentences that a reader must know
    before. `commands` are lines for a shell. `again` is the beginning of a command and, for each row of the
    table, the rest of it: together they train that row again.
    """

    title: str
    question: str
    table: Callable[[Results], T]
    render: Callable[[T], Figure]
    readable: Callable[[T], pd.DataFrame]
    note: str = ""
    if_empty: str = "Nothing is recorded for this yet."
    applies: Callable[[Results], bool] = lambda _: True
    answers: Callable[[T], list[Sentence]] = lambda _: []
    findings: Callable[[T], list[str]] = lambda _: []
    remarks: Callable[[T], str] = lambda _: ""
    warnings: Callable[[T], list[str]] = lambda _: []
    commands: Callable[[T], list[str]] = lambda _: []
    again: Callable[[T], tuple[str, list[str]] | None] = lambda _: None

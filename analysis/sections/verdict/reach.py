"""Up to which length does each model train, and in what share of its runs?"""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.names import at, listed, spoken, the, under
from analysis.sections.base import Sentence
from analysis.sections.critical_length import SECTION as CRITICAL_LENGTH
from analysis.sections.verdict.evidence import Evidence
from analysis.sections.verdict.summary import TITLE as SUMMARY
from analysis.words import text

NAMED = 4
"""Models that a sentence names, at most: of more, as many that solve most as that solve least."""

LISTED = 3
"""Optimizers and options of which a sentence lists each; of more it names the extremes."""

ENOUGH = "half of its runs"


def reach(found: Evidence) -> list[Sentence]:
    """One sentence per task."""
    if not found.solved:
        return [nothing_solved(found)]
    return [of_task(found, task) for task in found.tasks]


def nothing_solved(found: Evidence) -> Sentence:
    """That no run solved its task, and how many tried."""
    lengths = sorted(found.conditions.loc[found.conditions["n"] > 0, "length"].unique())
    layers = all(found.layers(task) for task in found.tasks)
    ends = at(lengths[0], layers) if len(lengths) == 1 else f"{at(lengths[0], layers)} to {lengths[-1]}"
    return Sentence(
        f"None of the {found.runs} runs solved its task ({ends}): how far a model trains, and whether it "
        "keeps what it learnt, cannot be said.",
        SUMMARY,
    )


def of_task(found: Evidence, task: str) -> Sentence:
    """How far the models of one task train, the one that solves most first."""
    rows = found.summary[found.summary["task"] == task]
    models = rows["model"].tolist()
    words = Words(found, task, rows)
    if len(models) <= NAMED:
        said = "; ".join(map(words.of_model, models))
    else:
        few = NAMED // 2
        most, least = ("; ".join(map(words.of_model, some)) for some in (models[:few], models[-few:]))
        said = f"of {len(models)} models these {few} solve most: {most}. These solve least: {least}"
    where = [f"on the task {text(task)}"] if len(found.tasks) > 1 else []
    where += [under(found.reference)] if len(found.arms) > 1 else []
    where += [f"within {found.budgets[0]:,} steps"] if len(found.budgets) == 1 else []
    said = ", ".join([*where, said])
    section = CRITICAL_LENGTH.title if words.by_fit else SUMMARY
    return Sentence(f"{said[0].upper()}{said[1:]}.", section)


class Words:
    """The clauses of one sentence; what the sentence has said already, later clauses leave out."""

    def __init__(self, found: Evidence, task: str, rows: pd.DataFrame) -> None:
        self._found, self._rows = found, rows
        self._lengths = found.lengths[found.lengths["task"] == task]
        self._layers = found.layers(task)
        self._said_half = self._said_interval = False
        self.by_fit = False

    def of_model(self, model: str) -> str:
        """How far one model trains: the LSTM trains up to T = 29 in half of its runs."""
        name = the(model, self._found.models)
        own = self._rows[self._rows["model"] == model].iloc[0]
        if not own["solved"]:
            return f"{name} solved its task in none of its {own['n']} runs"
        rows = self._lengths[self._lengths["model"] == model].to_dict("records")
        if not rows:
            lengths = at(own["shortest"], self._layers)
            return f"{name} solved its task in {own['solved']} of its {own['n']} runs at {lengths}"
        self.by_fit = True
        if len(rows) > LISTED:
            return f"{name} trains {self.between_extremes(rows)}"
        return f"{name} trains {listed([self.of_rows(alike, rows) for alike in groups(rows)])}"

    def of_rows(self, alike: Sequence[dict[Any, Any]], rows: Sequence[dict[Any, Any]]) -> str:
        """How far some settings of a model train that train equally far, of all its `rows`."""
        row = alike[0]
        settings = [self.setting(each, rows) for each in alike]
        where = f" with {listed(settings)}" if settings[0] else ""
        half = self._said_half
        self._said_half = kind(row) == "fit"
        if kind(row) != "fit":
            ends = ("shortest", "longest", "solved_all", "solved_none")
            said = OTHER[kind(row)].format(where=where, **{end: at(row[end], self._layers) for end in ends})
            return f"{said} ({self.limits(row)})" if kind(row) == "beyond" else said
        length = at(round(row["solved_T50"]), self._layers)
        return f"up to {length}{'' if half else f' in {ENOUGH}'}{where} ({self.limits(row)})"

    def limits(self, row: dict[Any, Any]) -> str:
        """The interval of a critical length in words."""
        low, high = row["solved_T50_low"], row["solved_T50_high"]
        said = "" if self._said_interval else "95 % interval "
        self._said_interval = True
        if low < 1 and math.isinf(high):
            return f"{said}open at both ends"
        if math.isinf(high):
            return f"{said}{round(low)} or more"
        return f"{said}{round(high)} or less" if low < 1 else f"{said}{round(low)} to {round(high)}"

    def setting(self, row: dict[Any, Any], rows: Sequence[dict[Any, Any]]) -> str:
        """What tells a row of a model from its others: Adam, layers 2."""
        keys = [key for key in self._found.keys if key in row and differs(rows, key)]
        return ", ".join(self.level(key, row[key]) for key in keys if row[key] == row[key])

    def level(self, key: str, value: Any) -> str:
        """A value of an axis, with its axis where it does not say what it is."""
        said = spoken(value, [value])
        return said if key == "optimizer" else f"{key} {said}"

    def between_extremes(self, rows: Sequence[dict[Any, Any]]) -> str:
        """How far the setting of a model trains that trains furthest."""
        known = sorted((row for row in rows if kind(row) != "open"), key=rank)
        axes = [key for key in self._found.keys if differs(rows, key)]
        self._said_half = False
        settings = f"{len(rows)} settings ({', '.join(axes)})"
        if not known:
            return f"up to lengths that these runs do not tell, in {settings}"
        furthest = known[-1]
        said = f"{brief(furthest, self._layers)} in {ENOUGH} with {self.setting(furthest, rows)}"
        limits = f" ({self.limits(furthest)})" if kind(furthest) in ("fit", "beyond") else ""
        return f"{said}{limits}, the best of {settings}, chosen on these runs"


def groups(rows: Sequence[dict[Any, Any]]) -> list[list[dict[Any, Any]]]:
    """Rows of which the same is said, together; each fit is alone."""
    found: dict[Any, list[dict[Any, Any]]] = {}
    for number, row in enumerate(rows):
        ends = ("solved_all", "solved_none", "shortest", "longest", "solved_T50_low", "solved_T50_high")
        same = (kind(row), *(row[end] for end in ends))
        found.setdefault(number if kind(row) == "fit" else same, []).append(row)
    return list(found.values())


def differs(rows: Sequence[dict[Any, Any]], key: str) -> bool:
    """Whether rows have several values of a key."""
    return len({text(row[key]) for row in rows}) > 1


def kind(row: dict[Any, Any]) -> str:
    """What the data say of the length that half of the runs solve: see `OTHER`, or `fit`."""
    length = row["solved_T50"]
    if row["solved_all"] == row["longest"]:
        return "all"
    if row["solved_none"] == row["shortest"]:
        return "none"
    if row["solved_separated"]:
        return "separated"
    if (row["solved_T50_low"], row["solved_T50_high"]) == (0, math.inf):
        return "open"
    return "fit" if 0 < length < math.inf else "beyond" if length else "below"


OTHER = {
    "all": "up to {longest}, the longest tried, in all of its runs{where}",
    "none": "not even up to {shortest} in any of its runs{where}",
    "separated": "up to {solved_all} in all of its runs{where} and from {solved_none} on in none",
    "open": "up to a length{where} that these runs do not tell",
    "beyond": f"beyond {{longest}}, the longest tried, in {ENOUGH}{{where}}",
    "below": f"only below {{shortest}}, the shortest tried, in {ENOUGH}{{where}}",
}
"""Clauses where the data give no critical length among the lengths tried."""


def rank(row: dict[Any, Any]) -> tuple[float, float]:
    """How far a setting trains, as a number to sort by."""
    outside = {"none": 0.0, "below": 0.5, "beyond": 1e9, "all": 1e12}
    length = row["solved_all"] if kind(row) == "separated" else row["solved_T50"]
    return outside.get(kind(row), length), row["solved_all"]


def brief(row: dict[Any, Any], layers: bool) -> str:
    """How far a setting trains in half of its runs, in few words."""
    short, long = at(row["shortest"], layers), at(row["longest"], layers)
    said = {
        "all": f"beyond {long}",
        "beyond": f"beyond {long}",
        "none": f"not even up to {short}",
        "below": f"not even up to {short}",
    }
    if kind(row) == "separated":
        return f"up to between {at(row['solved_all'], layers)} and {at(row['solved_none'], layers)}"
    return said.get(kind(row)) or f"up to {at(round(row['solved_T50']), layers)}"

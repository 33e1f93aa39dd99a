"""The table of a paper: as LaTeX, and with every digit as CSV."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.again import commands
from analysis.conditions import conditions_table, recorded_conditions
from analysis.headline import Headline
from analysis.load import Results
from analysis.paper.caption import length_words
from analysis.paper.latex import latex
from analysis.sections import critical_length
from analysis.table import Table, panel_keys, varies
from analysis.trials import reported_trials
from analysis.words import printable, text

ROWS_ON_A_PAGE = 40
"""Rows from which the LaTeX table may break between pages."""

LENGTHS = 8
"""Lengths that have a column, at most; of more, critical lengths stand alone."""

RUN_COLUMNS = (
    "condition_id", "trial_id", "seed", "learning_rate", "outcome", "steps", "solved_step", "drops",
    "watched_steps", "final_score",
)  # fmt: skip
"""What runs.csv says of a run."""


def conditions_csv(results: Results) -> bytes:
    """A row per condition: all that is counted and measured of it, and the command that trains it again."""
    frame = conditions_table(results).frame
    return csv(frame.assign(command=frame["condition_id"].map(commands(results))))


def runs_csv(results: Results) -> bytes:
    """A row per report run that counts, by condition and seed; trial_id finds its history in the folder."""
    trials = reported_trials(results)
    known = [name for name in RUN_COLUMNS if name in trials]
    return csv(trials[known].sort_values(["condition_id", "seed"]))


def figure_csv(shown: Headline) -> bytes:
    """A row per point of the figure: its condition, k of n, share and limits."""
    shares = [f"p_{m}{end}" for m in ("solved", "stable") for end in ("", "_low", "_high")]
    names = ["panel", "line", "arm", "length", "learning_rate", "condition_id", "n", "solved", "stable"]
    return csv(shown.points[[*names, *shares]])


def csv(frame: pd.DataFrame) -> bytes:
    """A table as CSV: numbers to their last digit, inf as inf, nothing where there is no value."""
    plain = frame.map(lambda own: printable(own) if isinstance(own, str) else own)
    return plain.to_csv(index=False, lineterminator="\n").encode()


def table_tex(results: Results) -> str:
    """A row per condition but for its length: runs solved (and stable) at each length, and T50 of both."""
    recorded = recorded_conditions(results)
    keys = [*(key for key in panel_keys(recorded) if key == "model" or varies(recorded.frame, key)), "arm"]
    keys = [key for key in keys if key == "model" or varies(recorded.frame, key)]
    lengths = sorted(recorded.frame["length"].unique())
    shown = lengths if len(lengths) <= LENGTHS else []
    reach = worded_reach(results, keys)
    groups = list(recorded.frame.groupby(keys, dropna=False, sort=False))
    rows = [line(names, group, shown, reach) for names, group in groups]
    head = heads(keys, shown, f"{of_runs(recorded)} at {length_words(results)}", bool(reach))
    return tabular(head, columns(keys, shown, bool(reach)), rows)


def line(names: Any, group: pd.DataFrame, lengths: list[int], reach: Mapping[Any, list[str]]) -> str:
    """A row of the table."""
    by_length = {row["length"]: row for row in group.to_dict("records")}
    cells = [latex(text(name)) for name in names]
    cells += [counted(by_length.get(length)) for length in lengths]
    cells += reach.get(known(names), ["--"] * 2 if reach else [])
    return " & ".join(cells) + r" \\"


def counted(row: Mapping[Any, Any] | None) -> str:
    """How many of a condition's runs solved, and how many of them were stable: 8 (7)."""
    return "--" if row is None else f"{row['solved']} ({row['stable']})"


def known(names: Any) -> tuple[Any, ...]:
    """Values of keys that compare as equal: NaN, which does not equal itself, as None."""
    return tuple(None if name != name else name for name in names)


def worded_reach(results: Results, keys: list[str]) -> dict[tuple[Any, ...], list[str]]:
    """By the keys of a row: T50 of solving and of stability with limits, for LaTeX; nothing without fits."""
    found = critical_length.table(results).frame
    return {
        known(row[key] for key in keys): [reached(row, measure) for measure in ("solved", "stable")]
        for row in found.to_dict("records")
    }


def reached(row: Mapping[Any, Any], measure: str) -> str:
    """T50 for LaTeX: with its limits, or a bound."""
    words = critical_length.worded(dict(row), measure, "T50")
    for word, set_as in (("beyond ", "$>$"), ("below ", "$<$"), (" to ", "--"), ("inf", r"$\infty$")):
        words = words.replace(word, set_as)
    return "--" if words == "-" else words


def heads(keys: list[str], lengths: list[int], of: str, reach: bool) -> list[str]:
    """The lines above the rows; `of` says of what the counts are."""
    names = [latex("clipping" if key == "arm" else key.replace("_", " ")) for key in keys]
    counts = [str(length) for length in lengths]
    fits = [r"$T_{50}$ solved", r"$T_{50}$ stable"] if reach else []
    over = []
    if lengths:
        first, last = len(keys) + 1, len(keys) + len(lengths)
        title = rf"\multicolumn{{{len(lengths)}}}{{c}}{{solved (stable) {of}}}"
        over = [" & ".join(["" for _ in keys] + [title] + ["" for _ in fits]) + r" \\"]
        over.append(rf"\cmidrule(lr){{{first}-{last}}}")
    return [*over, " & ".join([*names, *counts, *fits]) + r" \\"]


def of_runs(recorded: Table) -> str:
    """Of how many runs each count is."""
    low, high = recorded.frame["n"].min(), recorded.frame["n"].max()
    return f"of {low}" if low == high else f"of {low} to {high}"


def columns(keys: list[str], lengths: list[int], reach: bool) -> str:
    """How the columns are set."""
    return "l" * len(keys) + "r" * len(lengths) + "l" * (2 if reach else 0)


def tabular(heads: list[str], columns: str, rows: list[str]) -> str:
    """A table of booktabs; one of many rows breaks between pages, and has its caption inside."""
    if len(rows) <= ROWS_ON_A_PAGE:
        above, below, name = [], [r"\bottomrule"], "tabular"
        head = [r"\toprule", *heads, r"\midrule"]
    else:
        name, below = "longtable", []
        above = [r"\caption[Runs that solved the task]{\input{table-caption}}\label{tab:stability}\\"]
        repeated = [r"\toprule", *heads, r"\midrule"]
        head = [*repeated, r"\endfirsthead", *repeated, r"\endhead", r"\bottomrule", r"\endfoot"]
    return "\n".join([rf"\begin{{{name}}}{{{columns}}}", *above, *head, *rows, *below, rf"\end{{{name}}}"])

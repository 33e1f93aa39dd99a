"""What do these results say: which model trains to which length, and what does each choice change?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.arms import reference_arm
from analysis.conditions import conditions_table, recorded_conditions
from analysis.contrasts import MEASURES, SHARES, contrasts
from analysis.escaping import figure_text
from analysis.figures import TITLE_WIDTH, color, legend, marker, nothing
from analysis.load import Results
from analysis.sections import critical_length
from analysis.sections.base import Section
from analysis.standings import standings
from analysis.table import Table, panel_keys, panel_title
from analysis.words import between, difference, interval, signed_interval, text, two_digits
from harness.condition import Outcome

SHOWN_AT = 0.05
"""Adjusted p below which a difference counts as shown."""

WORDS = {"solved": "P(solved)", "stable": "P(stable)", "kept": "P(stable | solved)"}
"""What sentences, tables and figures call the shares."""

NAMED = 6
"""Contrasts of one factor that sentences name, at most."""

SPEAKING = ("model", "optimizer", "clipping")
"""Factors whose levels say what they are levels of."""

DRAWN_ROWS = 60
"""Rows of the figure, at most."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Verdict(Table):
    """A row per contrast, and what else `findings` words.

    `standings` compare the models, see `analysis.standings`. `lengths` are the critical lengths at the
    `reference` arm, by `panel_keys`. `diverged` counts report trials by model and optimizer, and
    `diverged_in_tuning` says how many of how many tuning trials diverged. `rates_fixed` says that nothing was
    tuned.
    """

    standings: pd.DataFrame
    lengths: pd.DataFrame
    reference: str
    panel_keys: list[str]
    diverged: pd.DataFrame
    diverged_in_tuning: tuple[int, int]
    rates_fixed: bool


def table(results: Results) -> Verdict:
    """One row per contrast: see `analysis.contrasts`."""
    recorded = recorded_conditions(results)
    reference = reference_arm(recorded)
    lengths = critical_length.table(results).frame
    tuning = results.tuning_trials
    counts = recorded.frame.groupby(["model", "optimizer"], as_index=False)[["diverged", "n"]].sum()
    return Verdict(
        frame=contrasts(results),
        standings=standings(results),
        lengths=lengths[lengths["arm"] == reference],
        reference=reference,
        panel_keys=panel_keys(conditions_table(results)),
        diverged=counts,
        diverged_in_tuning=(int((tuning["outcome"] == Outcome.DIVERGED).sum()), len(tuning)),
        rates_fixed=bool(results.conditions["learning_rate"].notna().any()),
    )


def findings(found: Verdict) -> list[str]:
    """The verdict in sentences."""
    return [*ranking(found), *reach(found), *divergences(found), *caveat(found), *changes(found.frame)]


def ranking(found: Verdict) -> list[str]:
    """How the models compare where all of them were trained."""
    rows = found.standings.to_dict("records")
    if not rows:
        return []
    shares = [
        f"{text(row['model'])} solved {row['p_solved']:.0%} and stayed stable in {row['p_stable']:.0%} of "
        "its runs"
        for row in rows
    ]
    return [f"On average over {rows[0]['conditions']} conditions of each model: {'; '.join(shares)}."]


def reach(found: Verdict) -> list[str]:
    """Up to which length each model trains, by optimizer, task and option, at the reference arm."""
    keys = found.panel_keys[1:]
    said = []
    for model, rows in found.lengths.groupby("model", sort=False):
        parts = []
        for row in rows.to_dict("records"):
            where = panel_title(keys, [row[key] for key in keys])
            parts.append(f"{critical_length.worded(row, 'solved', 'T50')} ({where})")
        said.append(
            f"Length that half of the runs of {text(model)} solve, {found.reference}: {', '.join(parts)}."
        )
    return said


def divergences(found: Verdict) -> list[str]:
    """How many runs diverged, and with what."""
    counts = found.diverged
    diverged, runs = int(counts["diverged"].sum()), int(counts["n"].sum())
    if not runs:
        return []
    tuning, of_tuning = found.diverged_in_tuning
    also = f" Of the {of_tuning} runs that tuned learning rates {tuning} did." if of_tuning else ""
    if not diverged:
        return [f"None of the {runs} report runs diverged.{also}"]
    parts = [
        f"{text(row['model'])} with {text(row['optimizer'])} {row['diverged']} of {row['n']}"
        for row in counts[counts["diverged"] > 0].to_dict("records")
    ]
    return [f"{diverged} of {runs} report runs diverged: {', '.join(parts)}.{also}"]


def caveat(found: Verdict) -> list[str]:
    """What fixed learning rates mean for the comparisons."""
    if not found.rates_fixed or found.frame.empty:
        return []
    return ["Learning rates were fixed: levels are compared at equal rates, which may suit one better."]


def changes(contrasted: pd.DataFrame) -> list[str]:
    """Of each factor: the differences that are shown, the largest first, then the others."""
    said = []
    for factor, rows in contrasted.groupby("factor", sort=False):
        name = str(factor).capitalize().replace("_", " ")
        shown = (rows[[f"{m}_p_holm" for m in MEASURES]] < SHOWN_AT).any(axis=1)
        size = rows[[f"{m}_difference" for m in SHARES]].abs().max(axis=1)
        ordered = rows.loc[size.sort_values(ascending=False, kind="stable").index]
        differing, rest = ordered[shown[ordered.index]], ordered[~shown[ordered.index]]
        said += [f"{name}: {sentence(row, is_shown)}." for row in differing.head(NAMED).to_dict("records")]
        if len(differing) > NAMED:
            said.append(f"{name}: {len(differing) - NAMED} smaller differences are shown too, see the table.")
        said += not_shown(name, rest, tests=int(rows[[f"{m}_p" for m in MEASURES]].notna().sum().sum()))
    return said


def not_shown(name: str, rows: pd.DataFrame, tests: int) -> list[str]:
    """What is said of contrasts without a difference that is shown: of some, that none could be."""
    if rows.empty:
        return []
    decidable = tests * 2.0 ** (1 - rows["clusters"]) < SHOWN_AT
    found = []
    for group, verdict, worded in (
        (rows[decidable], "no difference shown", lambda row: sentence(row, is_counted)),
        (rows[~decidable], "not decidable with so few seeds", compared),
    ):
        if len(group):
            named = ". ".join(map(worded, group.head(NAMED).to_dict("records")))
            more = f" And {len(group) - NAMED} more, see the table." if len(group) > NAMED else ""
            found.append(f"{name}, {verdict}: {named}.{more}")
    return found


def compared(row: dict[Any, Any]) -> str:
    """The two levels of a contrast."""
    return f"{text(row['level'])} against {text(row['other'])}"


def is_shown(row: dict[Any, Any], measure: str) -> bool:
    """Whether a difference of this measure is shown."""
    return bool(row[f"{measure}_p_holm"] < SHOWN_AT)


def is_counted(row: dict[Any, Any], measure: str) -> bool:
    """Whether there is anything to say of this measure."""
    return bool(row[f"{measure}_p"] == row[f"{measure}_p"])


def sentence(row: dict[Any, Any], said: Callable[[dict[Any, Any], str], bool]) -> str:
    """One contrast in words: the measures that `said` lets through, with intervals, and p where shown."""
    parts = [worded(row, m) for m in MEASURES if said(row, m)]
    return f"{compared(row)}: {'; '.join(parts)}"


def worded(row: dict[Any, Any], measure: str) -> str:
    """The difference of one measure with its interval, and adjusted p if it is shown."""
    p = f", p = {two_digits(row[f'{measure}_p_holm'])}" if is_shown(row, measure) else ""
    if measure == "drops":
        ratio, low, high = (rounded(row[f"drops_{end}"]) for end in ("ratio", "low", "high"))
        return f"drops {between(ratio, low, high, 'g')} times as often{p}"
    return f"{WORDS[measure]} {difference(row, measure)}{p}"


def rounded(value: float) -> float:
    """To two significant digits."""
    return float(f"{value:.2g}")


def readable(found: Verdict) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown: dict[str, Any] = {"factor": frame["factor"]}
    shown["difference"] = [
        f"{text(a)} - {text(b)}" for a, b in zip(frame["level"], frame["other"], strict=True)
    ]
    shown["conditions"], shown["pairs of runs"] = frame["conditions"].map(text), frame["pairs"].map(text)
    for m in SHARES:
        shown[WORDS[m]] = signed_interval(frame, m, digits="+.3f")
    ratio = frame[["drops_ratio", "drops_low", "drops_high"]].map(rounded)
    shown["drops, ratio of rates"] = interval(ratio.rename(columns=RATIO), "drops", "g")
    for m in MEASURES:
        shown[f"adjusted p ({m})"] = frame[f"{m}_p_holm"].map(two_digits)
    return pd.DataFrame(shown)


RATIO = {"drops_ratio": "drops"}
"""So that a column and its limits are named as everywhere."""


def render(found: Verdict) -> Figure:
    """Differences of shares with their intervals, a row per contrast."""
    frame = found.frame
    if frame.empty:
        return nothing("Nothing to draw: no axis but the length has two levels with matching runs.")
    if len(frame) > DRAWN_ROWS:
        return nothing(f"Not drawn: {len(frame)} rows, and at most {DRAWN_ROWS} are; the table has them.")
    figure = Figure(figsize=(8.4, 1.3 + 0.36 * len(frame)), layout="constrained")
    axis = figure.subplots()
    at = np.arange(len(frame))
    for number, (m, shift) in enumerate(zip(SHARES, (-0.2, 0, 0.2), strict=True)):
        difference, low, high = (frame[f"{m}_{end}"].to_numpy() for end in ("difference", "low", "high"))
        axis.errorbar(
            difference,
            at + shift,
            xerr=[np.maximum(0, difference - low), np.maximum(0, high - difference)],
            fmt=marker(number),
            color=color(2 * number),
            label=WORDS[m],
            markersize=4,
            linewidth=1.2,
        )
    rows = zip(frame["factor"], frame["level"], frame["other"], strict=True)
    names = [
        f"{text(a)} - {text(b)}" if factor in SPEAKING else f"{factor}: {text(a)} - {text(b)}"
        for factor, a, b in rows
    ]
    axis.set_yticks(at, [figure_text(name, TITLE_WIDTH) for name in names], fontsize=9)
    axis.set_ylim(len(frame) - 0.4, -0.6)
    axis.axvline(0, color="0.4", linewidth=0.8)
    axis.set_xlabel("difference of the share of runs, 95 % interval")
    axis.grid(axis="x", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    legend(figure)
    return figure


SECTION = Section(
    title="Verdict",
    question="Which model trains to which length, and what do clipping, optimizer and the other axes change?",
    table=table,
    render=render,
    readable=readable,
    findings=findings,
    note=(
        "Each row compares two levels of one axis over all runs that are equal in everything else and share "
        "the seed. Each seed brings its own tuning, so that the luck of a tuned rate is in every interval. "
        "P(stable | solved): the share that never dropped, where both runs solved the task. Drops: per "
        "watched step, where both runs were watched. Intervals (95 %, not adjusted for their number) and p "
        "take runs of one length and seed as one observation. p: exact sign-flip test, adjusted for all "
        f"measures and all pairs of levels of its axis (Holm); below {SHOWN_AT:g} a difference is called "
        "shown. Not decidable: no outcome of so few seeds could have been. Differences are averages over the "
        "conditions tried: the figures below show where they arise."
    ),
    if_empty="Nothing to compare: no axis but the length has two levels with matching runs.",
)

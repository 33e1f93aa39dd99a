"""What does a choice change where both sides train at the same learning rate?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.contrasts import MEASURES, SHARES, contrasts, contrasts_at_equal_rates
from analysis.escaping import figure_text
from analysis.figures import TITLE_WIDTH, legend, nothing, with_intervals
from analysis.load import Results
from analysis.names import listed
from analysis.rates import rates_tuned
from analysis.sections.base import Section
from analysis.sections.effects import WORDS as SHARES_IN_WORDS
from analysis.sections.effects import differences
from analysis.shown import decidable, is_shown, lead
from analysis.table import Table
from analysis.words import between, difference, signed_interval, text, two_digits

WORDS = SHARES_IN_WORDS | {"drops": "ratio of drop rates"}

NOTHING = "no difference shown"

FEW = "not decidable with so few seeds"

NAMED = 4
"""Contrasts that sentences name, at most."""

DRAWN_ROWS = 40

IF_EMPTY = "No two arms have tried a learning rate with the same seed yet."


@dataclass(frozen=True, eq=False, kw_only=True)
class EqualRates(Table):
    """A row per contrast at equal rates; `own` has the same contrasts at each arm's own rates."""

    own: pd.DataFrame


def table(results: Results) -> EqualRates:
    """One row per contrast: see `analysis.contrasts.contrasts_at_equal_rates`."""
    return EqualRates(frame=contrasts_at_equal_rates(results), own=contrasts(results))


def together(found: EqualRates) -> list[tuple[dict[Any, Any], dict[Any, Any]]]:
    """Each contrast at equal rates and at own rates, where it has both."""
    names = ["factor", "level", "other"]
    own = {tuple(row[name] for name in names): row for row in judged(found.own)}
    rows = judged(found.frame)
    return [(row, own[key]) for row in rows if (key := tuple(row[name] for name in names)) in own]


def judged(contrasted: pd.DataFrame) -> list[dict[Any, Any]]:
    """The contrasts as records, each with `decidable`."""
    parts = [decidable(rows) for _, rows in contrasted.groupby("factor", sort=False)]
    return contrasted.assign(decidable=pd.concat(parts) if parts else False).to_dict("records")


def findings(found: EqualRates) -> list[str]:
    """Of each contrast: what is shown at equal rates and at own rates; the largest first.

    Clipping comes before that where most contrasts are of it, because then the study asks about clipping.
    """
    pairs = together(found)
    first = [equal["factor"] == "clipping" for equal, _ in pairs].count(True) > len(pairs) / 2
    ordered = sorted(
        pairs,
        key=lambda pair: (first and pair[0]["factor"] != "clipping", -max(map(magnitude, pair))),
    )
    said = [sentence for equal, own in ordered if (sentence := compared(equal, own))]
    more = len(said) - NAMED
    rest = [f"{more} more contrasts show a difference, see the table."] if more > 0 else []
    return [*said[:NAMED], *rest, *changed_sign(pairs)]


def changed_sign(pairs: list[tuple[dict[Any, Any], dict[Any, Any]]]) -> list[str]:
    """The contrasts in which something is shown that is the other way round at own than at equal rates."""
    said = []
    for equal, own in pairs:
        turned = [
            WORDS[m]
            for m in MEASURES
            if (is_shown(equal, m) or is_shown(own, m)) and lead(equal, m) * lead(own, m) < 0
        ]
        if turned:
            said.append(f"{text(own['level'])} against {text(own['other'])} in {listed(turned)}")
    return [f"The other way round at own rates than at equal ones: {'; '.join(said)}."] if said else []


def compared(equal: dict[Any, Any], own: dict[Any, Any]) -> str:
    """One contrast at equal rates and at own rates; nothing where neither shows a difference."""
    at_equal, at_own = (
        "; ".join(f"{WORDS[m]} {worded(row, m)}" for m in MEASURES if is_shown(row, m))
        for row in (equal, own)
    )
    if not at_equal and not at_own:
        return ""
    names = f"{text(own['level'])} against {text(own['other'])}"
    alone = "" if at_equal else ", so that it may be the rates'"
    unshown, own_unshown = (NOTHING if row["decidable"] else FEW for row in (equal, own))
    return f"{names}. At equal rates: {at_equal or unshown}{alone}. At own rates: {at_own or own_unshown}."


def magnitude(row: dict[Any, Any]) -> float:
    """The largest difference of shares that is shown; 0 if none is."""
    return max((abs(float(row[f"{m}_difference"])) for m in SHARES if is_shown(row, m)), default=0.0)


def worded(row: dict[Any, Any], measure: str) -> str:
    """A difference with its interval; of drop rates the ratio."""
    if measure != "drops":
        return difference(row, measure)
    ratio, low, high = (float(f"{row[f'drops_{end}']:.2g}") for end in ("ratio", "low", "high"))
    return between(ratio, low, high, "g")


def readable(found: EqualRates) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown: dict[str, Any] = {"factor": frame["factor"]}
    shown["difference"] = differences(frame)
    for name in ("rates", "pairs", "both_solved", "both_watched"):
        shown[name.replace("_", " ")] = frame[name].map(text)
    for m in SHARES:
        shown[WORDS[m]] = signed_interval(frame, m, digits="+.3f")
    shown["drops, ratio of rates"] = [worded(row, "drops") for row in frame.to_dict("records")]
    for m in MEASURES:
        shown[f"adjusted p ({m})"] = frame[f"{m}_p_holm"].map(two_digits)
    return pd.DataFrame(shown)


def render(found: EqualRates) -> Figure:
    """Differences of P(solved) and P(stable | solved) at own rates and at equal ones, a row per contrast."""
    rows = together(found)
    if not rows:
        return nothing(f"Nothing to draw. {IF_EMPTY}")
    if len(rows) > DRAWN_ROWS:
        return nothing(f"Not drawn: {len(rows)} rows, and at most {DRAWN_ROWS} are; the table has them.")
    figure = Figure(figsize=(9.2, 1.5 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots(1, len(SHARES), sharey=True)
    for axis, measure in zip(axes, SHARES, strict=True):
        for number, (side, shift, label) in enumerate(((1, -0.14, "own rates"), (0, 0.14, "equal rates"))):
            draw(axis, [pair[side] for pair in rows], measure, 3 * number, shift, label)
        axis.set_title(WORDS[measure], fontsize=10)
        axis.axvline(0, color="0.4", linewidth=0.8)
        axis.grid(axis="x", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    names = [f"{text(row['level'])} - {text(row['other'])}" for row, _ in rows]
    axes[0].set_yticks(range(len(rows)), [figure_text(name, TITLE_WIDTH) for name in names], fontsize=9)
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    axes[1].set_xlabel("difference of the share of runs, 95 % interval")
    legend(figure)
    return figure


def draw(axis: Axes, rows: list[dict[Any, Any]], measure: str, number: int, shift: float, label: str) -> None:
    """The differences of one measure, a row each."""
    value, low, high = (
        np.array([row[f"{measure}_{end}"] for row in rows], dtype=float)
        for end in ("difference", "low", "high")
    )
    axis.errorbar(
        value,
        np.arange(len(rows)) + shift,
        xerr=[np.maximum(0, value - low), np.maximum(0, high - value)],
        **with_intervals(number, label),
    )


SECTION = Section(
    title="At equal learning rates",
    question="What does each choice change where both sides train at the same learning rate?",
    table=table,
    render=render,
    readable=readable,
    findings=findings,
    note=(
        "The verdict compares arms at the rates that each of them chose, and this is the primary comparison. "
        "Its p are not adjusted for those here. Here runs are paired that share the "
        "tuning seed and the learning rate: all rates that the grids of both sides have, those too that suit "
        "neither. So a difference is smaller where both fail at most rates. P(stable | solved) and drops "
        "are of the pairs in which both solved, or were watched. Intervals and p take a tuning seed of one "
        "length, with all its rates, as one observation. Optimizers without a common rate have no row."
    ),
    if_empty=IF_EMPTY,
    applies=rates_tuned,
)

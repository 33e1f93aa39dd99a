"""What do clipping, the optimizer and the other axes change? A difference is named only where it is shown."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from analysis.arms import NO_CLIPPING
from analysis.names import arms_in_words, at, is_own, listed, sides, spoken, the
from analysis.sections.base import Sentence
from analysis.sections.by_length import SECTION as BY_LENGTH
from analysis.sections.effects import SECTION as EFFECTS
from analysis.sections.equal_rates import SECTION as EQUAL_RATES
from analysis.sections.verdict.evidence import Evidence
from analysis.sections.verdict.otherwise import solving_unshown, turned_round
from analysis.shown import ORDER, SHOWN_AT, decidable, is_shown, told_measures
from analysis.words import text

FACTORS = 3
"""Axes with shown differences that get a sentence, at most."""

GROUPS = 2
"""Groups of levels that a sentence holds against each other, at most."""

DID = {
    "solved": "solved their task",
    "stable": "solved their task and stayed solved",
    "kept": "that both sides solved stayed solved",
}
"""What more of 100 runs did."""

Levels = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One shown difference: what a `level` changes against the `other`.

    `value` is a difference of shares, or the ratio of drop rates.
    """

    level: Any
    other: Any
    measure: str
    value: float

    @property
    def better(self) -> bool:
        """Whether the level does better than the other."""
        return self.value < 1 if self.measure == "drops" else self.value > 0

    def turned(self) -> "Change":
        """The same, told of the other level."""
        value = -self.value if self.measure != "drops" else 1 / self.value if self.value else math.inf
        return replace(self, level=self.other, other=self.level, value=value)


def changes(found: Evidence) -> list[Sentence]:
    """A sentence per axis with a shown difference, clipping first, and one on the axes without any."""
    if not found.solved or found.effects.empty:
        return []
    differing: list[tuple[str, list[Change]]] = []
    silent: list[str] = []
    few: list[str] = []
    for factor, rows in found.effects.groupby("factor", sort=False):
        if shown := shown_changes(rows, found.baseline):
            differing.append((str(factor), shown))
        else:
            (silent if decidable(rows).any() else few).append(str(factor))
    differing.sort(key=lambda each: each[0] != "clipping")
    said = [of_factor(found, factor, shown) for factor, shown in differing[:FACTORS]]
    if rest := [factor for factor, _ in differing[FACTORS:]]:
        said.append(Sentence(f"Differences are shown between {values_of(rest, 'and')} too.", EFFECTS.title))
    equal = at_equal_rates(found, [*silent, *few])
    return [*said, *nothing_shown(silent, tuned=bool(found.tuned)), *too_few(few), *equal]


def at_equal_rates(found: Evidence, factors: Sequence[str]) -> list[Sentence]:
    """What equal learning rates show of the axes of which tuned ones show nothing, clipping first."""
    said = []
    for factor in sorted(factors, key=lambda factor: factor != "clipping"):
        rows = found.at_equal_rates[found.at_equal_rates["factor"] == factor]
        if shown := shown_changes(rows, found.baseline):
            said += told(found, factor, shown)
    return [Sentence(f"At equal learning rates: {'; '.join(said)}.", EQUAL_RATES.title)] if said else []


def shown_changes(rows: pd.DataFrame, baseline: str) -> list[Change]:
    """The shown differences of a factor, without P(stable) where its parts say more.

    They are told of the level that does better, but where the other is what levels are held against: no
    clipping, a baseline, or what is built in beside a user's own.
    """
    records = rows.to_dict("records")
    found = []
    for measure in told_measures(rows):
        for row in (row for row in records if is_shown(row, measure)):
            value = row["drops_ratio"] if measure == "drops" else row[f"{measure}_difference"]
            told = Change(level=row["level"], other=row["other"], measure=measure, value=float(value))
            fixed = (
                row["factor"] == "clipping"
                or row["other"] == baseline
                or is_own(row["level"]) > is_own(row["other"])
            )
            found.append(told if told.better or fixed else told.turned())
    return found


def of_factor(found: Evidence, factor: str, shown: list[Change]) -> Sentence:
    """What is shown of one factor, and at which lengths."""
    where, otherwise = places(found, factor), turned_round(found, factor)
    solves = any(change.measure == "solved" for change in shown)
    unshown = [] if solves or factor != "clipping" else [solving_unshown(found)]
    words = "; ".join([*told(found, factor, shown), *unshown, *where, *otherwise])
    also = [*([BY_LENGTH.title] if where else []), *([EQUAL_RATES.title] if otherwise else [])]
    return Sentence(f"{words[0].upper()}{words[1:]}.", EFFECTS.title, *also)


def told(found: Evidence, factor: str, shown: list[Change]) -> list[str]:
    """What is shown of one factor, measure by measure."""
    parts: dict[tuple[Levels, Levels], list[str]] = {}
    said = []
    for measure in ORDER:
        own = [change for change in shown if change.measure == measure]
        groups = grouped(own)
        if len(groups) > GROUPS:
            said.append(crowd(found, factor, own))
        else:
            for levels, members in groups:
                parts.setdefault(levels, []).append(clause(members))
    compared = [
        f"{side(found, factor, levels)}, {listed(clauses)} than {side(found, factor, than)}"
        for (levels, than), clauses in parts.items()
    ]
    return [*compared, *said]


def grouped(shown: list[Change]) -> list[tuple[tuple[Levels, Levels], list[Change]]]:
    """Changes of one direction and one measure with the levels of each side, in as few groups as can be."""
    by_other: dict[Any, list[Change]] = {}
    by_level: dict[Any, list[Change]] = {}
    for each in shown:
        by_other.setdefault((each.other, each.better), []).append(each)
        by_level.setdefault((each.level, each.better), []).append(each)
    groups = min((by_other, by_level), key=len).values()
    return [
        ((distinct([c.level for c in group]), distinct([c.other for c in group])), group) for group in groups
    ]


def distinct(levels: Sequence[Any]) -> Levels:
    """Every level once, in order."""
    return tuple(dict.fromkeys(levels))


def clause(shown: list[Change]) -> str:
    """How much changes, of one measure: 12 more of 100 runs solved their task."""
    measure, better = shown[0].measure, shown[0].better
    if measure != "drops":
        count = between([100 * abs(change.value) for change in shown], lambda size: f"{size:.0f}")
        return f"{count} {'more' if better else 'fewer'} of 100 runs {DID[measure]}"
    sizes = [1 / c.value if c.value else math.inf for c in shown] if better else [c.value for c in shown]
    how = "rarer" if better else "more frequent"
    if math.isinf(min(sizes)):
        return f"drops were {how}, of which there were none on one side,"
    if math.isinf(max(sizes)):
        return f"drops were at least {times(min(sizes))} times {how}"
    return f"drops were {between(sizes, times)} times {how}"


def between(sizes: list[float], said: Callable[[float], str]) -> str:
    """A size, or the smallest and the largest: 8 to 12."""
    low, high = said(min(sizes)), said(max(sizes))
    return low if low == high else f"{low} to {high}"


def times(size: float) -> str:
    """How many times, in two digits."""
    return f"{size:.2g}" if size < 10 else f"{size:.0f}"


def side(found: Evidence, factor: str, levels: Levels) -> str:
    """Some levels of a factor with their preposition: with Adam and RMSprop, without clipping."""
    if factor == "clipping":
        return "without clipping" if levels == (NO_CLIPPING,) else f"with {arms_in_words(levels)}"
    return f"with {named(found, factor, levels)}"


def named(found: Evidence, factor: str, levels: Levels) -> str:
    """Some levels of an axis, with the axis where they do not say what they are."""
    if factor == "model":
        return listed([the(level, found.models) for level in levels])
    said = listed([spoken(level, map(str, levels)) for level in levels])
    return said if factor == "optimizer" else f"{factor} {said}"


def crowd(found: Evidence, factor: str, shown: list[Change]) -> str:
    """What is said of many pairs that differ: how many, and who is ahead and behind most often."""
    what = "how often runs drop" if shown[0].measure == "drops" else f"how many {DID[shown[0].measure]}"
    if all(isinstance(change.level, (int, float)) for change in shown):
        return along(found, factor, what)
    turned = [change if change.better else change.turned() for change in shown]
    ahead, behind = [c.level for c in turned], [c.other for c in turned]
    best, worst = (max(dict.fromkeys(names), key=names.count) for names in (ahead, behind))
    return (
        f"{len(shown)} pairs of {values_of([factor])} differ in {what}: {named(found, factor, (best,))} does "
        f"better than {others(ahead.count(best))}, {named(found, factor, (worst,))} worse than "
        f"{behind.count(worst)}"
    )


def along(found: Evidence, factor: str, what: str) -> str:
    """How many runs solved at the best value of a numeric axis and at its ends; what differs along it."""
    counts = found.conditions.groupby(factor)[["solved", "n"]].sum()
    best = (counts["solved"] / counts["n"]).idxmax()
    ends = dict.fromkeys((best, counts.index[0], counts.index[-1]))
    said = listed([f"{counts['solved'][at]} of {counts['n'][at]} at {text(at)}" for at in ends])
    return f"along {factor.replace('_', ' ')}, neighbouring values differ in {what}: {said} solved it"


def others(number: int) -> str:
    """So many others."""
    return f"{number} other" if number == 1 else f"{number} others"


def places(found: Evidence, factor: str) -> list[str]:
    """At which lengths the differences of a factor are shown, where not at all lengths."""
    rows = found.by_length[found.by_length["factor"] == factor]
    shown = rows[rows["p_holm"] < SHOWN_AT]
    if shown.empty or len(shown) == len(rows):
        return []
    contrasts = shown[["level", "other"]].drop_duplicates()
    between = ""
    if len(contrasts) < len(rows[["level", "other"]].drop_duplicates()):
        between = f" between {listed([sides(*pair) for pair in contrasts.to_numpy()])}"
    first = shown.groupby("task", sort=False)["length"].unique()
    said = [
        listed([at(length, found.layers(str(task))) for length in sorted(lengths)])
        + (f" of {text(task)}" if len(found.tasks) > 1 else "")
        for task, lengths in first.items()
    ]
    return [f"looked at length by length, a difference{between} is shown at {listed(said)}"]


def values_of(factors: Sequence[str], word: str = "or") -> str:
    """What the levels of some factors are, in the plural: models, optimizers or values of layers."""
    plural = {"model": "models", "optimizer": "optimizers", "clipping": "ways of clipping"}
    others = [factor for factor in factors if factor not in plural]
    own = [f"values of {listed(others, word)}"] if others else []
    return listed([*(plural[factor] for factor in factors if factor in plural), *own], word)


def nothing_shown(factors: Sequence[str], tuned: bool) -> list[Sentence]:
    """The axes without a shown difference."""
    where = "At tuned learning rates no" if tuned else "No"
    said = [f"{where} clipping threshold was shown to matter."] if "clipping" in factors else []
    if rest := [factor for factor in factors if factor != "clipping"]:
        said.append(f"{'No' if said else where} difference was shown between {values_of(rest)}.")
    return [Sentence(" ".join(said), EFFECTS.title)] if said else []


def too_few(factors: Sequence[str]) -> list[Sentence]:
    """The axes of which so few seeds could not have shown anything, as often as their runs ended alike."""
    if not factors:
        return []
    words = f"These seeds are too few to decide between {values_of(factors)}."
    return [Sentence(words, EFFECTS.title)]

"""What a factor changes: two of its levels compared over runs that share the seed and everything else.

Runs of one task, length and seed share data, and within a model initial weights: they are one cluster.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.arms import arms, reference_arm
from analysis.baseline import directed
from analysis.conditions import conditions_table, recorded_conditions
from analysis.grids import grid_trials
from analysis.load import Results
from analysis.paired import (
    differing,
    drops_ratio,
    flip_p,
    holm,
    in_parts,
    paired_difference,
    weighed_drops,
)
from analysis.trials import falls, reported_trials, solved, steps_of, strata
from harness.condition import Outcome

SHOWN_AT = 0.05
"""Adjusted p below which a difference counts as shown."""

SHARES = ("solved", "stable", "kept")
"""Measures that are shares of runs."""

MEASURES = (*SHARES, "drops")

COLUMNS = (
    "factor", "level", "other", "conditions", "clusters", "pairs", "both_solved", "both_watched",
    *(f"{share}_{end}" for share in SHARES for end in ("difference", "low", "high", "p")),
    *(f"drops_{end}" for end in ("ratio", "low", "high", "p")),
    *(f"{measure}_differ" for measure in MEASURES),
)  # fmt: skip

SOONER = ("sooner", "sooner_low", "sooner_high")

STRATUM = ("task", "length")
"""What no contrast compares: another task or length is another difficulty, with other data under a seed."""


@functools.lru_cache(maxsize=4)
def contrasts(results: Results) -> pd.DataFrame:
    """One row per factor and pair of its levels with runs that match: level against other.

    Factors are the model, the optimizer, the clipping and whatever else is an axis, but not the task and not
    the length. Of numbers, neighbouring levels are compared. Of clipping, every arm is compared with the
    reference (see `reference_arm`). Of names, all pairs are compared, or those that have the baseline (see
    `analysis.baseline`). Runs match if they share the task, the length, the seed and everything but the
    factor. Where only one of them has an option, any value matches.

    The columns are factor, level, other, and:

    - conditions: how many matched, of the side that has fewer. pairs: how many runs matched. clusters: the
      seeds of each task and length that they are of.
    - both_solved: in how many pairs both runs solved their task.
    - solved_difference, stable_difference: level - other, of shares, with 95 % limits _low and _high.
    - kept_difference: the same of the runs that ended stable, where both solved; NaN without such a pair.
    - both_watched: in how many pairs both runs were watched for drops.
    - drops_ratio: drops per watched step, level / other, where both were watched, with limits: see
      `analysis.paired.drops_ratio`. A divergence while watched counts as a drop. NaN where neither dropped.
    - sooner: the share of pairs in which level solved its task in fewer steps, a tie as half, with limits
      _low and _high. A run that did not solve it, or diverged, is later than every other.
    - solved_p, stable_p, kept_p, drops_p: exact. Units are the seeds of each task and length.
    - solved_differ, stable_differ, kept_differ, drops_differ: clusters in which one side leads. Only these
      decide p: it is 2 / 2^c at least.
    - each p with _holm: adjusted for all measures and all pairs of levels of the factor.

    `analysis.paired` has the tests and intervals.
    """
    factors = factors_of(results)
    found = pd.DataFrame(
        [
            row | difference(pairs) | sooner(pairs)
            for row, pairs in pairs_of_runs(matched_runs(results), factors)
        ],
        columns=[*COLUMNS, *SOONER],
    )
    return adjusted(found)


@functools.lru_cache(maxsize=4)
def contrasts_at_equal_rates(results: Results) -> pd.DataFrame:
    """The same over the trials that tuned: pairs share the learning rate too, one of the grid of both.

    Every arm tried the rates of its grid with the same tuning seeds. A difference is the mean over all rates
    that both grids have. Units are the tuning seeds of each task and length, with all their rates. There are
    no rows where rates were fixed: then `contrasts` compares at equal rates. The columns are those of
    `contrasts` but sooner, and rates: how many learning rates both sides tried.
    """
    grid = grid_trials(results)
    tuned = results.conditions.loc[results.conditions["learning_rate"].isna(), "condition_id"]
    runs = grid.frame[grid.frame["condition_id"].isin(tuned)]
    runs = runs.assign(clipping=runs["arm"], drops=falls(runs))
    factors = {name: pairs for name, pairs in factors_of(results).items() if name != "learning_rate"}
    found = pd.DataFrame(
        [
            row | {"rates": pairs["rate"].nunique()} | difference(pairs)
            for row, pairs in pairs_of_runs(runs, factors, also=["rate"])
        ],
        columns=[*COLUMNS, "rates"],
    )
    return adjusted(found)


def pairs_of_runs(
    runs: pd.DataFrame, factors: dict[str, list[tuple[Any, Any]]], also: Sequence[str] = ()
) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Of every factor and pair of levels with runs that match: what it compares, and the pairs of runs."""
    found = []
    for factor, pairs in factors.items():
        others = [name for name in factors if name != factor]
        for level, other in pairs:
            matched = match(runs, factor, level, other, others, also)
            if len(matched):
                found.append(({"factor": factor, "level": level, "other": other}, matched))
    return found


def adjusted(table: pd.DataFrame) -> pd.DataFrame:
    """The contrasts with every p adjusted for all measures and all rows of its factor."""
    long = table[["factor", *(f"{measure}_p" for measure in MEASURES)]].melt("factor", var_name="name")
    by_factor = long.groupby("factor")["value"].transform(lambda values: holm(values.tolist()))
    for measure in MEASURES:
        table[f"{measure}_p_holm"] = by_factor[long["name"] == f"{measure}_p"].to_numpy()
    return table


def factors_of(results: Results) -> dict[str, list[tuple[Any, Any]]]:
    """The factors that vary here, and of each the pairs of levels to compare."""
    recorded = recorded_conditions(results)
    found: dict[str, list[tuple[Any, Any]]] = {}
    for key in recorded.keys:
        if key in (*STRATUM, *recorded.clip_keys):
            continue
        levels = recorded.frame[key].dropna().unique().tolist()
        if all(isinstance(level, str) for level in levels):
            found[key] = list(itertools.combinations(levels, 2))
        else:
            ordered = sorted(levels)
            found[key] = list(zip(ordered[1:], ordered[:-1], strict=True))
    reference = reference_arm(recorded, results.baseline)
    found["clipping"] = [(arm, reference) for arm in arms(recorded) if arm != reference]
    return directed({factor: pairs for factor, pairs in found.items() if pairs}, results.baseline)


def numeric_axes(results: Results) -> dict[str, list[float]]:
    """The axes whose values are numbers, and their values: a difference is averaged over all of them.

    They are the learning rate where rates were fixed, options and sizes, but not the length nor thresholds.
    """
    recorded = recorded_conditions(results)
    found = {}
    for key in recorded.keys:
        levels = recorded.frame[key].dropna().unique().tolist()
        numbers = all(isinstance(level, (int, float)) and not isinstance(level, bool) for level in levels)
        if key not in (*STRATUM, *recorded.clip_keys) and len(levels) > 1 and numbers:
            found[key] = sorted(levels)
    return found


def matched_runs(results: Results) -> pd.DataFrame:
    """One row per report trial that counts.

    Columns: condition_id, task, the keys, clipping (the arm), seed, solved, stable, drops, watched_steps, and
    step: where it solved its task, inf if it did not.
    """
    conditions = conditions_table(results)
    trials = reported_trials(results)
    own = trials[["condition_id", "task", "seed", "watched_steps"]].assign(
        solved=solved(trials),
        stable=trials["outcome"] == Outcome.STABLE,
        drops=falls(trials),
        step=steps_of(trials).within(np.full(len(trials), np.inf)),
    )
    keys = [key for key in conditions.keys if key != "task"]
    known = conditions.frame[["condition_id", *keys]].assign(clipping=conditions.frame["arm"])
    found: pd.DataFrame = own.merge(known, on="condition_id")
    return found


def match(
    runs: pd.DataFrame, factor: str, level: Any, other: Any, others: list[str], also: Sequence[str] = ()
) -> pd.DataFrame:
    """Pairs of runs of two levels, equal in task, length, seed and every other factor that both have.

    `also` are further columns in which they are equal.
    """
    one, two = (runs[runs[factor] == value] for value in (level, other))
    shared = [name for name in others if one[name].notna().all() and two[name].notna().all()]
    pairs: pd.DataFrame = one.merge(two, on=[*STRATUM, "seed", *also, *shared], suffixes=("", "_other"))
    for name in others:
        if name not in shared:
            mine, theirs = pairs[name], pairs[f"{name}_other"]
            pairs = pairs[(mine == theirs) | mine.isna() | theirs.isna()]
    return pairs


def difference(pairs: pd.DataFrame) -> dict[str, Any]:
    """The differences of matched runs, under the names of the columns of `contrasts`."""
    sides = [pairs["condition_id"], pairs["condition_id_other"]]
    units = min(sides, key=lambda side: side.nunique())  # an option of one side only: of the other
    both = pairs[pairs["solved"] & pairs["solved_other"]]
    watched = pairs[(pairs["watched_steps"] > 0) & (pairs["watched_steps_other"] > 0)]
    found: dict[str, Any] = {
        "conditions": units.nunique(),
        "clusters": len(set(zip(strata(pairs), pairs["seed"], strict=True))),
        "pairs": len(pairs),
        "both_solved": len(both),
        "both_watched": len(watched),
    }
    for name, column, rows in (
        ("solved", "solved", pairs),
        ("stable", "stable", pairs),
        ("kept", "stable", both),
    ):
        seeds, stratum = rows["seed"].tolist(), strata(rows)
        change = rows[column].to_numpy(dtype=float) - rows[f"{column}_other"].to_numpy(dtype=float)
        values = (*paired_difference(change, seeds, stratum), flip_p(change, seeds, stratum))
        ends = ("difference", "low", "high", "p")
        found |= {f"{name}_{end}": value for end, value in zip(ends, values, strict=True)}
        found[f"{name}_differ"] = differing(change, seeds, stratum)
    return found | drops(watched)


def sooner(pairs: pd.DataFrame) -> dict[str, float]:
    """In which share of pairs the one solved its task in fewer steps than the other, a tie as half."""
    step, other = pairs["step"].to_numpy(dtype=float), pairs["step_other"].to_numpy(dtype=float)
    lead = (step < other).astype(float) - (step > other)
    found = paired_difference(lead, pairs["seed"].tolist(), strata(pairs))
    return {name: (1 + value) / 2 for name, value in zip(SOONER, found, strict=True)}


def drops(pairs: pd.DataFrame) -> dict[str, float]:
    """The ratio of the drop rates of runs that were both watched, and the clusters that differ."""
    columns = ("drops", "watched_steps", "drops_other", "watched_steps_other")
    d, watched, other, other_watched = (pairs[name].to_numpy(dtype=float) for name in columns)
    seeds, stratum = pairs["seed"].tolist(), strata(pairs)
    values = drops_ratio(d, watched, other, other_watched, seeds, stratum)
    found = {f"drops_{end}": value for end, value in zip(("ratio", "low", "high", "p"), values, strict=True)}
    change = in_parts(*weighed_drops(d, watched, other, other_watched))
    return found | {"drops_differ": differing(change, seeds, stratum)}

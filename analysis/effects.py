"""What a factor changes: two of its levels compared over runs that share the seed and everything else.

Runs of one length and seed share data, and within a model initial weights: they are one cluster.
"""

import itertools
from typing import Any

import pandas as pd

from analysis.conditions import arms, conditions_table, reported_trials, steps_of
from analysis.load import Results
from analysis.paired import cluster_sums, holm, paired_difference, sign_flip_p
from analysis.survival import restricted_mean
from harness.condition import SOLVED, Outcome

MEASURES = ("solved", "stable")

ENDS = ("difference", "low", "high", "p", "p_conditions")


def contrasts(results: Results) -> pd.DataFrame:
    """One row per factor and pair of its levels with runs that match: level against other.

    Factors are the model, the optimizer, the clipping and whatever else is an axis, but the length. Of
    numbers, neighbouring levels are compared, of clipping every arm with the reference (see `reference_arm`),
    of names all pairs. Runs match if they share the seed and everything but the factor; where only one of
    them has an option, any value of it matches.

    Columns: factor, level, other, conditions (matched, of the side that has fewer), pairs (of runs); and for
    solved and stable the difference of the shares (level - other) with its 95 % limits _low and _high; its
    exact p, whose units are the seeds of each length, the conditions with their tuned learning rates being
    as they are; p_conditions, whose units are the matched conditions, each with the rate that tuning happened
    to choose; and both adjusted, p_holm and p_conditions_holm, for both measures and all pairs of levels of
    the factor. See `analysis.paired`.
    """
    runs = matched_runs(results)
    factors = factors_of(results)
    rows: list[dict[str, Any]] = []
    for factor, pairs in factors.items():
        others = [name for name in factors if name != factor]
        for level, other in pairs:
            found = match(runs, factor, level, other, others)
            if len(found):
                rows.append({"factor": factor, "level": level, "other": other} | difference(found))
    columns = [
        "factor", "level", "other", "conditions", "pairs",
        *(f"{measure}_{end}" for measure in MEASURES for end in ENDS),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    for p in ("p", "p_conditions"):
        long = table[["factor", *(f"{measure}_{p}" for measure in MEASURES)]].melt("factor", var_name="name")
        adjusted = long.groupby("factor")["value"].transform(lambda values: holm(values.tolist()))
        for measure in MEASURES:
            table[f"{measure}_{p}_holm"] = adjusted[long["name"] == f"{measure}_{p}"].to_numpy()
    return table


def factors_of(results: Results) -> dict[str, list[tuple[Any, Any]]]:
    """The factors that vary here, and of each the pairs of levels to compare."""
    conditions = conditions_table(results)
    recorded = conditions[conditions["n"] > 0]
    keys = [key for key in conditions.attrs["keys"] if key not in ("length", *conditions.attrs["clip_keys"])]
    found: dict[str, list[tuple[Any, Any]]] = {}
    for key in keys:
        levels = recorded[key].dropna().unique().tolist()
        if all(isinstance(level, str) for level in levels):
            found[key] = list(itertools.combinations(levels, 2))
        else:
            ordered = sorted(levels)
            found[key] = list(zip(ordered[1:], ordered[:-1], strict=True))
    reference = reference_arm(recorded) if len(recorded) else ""
    found["clipping"] = [(arm, reference) for arm in arms(recorded) if arm != reference]
    return {factor: pairs for factor, pairs in found.items() if pairs}


def reference_arm(recorded: pd.DataFrame) -> str:
    """What ways of clipping are compared with: no clipping, or else the highest max_norm, or another rule."""
    known = arms(recorded)
    thresholds = [arm for arm in known if arm in set(recorded.loc[recorded["clip_rule"] == "norm", "arm"])]
    return "no clipping" if "no clipping" in known else [*reversed(thresholds), *known][0]


def matched_runs(results: Results) -> pd.DataFrame:
    """One row per report trial that counts: condition_id, keys, clipping (the arm), seed, solved, stable."""
    conditions = conditions_table(results).rename(columns={"arm": "clipping"})
    trials = reported_trials(results)
    own = trials[["condition_id", "seed"]].assign(
        solved=trials["outcome"].isin(list(SOLVED)), stable=trials["outcome"] == Outcome.STABLE
    )
    keys = list(dict.fromkeys(["condition_id", *conditions.attrs["keys"], "clipping"]))
    found: pd.DataFrame = own.merge(conditions[keys], on="condition_id")
    return found


def match(runs: pd.DataFrame, factor: str, level: Any, other: Any, others: list[str]) -> pd.DataFrame:
    """Pairs of runs of two levels, equal in length, seed and every other factor that both have."""
    one, two = (runs[runs[factor] == value] for value in (level, other))
    shared = [name for name in others if one[name].notna().all() and two[name].notna().all()]
    pairs: pd.DataFrame = one.merge(two, on=["length", "seed", *shared], suffixes=("", "_other"))
    for name in others:
        if name not in shared:
            mine, theirs = pairs[name], pairs[f"{name}_other"]
            pairs = pairs[(mine == theirs) | mine.isna() | theirs.isna()]
    return pairs


def difference(pairs: pd.DataFrame) -> dict[str, Any]:
    """The differences of matched runs: see `contrasts`."""
    seeds, lengths = pairs["seed"].tolist(), pairs["length"].tolist()
    sides = [pairs["condition_id"], pairs["condition_id_other"]]
    units = min(sides, key=lambda side: side.nunique()).tolist()  # an option of one side only: of the other
    found: dict[str, Any] = {"conditions": len(set(units)), "pairs": len(pairs)}
    for measure in MEASURES:
        change = pairs[measure].to_numpy(dtype=float) - pairs[f"{measure}_other"].to_numpy(dtype=float)
        by_seed, by_condition = (
            cluster_sums(change, seeds, lengths)[0],
            cluster_sums(change, units, lengths)[0],
        )
        interval = paired_difference(change, seeds, lengths)
        values = (*interval, sign_flip_p(by_seed), sign_flip_p(by_condition))
        found |= {f"{measure}_{end}": value for end, value in zip(ENDS, values, strict=True)}
    return found


def standings(results: Results) -> pd.DataFrame:
    """How the models compare over the conditions that all of them have runs of, the best first.

    Columns: model; conditions; runs; diverged (of its runs); p_solved and p_stable (means over these
    conditions); steps_to_solve (mean over conditions of the restricted mean as a share of the budget: 1 if
    nothing was solved); rank by p_stable, then p_solved, then steps_to_solve, equals sharing the better rank.
    Conditions of different models are the same if everything is that all models have. No rows where no
    condition is shared.
    """
    conditions = conditions_table(results)
    recorded = conditions[conditions["n"] > 0]
    trials = {str(name): group for name, group in reported_trials(results).groupby("condition_id")}
    models = list(recorded["model"].unique())
    options = [set(results.options.get(f"model {name}", {})) for name in models]
    own = set().union(*options) - set(options[0] if options else ()).intersection(*options)
    keys = [key for key in [*conditions.attrs["keys"], "arm"] if key not in ("model", *own)]
    points = recorded.groupby(keys, dropna=False)["model"].transform("nunique")
    shared = recorded[points == len(models)]
    rows = []
    for model in models:
        mine = shared[shared["model"] == model]
        speeds = [speed(trials[name]) for name in mine["condition_id"]]
        rows.append(
            {
                "model": model,
                "conditions": len(mine),
                "runs": int(mine["n"].sum()),
                "diverged": int(mine["diverged"].sum()),
                "p_solved": mine["p_solved"].mean(),
                "p_stable": mine["p_stable"].mean(),
                "steps_to_solve": pd.Series(speeds, dtype="float64").mean(),
            }
        )
    table = pd.DataFrame(rows)
    if shared.empty:
        return table.iloc[:0]
    order = list(zip(-table["p_stable"], -table["p_solved"], table["steps_to_solve"], strict=True))
    table["rank"] = [1 + sum(other < mine for other in order) for mine in order]
    return table.sort_values("rank", kind="stable", ignore_index=True)


def speed(trials: pd.DataFrame) -> float:
    """Restricted mean of the steps to solve, as a share of the budget."""
    budget = float(trials["max_steps"].max())
    return restricted_mean(steps_of(trials), budget) / budget

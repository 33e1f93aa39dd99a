"""How the models stand: which is better over the conditions that all of them were trained in."""

import itertools
from typing import Any

import pandas as pd

from analysis.conditions import recorded_conditions
from analysis.contrasts import SHOWN_AT, factors_of, match, matched_runs
from analysis.load import Results
from analysis.paired import flip_p, mean_over_clusters
from analysis.trials import reported_trials, steps_of, strata
from harness.condition import SOLVED, Outcome

MEANS = ("p_solved", "p_stable", "steps_to_solve")


def standings(results: Results) -> pd.DataFrame:
    """One row per model over the conditions that all models have runs of, the best first.

    The columns are model, conditions, runs, and:

    - diverged: how many of its runs.
    - p_solved, p_stable: means over the conditions; with several tasks, over the conditions of all of them.
    - steps_to_solve: mean over conditions of the restricted mean as a share of the budget, 1 if nothing was
      solved.
    - each of the three with 95 % limits _low and _high, units are the seeds of each task and length.
    - rank: 1 + how many models are shown to be stable more often. shared: whether another has this rank.

    Rows are in the order of p_stable, then p_solved, then steps_to_solve. Conditions of different models are
    the same if everything is that all models have. There are no rows where no condition is shared.
    """
    shared = shared_conditions(results)
    models = list(map(str, recorded_conditions(results).frame["model"].unique()))
    if shared.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    trials = reported_trials(results)
    own = trials[trials["condition_id"].isin(shared["condition_id"])]
    rows = [standing(model, own[own["model"] == model]) for model in models]
    better = shown_better(results, models, set(shared["condition_id"]))
    table = pd.DataFrame(rows).assign(rank=[1 + sum(other == m for _, other in better) for m in models])
    table["shared"] = table["rank"].duplicated(keep=False)
    table = table.sort_values(
        ["p_stable", "p_solved", "steps_to_solve"], ascending=[False, False, True], kind="stable"
    )
    return table[list(COLUMNS)].reset_index(drop=True)


COLUMNS = (
    "model", "conditions", "runs", "diverged",
    *(f"{name}{end}" for name in MEANS for end in ("", "_low", "_high")),
    "rank", "shared",
)  # fmt: skip


def shared_conditions(results: Results) -> pd.DataFrame:
    """The recorded conditions that every model has."""
    recorded = recorded_conditions(results)
    models = list(recorded.frame["model"].unique())
    keys = [key for key in [*recorded.keys, "arm"] if key not in ("model", *own_options(results, models))]
    points = recorded.frame.groupby(keys, dropna=False)["model"].transform("nunique")
    return recorded.frame[points == len(models)]


def own_options(results: Results, models: list[str]) -> set[str]:
    """The options that some of these models have and others have not."""
    options = [set(results.options.get(f"model {name}", {})) for name in models]
    return set().union(*options) - set(options[0] if options else ()).intersection(*options)


def standing(model: str, trials: pd.DataFrame) -> dict[str, Any]:
    """The row of one model, from the trials of its shared conditions; a condition counts once."""
    steps, budget = steps_of(trials), trials["max_steps"].to_numpy(dtype=float)
    outcome = trials["outcome"]
    values = {
        "p_solved": outcome.isin(list(SOLVED)).to_numpy(dtype=float),
        "p_stable": (outcome == Outcome.STABLE).to_numpy(dtype=float),
        "steps_to_solve": steps.within(budget) / budget,
    }
    each = trials.groupby("condition_id")["seed"].transform("size").to_numpy(dtype=float)
    row: dict[str, Any] = {
        "model": model,
        "conditions": trials["condition_id"].nunique(),
        "runs": len(trials),
        "diverged": int((outcome == Outcome.DIVERGED).sum()),
    }
    for name, value in values.items():
        found = mean_over_clusters(value, 1 / each, trials["seed"].tolist(), strata(trials))
        row |= dict(zip((name, f"{name}_low", f"{name}_high"), found, strict=True))
    return row


def shown_better(results: Results, models: list[str], conditions: set[str]) -> list[tuple[str, str]]:
    """The pairs of models of which the first is shown to be stable more often, over these conditions.

    p is the sign-flip test of `analysis.contrasts`, times the number of pairs (Bonferroni). With Holm's steps
    a run that diverges could raise the rank of its model, by making another pair less sure.
    """
    runs = matched_runs(results)
    runs = runs[runs["condition_id"].isin(conditions)]
    others = [name for name in factors_of(results) if name != "model"]
    pairs = list(itertools.combinations(models, 2))
    found = []
    for one, other in pairs:
        matched = match(runs, "model", one, other, others)
        change = matched["stable"].to_numpy(dtype=float) - matched["stable_other"].to_numpy(dtype=float)
        if flip_p(change, matched["seed"].tolist(), strata(matched)) * len(pairs) < SHOWN_AT:
            found.append((one, other) if change.sum() > 0 else (other, one))
    return found

"""How the models stand: which is best over the conditions that all of them were trained in."""

from typing import Any

import pandas as pd

from analysis.conditions import recorded_conditions
from analysis.load import Results
from analysis.survival import restricted_mean
from analysis.trials import by_condition, reported_trials, steps_of


def standings(results: Results) -> pd.DataFrame:
    """One row per model over the conditions that all models have runs of, the best first.

    The columns are model, conditions, runs, and:

    - diverged: how many of its runs.
    - p_solved, p_stable: means over the conditions; with several tasks, over the conditions of all of them.
    - steps_to_solve: mean over conditions of the restricted mean as a share of the budget, 1 if nothing was
      solved.
    - rank: by p_stable, then p_solved, then steps_to_solve; equals share the better rank.

    Conditions of different models are the same if everything is that all models have. There are no rows where
    no condition is shared.
    """
    shared = shared_conditions(results)
    trials = by_condition(reported_trials(results))
    models = recorded_conditions(results).frame["model"].unique()
    rows = [standing(str(model), shared[shared["model"] == model], trials) for model in models]
    table = pd.DataFrame(rows)
    if shared.empty:
        return table.iloc[:0]
    order = list(zip(-table["p_stable"], -table["p_solved"], table["steps_to_solve"], strict=True))
    table["rank"] = [1 + sum(other < mine for other in order) for mine in order]
    return table.sort_values("rank", kind="stable", ignore_index=True)


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


def standing(model: str, conditions: pd.DataFrame, trials: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """The row of one model, from its shared conditions."""
    speeds = [speed(trials[name]) for name in conditions["condition_id"]]
    return {
        "model": model,
        "conditions": len(conditions),
        "runs": int(conditions["n"].sum()),
        "diverged": int(conditions["diverged"].sum()),
        "p_solved": conditions["p_solved"].mean(),
        "p_stable": conditions["p_stable"].mean(),
        "steps_to_solve": pd.Series(speeds, dtype="float64").mean(),
    }


def speed(trials: pd.DataFrame) -> float:
    """Restricted mean of the steps to solve, as a share of the budget."""
    budget = float(trials["max_steps"].max())
    return restricted_mean(steps_of(trials), budget) / budget

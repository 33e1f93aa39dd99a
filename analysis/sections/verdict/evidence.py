"""What the first sentences rest on: tables that the page prints too."""

from dataclasses import dataclass

import pandas as pd

from analysis.arms import arms, reference_arm
from analysis.conditions import conditions_table, recorded_conditions
from analysis.load import Results
from analysis.names import counts_layers
from analysis.rates import rates_fixed
from analysis.sections import by_length, critical_length, effects, equal_rates
from analysis.sections.verdict.summary import summary
from analysis.table import panel_keys
from harness.condition import Outcome


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """Tables, and what tells their rows apart.

    `summary` counts the runs of each task and model at the `reference` arm, `lengths` has their critical
    lengths by `keys`, `conditions` every condition. `effects` are contrasts, `by_length` those that are shown
    at each length, `at_equal_rates` contrasts of tuning trials at equal rates. `budgets` are the steps in
    which a run has to solve its task, `observed` those for which it is watched then. `tuned` is the number of
    tuning trials, and `tuned_diverged` that of those that diverged. `baseline` is what others are compared
    with by choice, see `analysis.baseline`.
    """

    summary: pd.DataFrame
    lengths: pd.DataFrame
    conditions: pd.DataFrame
    effects: pd.DataFrame
    by_length: pd.DataFrame
    at_equal_rates: pd.DataFrame
    keys: list[str]
    reference: str
    arms: list[str]
    budgets: list[int]
    observed: list[int]
    tuned: int
    tuned_diverged: int
    rates_fixed: bool
    baseline: str

    @property
    def models(self) -> list[str]:
        """The models that have report trials."""
        return list(dict.fromkeys(self.summary["model"]))

    @property
    def tasks(self) -> list[str]:
        """The tasks that have report trials."""
        return list(dict.fromkeys(self.summary["task"]))

    @property
    def runs(self) -> int:
        """Report trials of all arms."""
        return int(self.conditions["n"].sum())

    @property
    def solved(self) -> int:
        """How many of them solved their task."""
        return int(self.conditions["solved"].sum())

    @property
    def missing(self) -> int:
        """Report trials that were asked for and are not recorded."""
        return int(self.conditions["missing"].sum())

    def layers(self, task: str) -> bool:
        """Whether the lengths of a task are numbers of layers."""
        return counts_layers([task])


def evidence(results: Results) -> Evidence:
    """What the sentences about these results rest on."""
    recorded, conditions = recorded_conditions(results), conditions_table(results)
    reference = reference_arm(recorded, results.baseline)
    lengths = critical_length.table(results).frame
    tasks = results.conditions.set_index("condition_id")["task"]
    frame = conditions.frame[
        [
            "condition_id",
            "model",
            "optimizer",
            "length",
            "arm",
            "missing",
            "n",
            "solved",
            "diverged",
            "learning_rate",
        ]
    ]
    tuning = results.tuning_trials
    return Evidence(
        summary=summary(results),
        lengths=with_task(lengths[lengths["arm"] == reference], list(results.conditions["task"].unique())),
        conditions=frame.assign(task=frame["condition_id"].map(tasks)),
        effects=effects.table(results).frame,
        by_length=by_length.lengths(results),
        at_equal_rates=equal_rates.table(results).frame,
        keys=[key for key in panel_keys(conditions) if key not in ("model", "task")],
        reference=reference,
        arms=arms(recorded),
        budgets=sorted({int(d["max_steps"]) for d in results.definitions if "max_steps" in d}),
        observed=sorted({int(d["observe"]) for d in results.definitions if "observe" in d}),
        tuned=len(tuning),
        tuned_diverged=int((tuning["outcome"] == Outcome.DIVERGED).sum()),
        rates_fixed=rates_fixed(results),
        baseline=results.baseline,
    )


def with_task(lengths: pd.DataFrame, tasks: list[str]) -> pd.DataFrame:
    """Critical lengths with their task, which is no column where there is one task only."""
    return lengths if "task" in lengths or not tasks else lengths.assign(task=tasks[0])

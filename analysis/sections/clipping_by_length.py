"""How many runs does each way of clipping keep stable, length by length, and in how many could it act?"""

from typing import Any

import pandas as pd

from analysis.arms import arms, reference_arm
from analysis.conditions import conditions_table, recorded_conditions
from analysis.contrasts import factors_of, match, matched_runs
from analysis.figures import nothing
from analysis.load import Results
from analysis.names import at, counts_layers
from analysis.paired import paired_difference
from analysis.sections.base import Section
from analysis.table import Table, varies
from analysis.trials import reported_trials, strata
from analysis.words import difference, text

SHARES = ("stable", "solved")

COLUMNS = (
    "task", "arm", "length", "n", *SHARES, "pairs", "identical",
    *(f"{share}_{end}" for share in SHARES for end in ("difference", "low", "high")),
)  # fmt: skip


def table(results: Results) -> Table:
    """One row per task, way of clipping and length, and one of all lengths, where length is missing.

    Models, optimizers and options are counted together. The columns are task, arm, length, and:

    - n: report trials. stable, solved: how many of them.
    - pairs: how many runs match one of the reference arm (see `reference_arm`): all but the clipping and the
      learning rate is equal. identical: pairs in which clipping could change nothing, see `alike`.
    - stable_difference, solved_difference: arm - reference over the other pairs, with 95 % limits _low and
      _high.
    """
    recorded = recorded_conditions(results)
    runs = clipped_runs(results)
    reference = reference_arm(recorded, results.baseline)
    others = [name for name in factors_of(results) if name != "clipping"]
    rows: list[dict[str, Any]] = []
    for task, own in runs.groupby("task", sort=False):
        for arm in arms(recorded):
            mine = own[own["clipping"] == arm]
            pairs = match(own, "clipping", arm, reference, others) if arm != reference else mine.iloc[:0]
            for length in [pd.NA, *sorted(mine["length"].unique())]:
                row = {"task": task, "arm": arm, "length": length}
                rows.append(row | counts(at_length(mine, length)) | compared(at_length(pairs, length)))
    return Table(frame=pd.DataFrame(rows, columns=list(COLUMNS)).astype({"length": "Int64"}))


def clipped_runs(results: Results) -> pd.DataFrame:
    """The report trials that count, with their learning `rate`; `unclipped` if no step was clipped."""
    trials = reported_trials(results)
    own = trials[["condition_id", "seed"]].assign(
        rate=trials["learning_rate"], unclipped=trials["clip_never_active"].astype("boolean").fillna(False)
    )
    return matched_runs(results).merge(own, on=["condition_id", "seed"])


def at_length(runs: pd.DataFrame, length: Any) -> pd.DataFrame:
    """The runs of a length; all where it is missing."""
    return runs if length is pd.NA else runs[runs["length"] == length]


def counts(runs: pd.DataFrame) -> dict[str, int]:
    """How many runs there are, and how many were stable and solved."""
    return {"n": len(runs), **{share: int(runs[share].sum()) for share in SHARES}}


def compared(pairs: pd.DataFrame) -> dict[str, Any]:
    """How many pairs there are, how many had to be alike, and the differences of the others."""
    if pairs.empty:
        return {"pairs": 0, "identical": 0}
    same = alike(pairs)
    rest = pairs[~same]
    row: dict[str, Any] = {"pairs": len(pairs), "identical": int(same.sum())}
    for share in SHARES:
        change = rest[share].to_numpy(dtype=float) - rest[f"{share}_other"].to_numpy(dtype=float)
        found = paired_difference(change, rest["seed"].tolist(), strata(rest))
        row |= {f"{share}_{end}": v for end, v in zip(("difference", "low", "high"), found, strict=True)}
    return row


def alike(pairs: pd.DataFrame) -> "pd.Series[bool]":
    """Which pairs had to end alike, and did: the same learning rate, and no step of either clipped.

    A run is the same with and without a threshold until the first step that exceeds it. So to leave such
    pairs out favours neither side. On a GPU rounding may part them: then they count as other pairs.
    """
    found = (pairs["rate"] == pairs["rate_other"]) & pairs["unclipped"] & pairs["unclipped_other"]
    for name in (*SHARES, "step"):
        found &= pairs[name] == pairs[f"{name}_other"]
    return found.astype(bool)


def several(results: Results) -> bool:
    """Whether there are several ways of clipping to compare."""
    return bool(conditions_table(results).frame["arm"].nunique() > 1)


def findings(found: Table) -> list[str]:
    """In how many pairs of runs clipping could change nothing."""
    whole = found.frame[found.frame["length"].isna()]
    pairs, same = int(whole["pairs"].sum()), int(whole["identical"].sum())
    if not same:
        return []
    return [
        f"In {same} of {pairs} pairs of runs no step was clipped and the learning rate is the same: these "
        "runs are identical, and only the others can say what clipping does."
    ]


def readable(found: Table) -> pd.DataFrame:
    """Ways of clipping by length: how many runs were stable, then how many solved their task."""
    frame = found.frame
    rows = [
        worded(group, share, several_tasks=varies(frame, "task"))
        for share in SHARES
        for _, group in frame.groupby(["task", "arm"], sort=False)
    ]
    return pd.DataFrame(rows).fillna("-")


def worded(rows: pd.DataFrame, share: str, several_tasks: bool) -> dict[str, str]:
    """The cells of one way of clipping and one share of runs."""
    whole = rows[rows["length"].isna()].iloc[0]
    layers = counts_layers([str(whole["task"])])
    shown = {"task": text(whole["task"])} if several_tasks else {}
    shown |= {"runs": share, "clipping": text(whole["arm"])}
    for row in rows[rows["length"].notna()].to_dict("records"):
        shown[at(row["length"], layers)] = f"{row[share]} of {row['n']}"
    acted = difference(whole, share) if whole["pairs"] > whole["identical"] else "-"
    shown["identical pairs"] = f"{whole['identical']} of {whole['pairs']}" if whole["pairs"] else "-"
    return shown | {"difference in other pairs": acted}


SECTION = Section(
    title="Clipping by length",
    question="How many runs does each way of clipping keep stable, and in how many does it act?",
    table=table,
    render=lambda _: nothing("This section is a table without a picture."),
    readable=readable,
    findings=findings,
    applies=several,
    note=(
        "Runs of all models, optimizers and options are counted together. Stable: solved, and not dropped "
        "after. A pair is two runs that share the seed and all but the clipping, one of them without "
        "clipping or in the reference arm. Identical: no step of either was clipped, and "
        "the learning rate is the same. Difference: of the share of runs, over the other pairs, with a 95 % "
        "interval that is not adjusted for their number. Effects has the average over all pairs, and tests."
    ),
)

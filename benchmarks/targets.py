"""What the target of tuning changes: one study, tuned for speed, for the last loss, and for stability.

    python -m harness.run --space clipping_study
    python -m harness.run --space clipping_study --set tune_for=stable ...
    python benchmarks/targets.py results/clipping_study results/clipping_study--... ...

Folders share conditions and seeds: a report seed tries the same rates on the same tuning seeds in each, and
trains at the one that the target chose. Only the conditions and seeds count that every folder has.

The first table has a row per target: how many runs, P(solved), P(stable), drops per 1,000 watched steps,
the share of the budget until a run solves its task (1 where it does not), and the geometric mean of the
rates. The second counts the runs of each length. Then each pair of targets has a line: how often they chose
the same rate, and differences with 95 % intervals and p, adjusted over all lines (`analysis.contrasts`).
"""

import argparse
import itertools
from typing import Any

import numpy as np
import pandas as pd

from analysis.contrasts import MEASURES, difference, matched_runs
from analysis.load import Results, load
from analysis.paired import holm

PAIR = ["condition_id", "seed"]


def runs_of(results: Results) -> pd.DataFrame:
    """A row per report run: what `matched_runs` has, its learning rate, and its budget in steps."""
    rates = results.report_trials[[*PAIR, "learning_rate", "max_steps"]]
    return matched_runs(results)[
        [*PAIR, "task", "length", "solved", "stable", "drops", "watched_steps", "step"]
    ].merge(rates, on=PAIR)


def shared(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Of every table the runs whose condition and seed all of them have, in one order."""
    common = pd.concat([table[PAIR] for table in tables.values()]).value_counts()
    kept = common[common == len(tables)].reset_index()[PAIR]
    return {name: kept.merge(table, on=PAIR) for name, table in tables.items()}


def summary(runs: pd.DataFrame) -> dict[str, Any]:
    """The numbers of one target: see the module."""
    share = np.minimum(runs["step"] / runs["max_steps"], 1.0)
    return {
        "runs": len(runs),
        "solved": runs["solved"].mean(),
        "stable": runs["stable"].mean(),
        "drops": 1000 * runs["drops"].sum() / runs["watched_steps"].sum(),
        "budget": share.mean(),
        "rate": float(np.exp(np.log(runs["learning_rate"]).mean())),
    }


def compared(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """A row per pair of targets, later against earlier, each p adjusted over all of them."""
    rows = []
    for other, level in itertools.combinations(tables, 2):
        pairs = tables[level].merge(tables[other], on=[*PAIR, "task", "length"], suffixes=("", "_other"))
        pairs["condition_id_other"] = pairs["condition_id"]
        equal = (pairs["learning_rate"] == pairs["learning_rate_other"]).mean()
        rows.append({"level": level, "other": other, "equal": equal} | difference(pairs))
    found = pd.DataFrame(rows)
    names = [f"{measure}_p" for measure in MEASURES]
    found[names] = np.reshape(holm(found[names].to_numpy().ravel().tolist()), (len(found), len(names)))
    return found


def by_length(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """How many runs of each length solved, and stayed stable, under each target."""
    return pd.DataFrame(
        {
            (name, share): table.groupby("length")[share].sum()
            for name, table in tables.items()
            for share in ("solved", "stable")
        }
    )


def line(row: pd.Series) -> str:
    """A pair of targets: the differences, or the ratio, each with its limits and p."""
    said = f"{row['level']} - {row['other']}: same rate in {row['equal']:.2f}"
    for measure in MEASURES:
        end = "ratio" if measure == "drops" else "difference"
        value, low, high, p = (row[f"{measure}_{name}"] for name in (end, "low", "high", "p"))
        said += f"; {measure} {value:.3f} [{low:.3f}, {high:.3f}] p {p:.2g}"
    return said


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+")
    found: dict[str, pd.DataFrame] = {}
    for folder in parser.parse_args().folders:
        results = load(folder)
        found[results.definitions[0].get("tune_for", "fast")] = runs_of(results)
    tables = shared(found)
    print(pd.DataFrame([{"target": name} | summary(table) for name, table in tables.items()]).round(4))
    print(by_length(tables))
    for _, row in compared(tables).iterrows():
        print(line(row))


if __name__ == "__main__":
    main()

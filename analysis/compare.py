"""Did anything change between two sets of results: python -m analysis.compare results/A results/B.

Conditions are matched by identity, and trials by condition and seed. Compare two versions, two machines, or a
cell before and after an edit: its import path stays, and so do its conditions.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.command_line import carry_out, complain, say
from analysis.conditions import condition_keys
from analysis.load import LoadError, Results, load
from analysis.paired import cluster_sums, holm, paired_difference, sign_flip_p
from analysis.table import Table, shown_keys
from analysis.trials import reported_trials, solved, strata
from analysis.words import decimals, difference, k_of_n, signed_interval, two_digits
from harness.arguments import Parser
from harness.condition import Outcome
from harness.pipes import with_streams

MEASURES = ("stable", "solved")


ENDS = ("a", "b", "difference", "low", "high", "p")


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison(Table):
    """A row per condition of both, and in `overall` the differences over all pairs of trials."""

    overall: dict[str, Any]


def pairs(one: Results, other: Results) -> pd.DataFrame:
    """One row per condition and seed with a report trial in both: what became of each, _a and _b."""
    shared = ["condition_id", "task", "length", "seed"]
    sides = []
    for results in (one, other):
        trials = reported_trials(results)
        sides.append(
            trials[[*shared, "outcome", "final_loss", "steps"]].assign(
                stable=trials["outcome"] == Outcome.STABLE, solved=solved(trials)
            )
        )
    return sides[0].merge(sides[1], on=shared, suffixes=("_a", "_b"))


def table(one: Results, other: Results) -> Comparison:
    """One row per condition with pairs, B against A.

    The columns are the keys of A, matched (pairs of trials), and:

    - same: pairs with equal outcome, number of steps and final loss, to the bit.
    - stable_a, stable_b, solved_a, solved_b: how many of the pairs.
    - stable_difference, solved_difference: B - A, of shares, with 95 % limits _low and _high.
    - stable_p, solved_p: exact. With _holm: adjusted for all rows.

    `analysis.paired` has the tests and intervals.
    """
    everything = pairs(one, other)
    keys = condition_keys(one)
    matched = dict(list(everything.groupby("condition_id")))
    rows: list[dict[str, Any]] = []
    for condition in one.conditions.to_dict("records"):
        if condition["condition_id"] in matched:
            group = matched[condition["condition_id"]]
            row = {key: condition[key] for key in keys}
            row |= {"matched": len(group), "same": int(identical(group).sum())}
            rows.append(row | differences(group))
    columns = [*keys, "matched", "same", *(f"{m}_{end}" for m in MEASURES for end in ENDS)]
    frame = pd.DataFrame(rows, columns=columns).sort_values(keys, ignore_index=True)
    for measure in MEASURES:
        frame[f"{measure}_p_holm"] = holm(frame[f"{measure}_p"].tolist())
    return Comparison(frame=frame, keys=keys, overall=differences(everything))


def differences(group: pd.DataFrame) -> dict[str, Any]:
    """The differences of some pairs, under the names of the columns of `table`."""
    found: dict[str, Any] = {}
    seeds, stratum = group["seed"].tolist(), strata(group)
    for measure in MEASURES:
        a, b = (group[f"{measure}_{side}"].to_numpy(dtype=bool) for side in "ab")
        change = b.astype(np.float64) - a
        sums, _, _ = cluster_sums(change, seeds, stratum)
        difference, low, high = paired_difference(change, seeds, stratum)
        values = (int(a.sum()), int(b.sum()), difference, low, high, sign_flip_p(sums))
        found |= {f"{measure}_{end}": value for end, value in zip(ENDS, values, strict=True)}
    return found


def identical(group: pd.DataFrame) -> "pd.Series[bool]":
    """Which pairs are the same run: outcome, steps and final loss, NaN being equal to NaN."""
    losses = group["final_loss_a"].astype("float64"), group["final_loss_b"].astype("float64")
    same_loss = (losses[0] == losses[1]) | (losses[0].isna() & losses[1].isna())
    return (group["outcome_a"] == group["outcome_b"]) & (group["steps_a"] == group["steps_b"]) & same_loss


def readable(found: Comparison) -> pd.DataFrame:
    """The rows in which anything differs, as a person reads them."""
    changed = found.frame[found.frame["same"] < found.frame["matched"]]
    shown = {key: column[changed.index] for key, column in shown_keys(found).items()}
    shown["same"] = k_of_n(changed, "same", "matched")
    for m in MEASURES:
        shown[f"{m} A, B"] = [f"{a}, {b}" for a, b in zip(changed[f"{m}_a"], changed[f"{m}_b"], strict=True)]
        shown[f"P({m}) B - A"] = signed_interval(changed, m)
        shown[f"p ({m})"] = changed[f"{m}_p_holm"].map(two_digits)
    return pd.DataFrame(shown)


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = Parser(prog="python -m analysis.compare", description=__doc__.splitlines()[0])
    parser.add_argument("a", help="results folder or URI")
    parser.add_argument("b", help="results folder or URI to hold against it")
    parser.add_argument(
        "--tolerance",
        type=share,
        default=0.0,
        help="largest change of P(stable) or P(solved) over all pairs of trials to accept, as a share "
        "(default: 0); changes in opposite directions cancel, the table shows each condition",
    )
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="accept report trials that only one side has (default: exit code 1)",
    )
    return parser.parse_args(argv)


@with_streams
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: 0 within the tolerance, 1 beyond it or if trials are missing, 2 if nothing compares."""
    arguments = parsed(argv)
    return carry_out(lambda: compare(arguments))


def compare(arguments: argparse.Namespace) -> int:
    """Print what differs; the exit code is what `main` says, whether or not anybody reads on."""
    one, other = load(arguments.a), load(arguments.b)
    for note in dict.fromkeys((*one.notes, *other.notes)):
        complain(note, "note")
    found = table(one, other)
    if found.frame.empty:
        raise LoadError("no condition has a report trial of the same seed in both")
    changed = readable(found)
    lines = changed.to_string(index=False).splitlines() if len(changed) else []
    lines += conclusion(found, one, other)
    beyond = [m for m in MEASURES if abs(found.overall[f"{m}_difference"]) > arguments.tolerance]
    for measure in beyond:
        change = decimals(found.overall[f"{measure}_difference"], "+.4f")
        lines.append(f"P({measure}) changed by {change}: more than {arguments.tolerance:g}")
    missing = 0 if arguments.allow_missing else unmatched(one, other)
    if missing:
        lines.append(f"{missing} report trials are in one of them only: --allow-missing accepts that")
    for line in lines:
        say(line)
    return 1 if beyond or missing else 0


def share(value: str) -> float:
    """A share from 0 to 1."""
    number = float(value)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{value} is not a share between 0 and 1")
    return number


def unmatched(one: Results, other: Results) -> int:
    """Report trials, by condition and seed, that only one of the two has."""
    keys = [set(zip(t["condition_id"], t["seed"], strict=True)) for t in map(reported_trials, (one, other))]
    return len(keys[0] ^ keys[1])


def conclusion(found: Comparison, one: Results, other: Results) -> list[str]:
    """What was compared and what came of it, in a few lines."""
    alone = [
        f"{len(set(mine.conditions['condition_id']) - set(theirs.conditions['condition_id']))} only in {name}"
        for mine, theirs, name in ((one, other, "A"), (other, one, "B"))
    ]
    frame, overall = found.frame, found.overall
    lines = [
        f"A: {one.name}, B: {other.name}; {len(frame)} conditions in both, {', '.join(alone)}",
        f"{frame['same'].sum()} of {frame['matched'].sum()} pairs of trials are the same to the bit",
    ]
    for m in MEASURES:
        lines.append(f"P({m}) B - A over all pairs: {difference(overall, m, digits='+.3f')}")
    return lines


if __name__ == "__main__":
    sys.exit(main())

"""Did anything change between two sets of results: python -m analysis.compare results/A results/B.

Conditions are matched by identity, trials by condition and seed. For versions, machines, or an edited cell:
its import path stays, so its conditions do.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.conditions import condition_keys, k_of_n, reported_trials, shown_keys, text
from analysis.load import LoadError, Results, load
from analysis.paired import cluster_sums, holm, paired_difference, sign_flip_p
from harness.condition import SOLVED, Outcome
from harness.errors import RecordsError

MEASURES = ("stable", "solved")


def pairs(one: Results, other: Results) -> pd.DataFrame:
    """One row per condition and seed with a report trial in both: what became of each, _a and _b."""
    sides = []
    for results in (one, other):
        trials = reported_trials(results)
        outcome = trials["outcome"]
        sides.append(
            trials[["condition_id", "length", "seed", "outcome", "final_loss", "steps"]].assign(
                stable=outcome == Outcome.STABLE, solved=outcome.isin(list(SOLVED))
            )
        )
    return sides[0].merge(sides[1], on=["condition_id", "length", "seed"], suffixes=("_a", "_b"))


def table(one: Results, other: Results) -> pd.DataFrame:
    """One row per condition with pairs, B against A.

    Columns: the keys of A; pairs; same (pairs with equal outcome, number of steps and final loss, to the
    bit); and for stable and solved: _a and _b (how many of the pairs), difference (B - A, of shares), its
    95 % limits _low and _high, p (exact) and p_holm (adjusted for all rows). `attrs["overall"]` are the
    differences over all pairs. See `analysis.paired.paired_difference` and `sign_flip_p`.
    """
    everything = pairs(one, other)
    matched = dict(list(everything.groupby("condition_id")))
    keys = condition_keys(one)
    rows: list[dict[str, Any]] = []
    for condition in one.conditions.to_dict("records"):
        if condition["condition_id"] not in matched:
            continue
        group = matched[condition["condition_id"]]
        row = {key: condition[key] for key in keys} | {
            "pairs": len(group),
            "same": int(identical(group).sum()),
        }
        rows.append(row | differences(group))
    columns = [*keys, "pairs", "same", *(f"{m}_{end}" for m in MEASURES for end in ENDS)]
    found = pd.DataFrame(rows, columns=columns).sort_values(keys, ignore_index=True)
    for measure in MEASURES:
        found[f"{measure}_p_holm"] = holm(found[f"{measure}_p"].tolist())
    found.attrs |= {"keys": keys, "overall": differences(everything)}
    return found


ENDS = ("a", "b", "difference", "low", "high", "p")


def differences(group: pd.DataFrame) -> dict[str, Any]:
    """The differences of some pairs: see `table`."""
    found: dict[str, Any] = {}
    seeds, lengths = group["seed"].tolist(), group["length"].tolist()
    for measure in MEASURES:
        a, b = (group[f"{measure}_{side}"].to_numpy(dtype=bool) for side in "ab")
        change = b.astype(np.float64) - a
        sums, _, _ = cluster_sums(change, seeds, lengths)
        difference, low, high = paired_difference(change, seeds, lengths)
        values = (int(a.sum()), int(b.sum()), difference, low, high, sign_flip_p(sums))
        found |= {f"{measure}_{end}": value for end, value in zip(ENDS, values, strict=True)}
    return found


def identical(group: pd.DataFrame) -> "pd.Series[bool]":
    """Which pairs are the same run: outcome, steps and final loss, NaN being equal to NaN."""
    losses = group["final_loss_a"].astype("float64"), group["final_loss_b"].astype("float64")
    same_loss = (losses[0] == losses[1]) | (losses[0].isna() & losses[1].isna())
    return (group["outcome_a"] == group["outcome_b"]) & (group["steps_a"] == group["steps_b"]) & same_loss


def readable(found: pd.DataFrame) -> pd.DataFrame:
    """The rows in which anything differs, as a person reads them."""
    changed = found[found["same"] < found["pairs"]]
    shown = {key: column[changed.index] for key, column in shown_keys(found).items()}
    shown["same"] = k_of_n(changed, "same", "pairs")
    for m in MEASURES:
        shown[f"{m} A, B"] = [f"{a}, {b}" for a, b in zip(changed[f"{m}_a"], changed[f"{m}_b"], strict=True)]
        limits = zip(*(changed[f"{m}_{end}"] for end in ("difference", "low", "high")), strict=True)
        shown[f"P({m}) B - A"] = [f"{d:+.2f} [{low:+.2f}, {high:+.2f}]" for d, low, high in limits]
        shown[f"p ({m})"] = changed[f"{m}_p_holm"].map(lambda p: text(float(f"{p:.2g}")))
    return pd.DataFrame(shown)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: 0 within the tolerance, 1 beyond it or if trials are missing, 2 if nothing compares."""
    parser = argparse.ArgumentParser(prog="python -m analysis.compare", description=__doc__.splitlines()[0])
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
    arguments = parser.parse_args(argv)
    try:
        one, other = load(arguments.a), load(arguments.b)
    except (LoadError, RecordsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    found = table(one, other)
    if found.empty:
        print("error: no condition has a report trial of the same seed in both", file=sys.stderr)  # noqa: T201
        return 2
    if len(changed := readable(found)):
        print(changed.to_string(index=False))  # noqa: T201
    print(summary(found, one, other))  # noqa: T201
    overall = found.attrs["overall"]
    beyond = [m for m in MEASURES if abs(overall[f"{m}_difference"]) > arguments.tolerance]
    for measure in beyond:
        change = overall[f"{measure}_difference"]
        print(f"P({measure}) changed by {change:+.4f}: more than {arguments.tolerance:g}")  # noqa: T201
    missing = unmatched(one, other)
    if missing and not arguments.allow_missing:
        print(f"{missing} report trials are in one of them only: --allow-missing accepts that")  # noqa: T201
    return 1 if beyond or (missing and not arguments.allow_missing) else 0


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


def summary(found: pd.DataFrame, one: Results, other: Results) -> str:
    """What was compared and what came of it, in a few lines."""
    alone = [
        f"{len(set(mine.conditions['condition_id']) - set(theirs.conditions['condition_id']))} only in {name}"
        for mine, theirs, name in ((one, other, "A"), (other, one, "B"))
    ]
    overall = found.attrs["overall"]
    lines = [
        f"A: {one.name}, B: {other.name}; {len(found)} conditions in both, {', '.join(alone)}",
        f"{int(found['same'].sum())} of {int(found['pairs'].sum())} pairs of trials are the same to the bit",
    ]
    for m in MEASURES:
        limits = f"[{overall[f'{m}_low']:+.3f}, {overall[f'{m}_high']:+.3f}]"
        lines.append(f"P({m}) B - A over all pairs: {overall[f'{m}_difference']:+.3f} {limits}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

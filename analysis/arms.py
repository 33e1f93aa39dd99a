"""Ways of clipping gradients, the arms that a report compares: everything specific to clipping is here."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

from analysis.load import Results
from analysis.table import Table
from analysis.words import exact, text

RULE, THRESHOLD = "clip_rule", "max_norm"
"""Fields of a condition that say how its gradients are clipped; options of its rule say the rest."""

NO_CLIPPING = "no clipping"
"""The arm whose threshold is inf."""

RuleOptions = dict[str, dict[str, list[Any]]]


def options_of_rules(results: Results) -> RuleOptions:
    """By clip rule: its options, and the values of each in these results."""
    return {
        component.removeprefix(f"{RULE} "): options
        for component, options in results.options.items()
        if component.startswith(f"{RULE} ")
    }


def clip_keys(results: Results) -> list[str]:
    """The fields and options that say how gradients are clipped."""
    return [RULE, THRESHOLD, *itertools.chain(*options_of_rules(results).values())]


def arm(condition: Mapping[Any, Any], rules: RuleOptions) -> str:
    """How the gradients of a condition are clipped, in words: max_norm 1, no clipping, value max_value 2.

    An option of the rule is named where it has several values. Two arms never have the same words.
    """
    rule, max_norm = condition[RULE], condition[THRESHOLD]
    if rule == "norm":
        return NO_CLIPPING if math.isinf(max_norm) else f"{THRESHOLD} {exact(max_norm)}"
    thresholds = {} if math.isnan(max_norm) else {THRESHOLD: max_norm}
    options = rules.get(rule, {})
    thresholds |= {name: condition[name] for name, values in options.items() if len(values) > 1}
    return " ".join([text(rule), *(f"{name} {exact(value)}" for name, value in thresholds.items())])


def arms(table: Table) -> list[str]:
    """The arms of a table in order: max_norm ascending, no clipping, then the other rules by name."""
    rank = table.frame.assign(other=table.frame[RULE] != "norm")
    own = [key for key in table.clip_keys if key in rank and key not in (RULE, THRESHOLD)]
    ordered = rank.sort_values(["other", RULE, THRESHOLD, *own])
    return list(dict.fromkeys(ordered["arm"]))


def reference_arm(table: Table, baseline: str = "") -> str:
    """The arm that others are compared with: no clipping, or else the highest max_norm, or another rule.

    It is `baseline` where that is an arm of the table, and empty for a table without rows.
    """
    known = arms(table)
    if baseline in known:
        return baseline
    if not known or NO_CLIPPING in known:
        return NO_CLIPPING if known else ""
    thresholds = set(table.frame.loc[table.frame[RULE] == "norm", "arm"])
    return [*(name for name in reversed(known) if name in thresholds), *known][0]

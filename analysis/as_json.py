"""The report as JSON values: every number of it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.alarms import alarms, overview
from analysis.conditions import conditions_table
from analysis.load import Results
from analysis.sections import SECTIONS
from analysis.sections.verdict import SECTION as VERDICT


def as_json(results: Results) -> dict[str, Any]:
    """The whole report as JSON values: inf is "inf", NaN and missing values are null.

    - `p_stable` and `p_solved` have a row per condition with its counts k of n and the Wilson limits low and
      high.
    - `verdict` is in sentences. `standings` compares the models.
    - `sections` has the table of each section by its title.
    - `overview`, `alarms` and `provenance` are what the page says at its top and its end.
    """
    tables = {section.title: section.table(results) for section in SECTIONS}
    verdict = tables[VERDICT.title]
    return {
        "name": results.name,
        "overview": overview(results),
        "alarms": alarms(results),
        "verdict": VERDICT.findings(verdict),
        "standings": [plain_row(row) for row in verdict.standings.to_dict("records")],
        "p_stable": shares(results, "stable"),
        "p_solved": shares(results, "solved"),
        "sections": {
            title: [plain_row(row) for row in table.frame.to_dict("records")]
            for title, table in tables.items()
        },
        "provenance": results.provenance,
    }


def shares(results: Results, name: str) -> list[dict[str, Any]]:
    """By condition: its keys, how many trials were `name` (stable or solved), of n, and the limits."""
    conditions = conditions_table(results)
    return [
        {key: plain(row[key]) for key in conditions.keys}
        | {"k": row[name], "n": row["n"], "low": row[f"p_{name}_low"], "high": row[f"p_{name}_high"]}
        for row in conditions.frame.to_dict("records")
    ]


def plain_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row as JSON values."""
    return {str(name): plain(value) for name, value in row.items()}


def plain(value: Any) -> Any:
    """A cell as a JSON value."""
    if value is None or value != value:
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return str(value) if isinstance(value, float) and math.isinf(value) else value

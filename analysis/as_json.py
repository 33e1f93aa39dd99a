"""The report as JSON values: every number of it."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.alarms import alarms, overview
from analysis.conditions import conditions_table
from analysis.load import Results
from analysis.sections import SECTIONS
from analysis.sections.effects import SECTION as EFFECTS
from analysis.sections.verdict import SECTION as VERDICT
from analysis.setting import setting


def as_json(results: Results) -> dict[str, Any]:
    """The whole report as JSON values: inf is "inf", NaN and missing values are null.

    - `p_stable` and `p_solved` have a row per condition with its counts k of n and the Wilson limits low and
      high.
    - `verdict` is in sentences. `standings` compares the models.
    - `sections` has the table of each section by its title.
    - `overview`, `setting`, `alarms` and `provenance` are what the page says at its top and its end.
    """
    tables = {section.title: section.table(results) for section in SECTIONS}
    verdict = tables[VERDICT.title]
    report = {
        "name": results.name,
        "overview": overview(results),
        "setting": setting(results),
        "alarms": alarms(results),
        "verdict": [sentence.words for sentence in VERDICT.answers(verdict)],
        "standings": tables[EFFECTS.title].standings.to_dict("records"),
        "p_stable": shares(results, "stable"),
        "p_solved": shares(results, "solved"),
        "sections": {title: table.frame.to_dict("records") for title, table in tables.items()},
        "provenance": results.provenance,
    }
    return dict(plain(report))


def json_text(results: Results) -> str:
    """The report as text of strict JSON."""
    return json.dumps(as_json(results), indent=1, allow_nan=False)


def shares(results: Results, name: str) -> list[dict[str, Any]]:
    """By condition: its keys, how many trials were `name` (stable or solved), of n, and the limits."""
    conditions = conditions_table(results)
    return [
        {key: row[key] for key in conditions.keys}
        | {"k": row[name], "n": row["n"], "low": row[f"p_{name}_low"], "high": row[f"p_{name}_high"]}
        for row in conditions.frame.to_dict("records")
    ]


def plain(value: Any) -> Any:
    """A value as strict JSON has it, whatever is nested in it; -0.0 is 0.0, and text is valid Unicode."""
    if isinstance(value, Mapping):
        return {plain(str(name)): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return str(value).encode(errors="backslashreplace").decode()
    if value is None or value is pd.NA or value != value:
        return None
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return str(value) if math.isinf(value) else value + 0.0
    return value

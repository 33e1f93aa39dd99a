"""One self-contained page from a results folder: python -m analysis.report results/NAME."""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from jinja2 import Environment, FileSystemLoader
from matplotlib.figure import Figure

from analysis.conditions import conditions_table
from analysis.load import LoadError, Results, load
from analysis.sections import Section
from analysis.sections.clipping import SECTION as CLIPPING
from analysis.sections.critical_length import SECTION as CRITICAL_LENGTH
from analysis.sections.drops import SECTION as DROPS
from analysis.sections.gradient_flow import SECTION as GRADIENT_FLOW
from analysis.sections.learning_rates import SECTION as LEARNING_RATES
from analysis.sections.stability import SECTION as STABILITY
from analysis.sections.steps_to_solve import SECTION as STEPS_TO_SOLVE
from harness.records import RecordsError

SECTIONS: list[Section] = [
    STABILITY,
    CRITICAL_LENGTH,
    STEPS_TO_SOLVE,
    DROPS,
    CLIPPING,
    LEARNING_RATES,
    GRADIENT_FLOW,
]
"""The sections of the report, in order. A new one is a file in analysis/sections and a line here."""


def write_report(results: Results, out: Path | None = None) -> Path:
    """Write the report of loaded results as one HTML file that opens offline; return its path.

    Default path: report.html in the results folder.
    """
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    page = environment.get_template("report.html").render(
        name=results.name,
        overview=overview(results),
        alarms=alarms(results),
        sections=[view(section, results) for section in SECTIONS],
        provenance=[json.dumps(record, indent=1) for record in results.provenance],
    )
    path = out or results.folders[0] / "report.html"
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(path)
    return path


def overview(results: Results) -> str:
    """What the folder holds, in one sentence."""
    report = results.report_trials
    counts = report["outcome"].value_counts()
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    tuning = len(results.trials) - len(report)
    return (
        f"{report['condition_id'].nunique()} conditions, {len(report)} report trials ({outcomes or 'none'}), "
        f"{tuning} tuning trials; task {', '.join(sorted(results.conditions['task'].unique()))}."
    )


def alarms(results: Results) -> list[str]:
    """What a reader must know before reading on: failures, missing trials, optima at the edge."""
    found = []
    table = conditions_table(results)
    if len(results.failures):
        names = sorted(set(results.failures["condition"]))
        found.append(
            f"{len(results.failures)} trials failed (a fault, not a measurement); run the same command again "
            f"to retry them. Incomplete: {'; '.join(names)}."
        )
    if table["missing"].sum() > 0:
        missing, without = table["missing"], int((table["n"] == 0).sum())
        found.append(
            f"{int(missing.sum())} report trials are missing in {int((missing > 0).sum())} of {len(table)} "
            f"conditions, {without} of which have none yet; the table says how many."
        )
    rates = results.report_trials.groupby("condition_id")["learning_rate"].nunique()
    if (rates > 1).any():
        found.append(
            f"{int((rates > 1).sum())} conditions have report trials at several learning rates: they were "
            f"tuned under versions or on machines that proposed different rates. Each row counts one rate."
        )
    if table["at_edge"].any():
        found.append(
            f"In {int(table['at_edge'].sum())} of {len(table)} conditions the best learning rate is the "
            f"lowest or highest tried (marked *): the optimum may lie outside the range."
        )
    return found


def view(section: Section, results: Results) -> dict[str, Any]:
    """A section as the template wants it."""
    table = section.table(results)
    figure = section.render(table)
    shown = section.readable(table)
    numeric = [
        pd.api.types.is_numeric_dtype(table[name]) if name in table else True for name in shown.columns
    ]
    kinds = ["" if is_number else "text" for is_number in numeric]
    return {
        "title": section.title,
        "question": section.question,
        "note": section.note,
        "if_empty": section.if_empty,
        "warnings": section.warnings(table),
        "svg": "" if figure is None else svg(figure),
        "heads": [{"label": name, "kind": kind} for name, kind in zip(shown.columns, kinds, strict=True)],
        "rows": [
            [{"label": value, "kind": kind} for value, kind in zip(row, kinds, strict=True)]
            for row in shown.itertuples(index=False)
        ],
    }


def svg(figure: Figure) -> str:
    """A figure as an SVG element, text kept as text."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    drawn = buffer.getvalue()
    return drawn[drawn.index("<svg") :]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: 0 on success, 2 if there is nothing to report on."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description=__doc__)
    parser.add_argument("folder", type=Path, help="results folder, such as results/clipping_study")
    parser.add_argument("--out", type=Path, help="HTML file to write (default: report.html in the folder)")
    arguments = parser.parse_args(argv)
    try:
        path = write_report(load(arguments.folder), arguments.out)
    except (LoadError, RecordsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    print(f"report: {path}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())

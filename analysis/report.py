"""One self-contained page from a results folder: python -m analysis.report results/NAME."""

import argparse
import io
import json
import math
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import matplotlib
import pandas as pd
from jinja2 import Environment, FileSystemLoader
from matplotlib.figure import Figure

from analysis.conditions import conditions_table
from analysis.load import LoadError, Results, load
from analysis.sections import Section
from analysis.sections.clipping import SECTION as CLIPPING
from analysis.sections.coverage import SECTION as COVERAGE
from analysis.sections.critical_length import SECTION as CRITICAL_LENGTH
from analysis.sections.drops import SECTION as DROPS
from analysis.sections.examples import SECTION as EXAMPLES
from analysis.sections.gradient_flow import SECTION as GRADIENT_FLOW
from analysis.sections.learning_rates import SECTION as LEARNING_RATES
from analysis.sections.methods import SECTION as METHODS
from analysis.sections.stability import SECTION as STABILITY
from analysis.sections.steps_to_solve import SECTION as STEPS_TO_SOLVE
from analysis.sections.verdict import SECTION as VERDICT
from harness.errors import RecordsError, UserError
from harness.results.folder import Folder

SECTIONS: list[Section] = [
    VERDICT,
    STABILITY,
    CRITICAL_LENGTH,
    STEPS_TO_SOLVE,
    DROPS,
    CLIPPING,
    LEARNING_RATES,
    GRADIENT_FLOW,
    EXAMPLES,
    COVERAGE,
    METHODS,
]
"""The sections of the report, in order. A new one is a file in analysis/sections and a line here."""


FORMATS = ("html", "md", "json")


def write_report(results: Results, out: Path | None = None, style: str = "html") -> Path:
    """Write the report of loaded results; return its path, by default report.STYLE in the first folder.

    Where that folder is a URI, the default is NAME.STYLE in the current folder.

    html: one file that opens offline. md: Markdown, its figures beside it as PNG files named after it. json:
    every number, see `as_json`.
    """
    folder, name = destination(results, out, style)
    if style == "json":
        content = json.dumps(as_json(results), indent=1).encode()
        folder.write_whole(name, lambda file: file.write(content))
        return Path(f"{folder}/{name}")
    views = [view(section, results) for section in SECTIONS]
    if style == "md":
        for number, section in enumerate(views):
            if section["figure"] is not None:
                section["picture"] = f"{Path(name).stem}-{number + 1}.png"
                folder.write_whole(section["picture"], partial(draw_png, section["figure"]))
    else:
        for section in views:
            section["svg"] = "" if section["figure"] is None else svg(section["figure"])
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=style == "html", trim_blocks=style == "md")
    page = environment.get_template(f"report.{style}").render(
        name=results.name,
        overview=overview(results),
        alarms=alarms(results),
        sections=views,
        provenance=[json.dumps(record, indent=1) for record in results.provenance],
    )
    folder.write_whole(name, lambda file: file.write(page.encode()))
    return Path(f"{folder}/{name}")


def destination(results: Results, out: Path | None, style: str) -> tuple[Folder, str]:
    """The folder and the name of the report's file: `out`, or beside the tables, or in the current folder."""
    if out is not None:
        return Folder.to_write(out.parent, "--out"), out.name
    first = Folder.of(results.folders[0])
    return (first, f"report.{style}") if first.local else (Folder.of("."), f"{results.name}.{style}")


def as_json(results: Results) -> dict[str, Any]:
    """The whole report as JSON values: inf is "inf", NaN and missing values are null.

    `p_stable` and `p_solved` have a row per condition with its counts k of n and the Wilson limits low and
    high; `verdict` is in sentences, `standings` compares the models; `sections` has the table of each section
    by its title; the rest is what the page says.
    """
    conditions = conditions_table(results)
    shares = {
        f"p_{name}": [
            {key: plain(row[key]) for key in conditions.attrs["keys"]}
            | {"k": row[name], "n": row["n"], "low": row[f"p_{name}_low"], "high": row[f"p_{name}_high"]}
            for row in conditions.to_dict("records")
        ]
        for name in ("stable", "solved")
    }
    tables = {section.title: section.table(results) for section in SECTIONS}
    return {
        "name": results.name,
        "overview": overview(results),
        "alarms": alarms(results),
        "verdict": VERDICT.findings(tables[VERDICT.title]),
        "standings": [
            {name: plain(value) for name, value in row.items()}
            for row in tables[VERDICT.title].attrs["standings"].to_dict("records")
        ],
        **shares,
        "sections": {
            title: [
                {str(key): plain(value) for key, value in row.items()} for row in table.to_dict("records")
            ]
            for title, table in tables.items()
        },
        "provenance": results.provenance,
    }


def plain(value: Any) -> Any:
    """A cell as a JSON value."""
    if value is None or value != value:
        return None
    value = value.item() if hasattr(value, "item") else value
    return str(value) if isinstance(value, float) and math.isinf(value) else value


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
        found.append(
            f"{len(results.failures)} trials failed (a fault, not a measurement); run the same command again "
            f"to retry them. They are named under {COVERAGE.title}."
        )
    if table["missing"].sum() > 0:
        missing, without = table["missing"], int((table["n"] == 0).sum())
        found.append(
            f"{int(missing.sum())} report trials are missing in {int((missing > 0).sum())} of {len(table)} "
            f"conditions, {without} of which have none yet; the table says how many."
        )
    if len(results.code) > 1:
        found.append(
            f"These numbers were made by {len(results.code)} different versions of code or devices, which "
            "may round differently; the end of the page has all that is recorded."
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
    shown = section.readable(table)
    kinds = ["" if is_number(shown[name]) else "text" for name in shown.columns]
    return {
        "title": section.title,
        "question": section.question,
        "note": section.note,
        "if_empty": section.if_empty,
        "findings": section.findings(table),
        "commands": table.attrs.get("commands", []),
        "warnings": section.warnings(table),
        "figure": section.render(table),
        "heads": [{"label": name, "kind": kind} for name, kind in zip(shown.columns, kinds, strict=True)],
        "rows": [
            [{"label": value, "kind": kind} for value, kind in zip(row, kinds, strict=True)]
            for row in shown.itertuples(index=False)
        ],
    }


def is_number(column: "pd.Series[Any]") -> bool:
    """Whether the cells of a column, as a person reads them, are numbers (which are aligned right)."""
    return bool(column.astype(str).str.fullmatch(NUMBER).all())


NUMBER = r"(beyond |below )?[-+]?(\d+(\.\d*)?(e[-+]\d+)?|inf)?\*?([ %\[(/,].*)?"
"""A number, perhaps with its interval or 'of n' after it; - where there is none."""


def svg(figure: Figure) -> str:
    """A figure as an SVG element, text kept as text."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    drawn = buffer.getvalue()
    return drawn[drawn.index("<svg") :]


def draw_png(figure: Figure, file: IO[bytes]) -> None:
    """Write a figure as PNG."""
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: 0 on success, 2 if there is nothing to report on."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description=__doc__)
    parser.add_argument(
        "folders",
        nargs="+",
        metavar="folder",
        help="results folders, such as results/clipping_study or s3://bucket/clipping_study",
    )
    parser.add_argument("--format", choices=FORMATS, default="html", help="default: html")
    parser.add_argument("--out", type=Path, help="file to write (default: report.FORMAT in the first folder)")
    parser.add_argument(
        "--mixed", action="store_true", help="read folders together though different code made them"
    )
    arguments = parser.parse_args(argv)
    try:
        results = load(*arguments.folders, mixed=arguments.mixed)
        path = write_report(results, arguments.out, arguments.format)
    except (LoadError, RecordsError, UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    print(f"report: {path}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())

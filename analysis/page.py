"""The report as a page: the views that the templates fill in."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader
from matplotlib.figure import Figure

from analysis.alarms import alarms, overview, unfinished
from analysis.as_json import plain
from analysis.escaping import fenced, markdown
from analysis.load import Results
from analysis.sections.base import Section, T
from analysis.setting import setting
from analysis.words import printable


def render(results: Results, views: list[dict[str, Any]], style: str) -> str:
    """The page as text; `style` is html or md, `views` are of the sections, with their pictures."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=style == "html",
        trim_blocks=style == "md",
        finalize=html if style == "html" else None,
    )
    environment.filters |= {"markdown": markdown, "fenced": fenced}
    return environment.get_template(f"report.{style}").render(
        name=results.name,
        overview=overview(results),
        setting=setting(results),
        alarms=alarms(results),
        sections=views,
        provenance=[json.dumps(plain(record), indent=1).splitlines() for record in results.provenance],
    )


def html(value: Any) -> Any:
    """A value of the page before it is escaped: text is made printable, HTML of our own stays."""
    return printable(value) if type(value) is str else value


def view(section: Section[Any], results: Results) -> dict[str, Any]:
    """A section as the templates want it; `align` says how a column is set: text, or nothing for numbers."""
    table = section.table(results)
    shown = without_gaps(section.readable(table))
    remarks = " ".join(filter(None, [section.note, section.remarks(table)]))
    aligns = ["" if is_number(shown[name]) else "text" for name in shown.columns]
    return {
        "title": section.title,
        "anchor": anchor(section.title),
        "question": section.question,
        "note": remarks,
        "if_empty": section.if_empty,
        "answers": [
            {
                "words": each.words,
                "links": [link(title, section) for title in each.sections],
            }
            for each in section.answers(table)
        ],
        "findings": section.findings(table),
        "commands": section.commands(table),
        "again": section.again(table),
        "warnings": section.warnings(table),
        "figure": picture(section, table),
        "heads": [{"label": name, "align": align} for name, align in zip(shown.columns, aligns, strict=True)],
        "rows": [
            [{"label": value, "align": align} for value, align in zip(row, aligns, strict=True)]
            for row in shown.itertuples(index=False)
        ],
    }


def views(sections: Sequence[Section[Any]], results: Results) -> list[dict[str, Any]]:
    """The sections that have something to say here; links to the others are left out too."""
    waiting = unfinished(results)
    every = [view(section, results) for section in sections if section.applies(results)]
    shown = [each for each in every if each["rows"] or each["answers"] or (waiting and each["if_empty"])]
    anchors = {each["anchor"] for each in shown}
    for answer in (answer for each in shown for answer in each["answers"]):
        answer["links"] = [each for each in answer["links"] if each["target"] in anchors]
    return shown


def without_gaps(shown: pd.DataFrame) -> pd.DataFrame:
    """A readable table without the columns in which nothing stands in any row."""
    empty = (shown.astype(str) == "-").all()
    return shown.loc[:, ~empty] if len(shown) else shown


def link(title: str, section: Section[Any]) -> dict[str, str]:
    """A link from a sentence of a section to the section that holds its numbers."""
    return {"title": "table below" if title == section.title else title, "target": anchor(title)}


def anchor(title: str) -> str:
    """What a link to a section ends in, as GitHub makes it of a heading: did-clipping-act."""
    return re.sub(r"[^a-z0-9-]", "", title.lower().replace(" ", "-"))


def picture(section: Section[T], table: T) -> Figure | None:
    """What the section draws, or None where it draws only that there is nothing to see."""
    figure = section.render(table)
    return figure if figure.axes else None


def is_number(column: "pd.Series[Any]") -> bool:
    """Whether the cells of a column, as a person reads them, are numbers (which are aligned right)."""
    return bool(column.astype(str).str.fullmatch(NUMBER).all())


NUMBER = r"(beyond |below )?[-+]?(\d+(\.\d*)?(e[-+]\d+)?|inf)?\*?†?([ %\[(/,].*)?"
"""A number, perhaps with its interval or 'of n' after it; - where there is none."""

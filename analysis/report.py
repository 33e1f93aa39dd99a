"""One self-contained page from a results folder: python -m analysis.report results/NAME."""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from analysis.as_json import as_json
from analysis.load import LoadError, Results, load
from analysis.page import draw_png, render, svg, view
from analysis.sections import SECTIONS
from harness.errors import RecordsError, UserError
from harness.pipes import with_streams
from harness.results.folder import Folder

FORMATS = ("html", "md", "json")


def write_report(results: Results, out: Path | None = None, style: str = "html") -> Path:
    """Write the report of loaded results; return its path, by default report.STYLE in the first folder.

    Where that folder is a URI, the default is NAME.STYLE in the current folder. The styles are:

    - html: one file that opens offline.
    - md: Markdown; its figures lie beside it as PNG files named after it.
    - json: every number, see `as_json`.
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
    page = render(results, views, style)
    folder.write_whole(name, lambda file: file.write(page.encode()))
    return Path(f"{folder}/{name}")


def destination(results: Results, out: Path | None, style: str) -> tuple[Folder, str]:
    """The folder and the name of the report's file: `out`, or beside the tables, or in the current folder."""
    if out is not None:
        return Folder.to_write(out.parent, "--out"), out.name
    first = Folder.of(results.folders[0])
    return (first, f"report.{style}") if first.local else (Folder.of("."), f"{results.name}.{style}")


@with_streams
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

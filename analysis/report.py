"""One self-contained page from a results folder: python -m analysis.report results/NAME."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from analysis.as_json import json_text
from analysis.baseline import with_baseline
from analysis.command_line import carry_out, say
from analysis.drawing import draw_png, svg
from analysis.load import Results, load
from analysis.page import render, views
from analysis.paper.write import write_paper
from analysis.sections import SECTIONS
from harness.arguments import Parser
from harness.errors import UserError
from harness.pipes import with_streams
from harness.results.folder import Folder
from harness.results.through import is_stream

FORMATS = ("html", "md", "json", "paper")


def write_report(results: Results, out: Path | str | None = None, style: str = "html") -> Path | str:
    """Write the report of loaded results; return its path, by default report.STYLE in the first folder.

    Where that folder is a URI, so is what is returned, as a str. A symbolic link, a pipe or a device at `out`
    stays what it is, and is written through. Raises RecordsError if a folder is there. The styles are:

    - html: one file that opens offline.
    - md: Markdown; its figures lie beside it as PNG files named after it. Written to a pipe or a device, it
      has no figures.
    - json: every number, see `as_json`.
    - paper: a folder, see `write_paper`.
    """
    if style == "paper":
        return write_paper(results, out)
    folder, name = destination(results, out, style)
    folder.check_place(name)  # before the work, not after it
    content = (json_text(results) if style == "json" else page(results, folder, name, style)).encode()
    folder.write_whole(name, lambda file: file.write(content))
    return Path(f"{folder}/{name}") if folder.local else f"{folder}/{name}"


def page(results: Results, folder: Folder, name: str, style: str) -> str:
    """The page as HTML or Markdown; the figures of Markdown are written beside it."""
    shown = views(SECTIONS, results)
    drawn = [(number, section) for number, section in enumerate(shown) if section["figure"] is not None]
    if style == "html":
        for _, section in drawn:
            section["svg"] = svg(section["figure"])
    elif not folder.is_stream(name):
        for number, section in drawn:
            section["picture"] = f"{Path(name).stem}-{number + 1}.png"
            folder.write_whole(section["picture"], partial(draw_png, section["figure"]))
    return render(results, shown, style)


def destination(results: Results, out: Path | str | None, style: str) -> tuple[Folder, str]:
    """The folder and the name of the report's file: `out`, or beside the tables.

    Raises UserError if `out` cannot be a file.
    """
    if out is not None:
        out = Path(out)
        if out.name in ("", ".."):
            raise UserError(f"--out {out} is a folder, not a file; give a file, such as {out}/report.{style}")
        return Folder.to_write(out.parent, "--out"), out.name
    return Folder.of(results.folders[0]), f"report.{style}"


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = Parser(prog="python -m analysis.report", description=__doc__)
    parser.add_argument(
        "folders",
        nargs="+",
        metavar="folder",
        help="results folders, such as results/clipping_study or s3://bucket/clipping_study",
    )
    parser.add_argument("--format", choices=FORMATS, default="html", help="default: html")
    parser.add_argument(
        "--out", type=Path, help="file, or folder for paper (default: report.FORMAT in the first folder)"
    )
    parser.add_argument(
        "--baseline",
        metavar="NAME",
        help="compare with this model, optimizer or way of clipping, as the page names it: 'max_norm 1'",
    )
    parser.add_argument(
        "--mixed", action="store_true", help="read folders together though different code made them"
    )
    return parser.parse_args(argv)


@with_streams
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: 0 on success, 2 if there is nothing to report on or nowhere to write it."""
    arguments = parsed(argv)

    def write() -> int:
        results = load(*arguments.folders, mixed=arguments.mixed)
        if arguments.baseline is not None:
            results = with_baseline(results, arguments.baseline)
        path = write_report(results, arguments.out, arguments.format)
        if not (isinstance(path, Path) and is_stream(path)):  # standard output may be what the report went to
            say(f"report: {path}")
        return 0

    return carry_out(write)


if __name__ == "__main__":
    sys.exit(main())

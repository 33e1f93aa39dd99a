"""A folder for a paper: python -m analysis.report results/NAME --format paper."""

from pathlib import Path

from analysis.headline import choose
from analysis.load import LoadError, Results
from analysis.paper.caption import figure_caption, table_caption
from analysis.paper.figure import LIMITS, pdf, svg
from analysis.paper.latex import latex
from analysis.paper.references import bibliography
from analysis.paper.table import conditions_csv, figure_csv, runs_csv, table_tex
from analysis.sections.verdict.headline import differing_arms
from analysis.words import printable, text
from harness.errors import UserError
from harness.results.folder import Folder

PLACE = "paper"
"""The folder beside the tables."""

PAGE = "paper.tex"

MADE = "% Written by python -m analysis.report --format paper; written again, it is replaced."
"""The first line of every text: a folder whose PAGE lacks it is somebody's own."""

MAIN = r"""\documentclass[10pt]{article}
\usepackage[margin=1in]{geometry}
\usepackage{booktabs,graphicx,longtable}
\begin{document}
\title{%(title)s}
\author{}
\date{}
\maketitle

\begin{figure}[ht]
  \centering
  \includegraphics{figure.pdf}
  \caption[Stability against length]{\input{figure-caption}}
  \label{fig:stability}
\end{figure}

%(table)s

\bibliographystyle{plain}
\bibliography{references}
\end{document}
"""
"""The page. The figure is one column wide; everything else is as an article has it."""

FLOATING = r"""\begin{table}[ht]
  \centering
  \%(size)s
  \caption[Runs that solved the task]{\input{table-caption}}
  \label{tab:stability}
  \smallskip
  \setlength{\tabcolsep}{3.5pt}
  \input{table}
\end{table}"""

BREAKING = r"""\begingroup
\%(size)s
\setlength{\tabcolsep}{3.5pt}
\input{table}
\endgroup"""
"""A table that breaks between pages brings its caption."""

LONG = 30
"""Characters of a model's name from which the table is set smaller, so that it stays within the page."""


def write_paper(results: Results, out: Path | str | None = None) -> Path | str:
    """Write figure, caption, table, references and a page that holds them; return the folder.

    It is `paper` in the first folder, unless `out` names another. Where that is a URI, so is what is
    returned, as a str. Files of an earlier call are replaced. The same results give the same bytes.

    - paper.tex: the page, for pdflatex and bibtex.
    - figure.pdf, figure.svg, figure-caption.tex: the headline figure, 3.25 inches wide.
    - figure.csv: its points.
    - table.tex, table-caption.tex: the table, with booktabs.
    - conditions.csv: a row per condition, with the command that trains it again. runs.csv: its runs.
    - references.bib: the software and the results.

    Raises LoadError where no run is reported, UserError for a place that is taken.
    """
    if results.report_trials.empty:
        raise LoadError(f"{results.name} has no report trial yet, and so nothing for a paper")
    folder = place(results, out)
    folder.write_all(files(results))
    return Path(str(folder)) if folder.local else str(folder)


def place(results: Results, out: Path | str | None) -> Folder:
    """The folder to write to.

    Raises UserError if a file is there, or a paper that was not written by this.
    """
    where = Folder.of(results.folders[0]).folder(PLACE) if out is None else out
    folder = Folder.to_write(where, "--out")
    there = folder.content(PAGE)
    files, folders = folder.listed("")
    if (there is None and (files or folders)) or not (there or MADE.encode()).startswith(MADE.encode()):
        raise UserError(
            f"--out {folder} holds other files; --format paper writes to a folder of its own, such as "
            f"{folder}/{PLACE}"
        )
    return folder


def files(results: Results) -> dict[str, bytes]:
    """Every file of the folder, by name, PAGE first: what a killed call leaves can be written again."""
    shown = choose(results, differing_arms(results), LIMITS)
    table = table_tex(results)
    around = BREAKING if r"\begin{longtable}" in table else FLOATING
    longest = max(len(text(name)) for name in results.conditions["model"])
    around %= {"size": "scriptsize" if longest > LONG else "footnotesize"}
    texts = {
        PAGE: MAIN % {"title": latex(printable(results.name)), "table": around},
        "figure-caption.tex": f"{figure_caption(results, shown)}%",
        "table-caption.tex": f"{table_caption(results)}%",
        "table.tex": table,
        "references.bib": bibliography(results),
    }
    return {
        **{name: f"{MADE}\n{content.rstrip()}\n".encode() for name, content in texts.items()},
        "figure.pdf": pdf(shown),
        "figure.svg": svg(shown),
        "figure.csv": figure_csv(shown),
        "conditions.csv": conditions_csv(results),
        "runs.csv": runs_csv(results),
    }

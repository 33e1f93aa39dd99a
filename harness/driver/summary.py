"""The end of a run: the summary table, the report, and where everything is."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.conditions import conditions_table, readable
from analysis.load import LoadError, load
from analysis.report import write_report
from analysis.table import Table as Conditions
from harness.driver.progress import duration
from harness.planning.space import Space
from harness.results.schema import TABLES


def summarise(space: Space, folder: Path, failed_trials: int, out: Console) -> None:
    """Print the table of conditions, write the report, and print the paths to open."""
    try:
        results = load(folder)
    except LoadError:
        errors = f" {failed_trials} trials failed; errors: {folder}/failures" if failed_trials else ""
        out.print(f"No trial is recorded yet.{errors}")
        return
    table = conditions_table(results)
    if table.frame["n"].any():
        print_whole(as_rich(table), out)
    if table.frame["at_edge"].any():
        out.print("* the lowest or highest learning rate tried: the optimum may lie outside the range")
    path = write_report(results)
    if failed_trials:
        out.print(
            f"{failed_trials} trials failed; the same command tries them again. Errors: {folder}/failures"
        )
    work = float(results.trials["seconds"].sum())
    out.print(f"{len(results.trials)} trials recorded, {duration(work)} of training in all")
    tables = ", ".join(name for name in TABLES[:-1] if (folder / name).is_dir())
    out.print(f"tables:  {folder}/ {tables} (Parquet; pandas.read_parquet reads a folder)")
    if space.tuned:
        out.print(f"studies: {folder}/optuna.journal (optuna-dashboard opens it)")
    out.print(f"report:  {path}")


def print_whole(table: Table, out: Console) -> None:
    """Print a table at its own width: on a narrower terminal its lines wrap, but no number is cut."""
    width = table.__rich_measure__(out, out.options.update(max_width=1_000)).maximum
    out.print(table, width=max(width, 20), crop=False)


def as_rich(conditions: Conditions) -> Table:
    """The conditions table within 80 columns: k of n stable with its interval, and the rest."""
    shown = readable(conditions)
    names = {
        "length": "T",
        "max_norm": "max\nnorm",
        "learning rate": "lr",
        "P(stable)": "95 %\ninterval",
        "drops / 1,000 steps": "drops\n/1000",
        "median steps to solve": "steps\nto\nsolve",
    }
    hidden = ["P(solved)", "recovered", "lost", "unsolved", "final score", "control score", "clipped %"]
    shown["drops / 1,000 steps"] = shown["drops / 1,000 steps"].str.partition(" ")[0]
    shown["P(stable)"] = shown["P(stable)"].str.replace(r"^\S+ ", "", regex=True)
    shown = shown.drop(columns=hidden).rename(columns=names)
    drawn = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in shown.columns:
        drawn.add_column(name, justify="left" if name in ("model", "optimizer") else "right", no_wrap=True)
    for row in shown.itertuples(index=False):
        drawn.add_row(*(Text(cell) for cell in row))
    return drawn

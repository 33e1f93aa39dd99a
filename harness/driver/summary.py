"""The end of a run: what it found in a few sentences, the report, and where everything is."""

from pathlib import Path

from rich.console import Console

from analysis.conditions import conditions_table, readable
from analysis.escaping import shell
from analysis.load import LoadError, Results, load
from analysis.report import write_report
from analysis.sections import verdict
from analysis.table import Table as Conditions
from analysis.words import printable
from harness.driver.columns import print_columns
from harness.driver.progress import duration
from harness.errors import RecordsError, UserError
from harness.planning.space import Space
from harness.results.folder import Folder
from harness.results.schema import TABLES


def summarise(
    space: Space, folder: Path | str, failed_trials: int, out: Console, with_table: bool = False
) -> None:
    """Print what was found, write the report, and print the paths to open.

    With `with_table` a row per condition is printed first; else a line says how to get it.
    """
    try:
        results = load(folder)
    except LoadError:
        errors = f" {failed_trials} trials failed; errors: {folder}/failures" if failed_trials else ""
        out.print(f"No trial is recorded yet.{errors}")
        return
    if with_table:
        print_conditions(conditions_table(results), out)
    for sentence in verdict.table(results).sentences:
        out.print(sentence.words)
    if failed_trials:
        out.print(
            f"{failed_trials} trials failed; the same command tries them again. Errors: {folder}/failures"
        )
    work = float(results.trials["seconds"].sum())
    out.print(f"{len(results.trials)} trials recorded, {duration(work)} of training in all")
    made = Folder.of(folder).folders()
    tables = ", ".join(name for name in TABLES[:-1] if name in made)
    out.print(f"tables:  {folder}/ {tables} (Parquet; pandas.read_parquet reads a folder)")
    if space.tuned:
        out.print(f"studies: {folder}/optuna.journal (optuna-dashboard opens it)")
    if not with_table:
        count = len(results.conditions)
        out.print(f"rows:    the same command with --table prints one for each of {count} conditions")
    print_report(results, folder, out)


def print_report(results: Results, folder: Path | str, out: Console) -> None:
    """Write the report, and print where it is.

    Raises RecordsError if something is in its way: the message says what, that the trials are recorded, and
    what writes the report. Raises OSError, as all that writes does, if the disk is full or at fault.
    """
    try:
        path = write_report(results)
    except (RecordsError, UserError) as error:
        raise RecordsError(
            f"the report was not written: {printable(str(error))}. The {len(results.trials)} trials "
            f"that ended are recorded; python -m analysis.report {shell(str(folder))} --out FILE writes it"
        ) from None
    out.print(f"report:  {printable(str(path))}")


def print_conditions(conditions: Conditions, out: Console) -> None:
    """Print the conditions table: k of n stable with its interval, and the rest."""
    if not conditions.frame["n"].any():
        return
    shown = readable(conditions)
    heads = {
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
    kept = {name: shown[name].tolist() for name in shown.columns if name not in hidden}
    names = [
        name for name in conditions.keys if any(isinstance(value, str) for value in conditions.frame[name])
    ]
    columns = {name if heads.get(name) in kept else heads.get(name, name): kept[name] for name in kept}
    print_columns(columns, out, names)
    if conditions.frame["at_edge"].any():
        out.print("* the lowest or highest learning rate tried: the optimum may lie outside the range")
    if shown["learning rate"].str.contains("†").any():
        out.print("† none of the runs at the chosen rates solved the task")

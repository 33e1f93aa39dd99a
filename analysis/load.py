"""Results folders as DataFrames, and where their numbers come from."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.reserved import apart
from harness.results import reader
from harness.results.check import check_whole
from harness.results.definition import said_of_version
from harness.results.folder import Folder

CODE = ("harness", "git_commit", "python", "versions", "device")
"""Fields of a provenance record that can change numbers, beside the definition."""


class LoadError(ValueError):
    """The folders cannot be read as asked; the message says what was expected."""


@dataclass(frozen=True, eq=False)
class Results:
    """One or several results folders: conditions, trials, failures, and where the numbers come from.

    `folders` are local paths or URIs. `options` has by component, such as "model lstm", and by option all
    values. An option named like a column of the report's tables, such as n, is called "option n".
    `definitions` has the space.json of each folder. `sources` has the provenance records of each
    folder's files. `mixed` says that different code was allowed. `notes` say what lies in the folders and is
    left out, and what cannot be verified. `baseline` is the model, optimizer, arm or other value of an axis
    that the others are compared with, see `analysis.baseline`; empty where none was chosen.

    `conditions` has condition_id, the fields and options of each condition, and:

    - space: the name of its space.
    - planned: report seeds asked for. planned_tuning: tuning seeds at each learning rate, of all tunings.
      tuning_seeds: of one tuning.
    - grid: the learning rates tried first, as a tuple; empty if they were fixed.
    - tune_for: what a tuning chose by, see `harness.target`.
    """

    folders: tuple[str, ...]
    conditions: pd.DataFrame
    trials: pd.DataFrame
    failures: pd.DataFrame
    options: dict[str, dict[str, list[Any]]]
    definitions: tuple[dict[str, Any], ...]
    sources: tuple[list[dict[str, Any]], ...]
    mixed: bool = False
    notes: tuple[str, ...] = ()
    baseline: str = ""

    @property
    def name(self) -> str:
        """What to call these results."""
        return " + ".join(Path(folder).resolve().name for folder in self.folders)

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """The distinct provenance records of all folders."""
        every = [record for records in self.sources for record in records]
        return list({json.dumps(record, sort_keys=True): record for record in every}.values())

    @property
    def code(self) -> list[dict[str, Any]]:
        """The distinct combinations of the fields that CODE names."""
        every = [{name: record.get(name) for name in CODE} for record in self.provenance]
        return list({json.dumps(code, sort_keys=True): code for code in every}.values())

    @property
    def report_trials(self) -> pd.DataFrame:
        """The trials whose numbers are reported."""
        return self.trials[self.trials["phase"] == "report"]

    @property
    def tuning_trials(self) -> pd.DataFrame:
        """The trials that chose the learning rates."""
        return self.trials[self.trials["phase"] == "tune"]

    def read(
        self, table: str, columns: Sequence[str] | None = None, trials: Iterable[str] | None = None
    ) -> pd.DataFrame:
        """A table of histories: steps, evals, events, moments, profiles or samples.

        It reads only these columns, and only the files of the packs that hold these trials. A trial that is
        in several folders is read from the first.
        """
        wanted = self.trials if trials is None else self.trials[self.trials["trial_id"].isin(list(trials))]
        wanted = wanted.drop_duplicates("trial_id")
        parts = []
        for folder, group in wanted.groupby("folder", sort=False):
            packs = None if trials is None else set(group["pack_id"])
            part = reader.read(str(folder), table, columns, packs)
            parts.append(part[part["trial_id"].isin(group["trial_id"])] if len(part) else part)
        parts = [part for part in parts if len(part)] or parts[:1]
        return pd.concat(parts, ignore_index=True) if parts else reader.empty(table, columns)


def load(*folders: Path | str, mixed: bool = False) -> Results:
    """Load results folders as one: the union of their conditions and trials, each trial_id once.

    A folder is a local path, or a URI that pyarrow or fsspec opens, such as s3://bucket/results/NAME. Step
    histories stay on disk: see `Results.read`. RecordsError is raised if a file is damaged or missing.
    LoadError is raised:

    - if a folder does not exist or holds no recorded trials;
    - if its tables are of another version than this code reads;
    - if folders give the same conditions different budgets;
    - if folders were made by different code or on different devices, and `mixed` does not allow it.
    """
    if not folders:
        raise LoadError("no results folder is given")
    paths = tuple(dict.fromkeys(str(folder) for folder in folders))
    definitions = [_definition(path) for path in paths]
    checked = [check_whole(path) for path in paths]
    sources = [reader.records_in(footers) for footers, _ in checked]
    conditions = [_conditions(path, d) for path, d in zip(paths, definitions, strict=True)]
    _check_budgets(paths, definitions, conditions)
    if not mixed:
        _check_code(paths, sources)
    trials = [reader.read(path, "trials").rename(columns=apart).assign(folder=path) for path in paths]
    joined = _joined(trials).drop_duplicates(["trial_id", "condition_id"], ignore_index=True)
    failures = _joined([reader.read(path, "failures") for path in paths]).drop_duplicates("trial_id")
    if not failures.empty:  # a failed trial may since have been trained in another pack
        failures = failures[~failures["trial_id"].isin(joined["trial_id"])]
    asked = [_with_added_seeds(f, d, joined) for f, d in zip(conditions, definitions, strict=True)]
    planned = _joined(asked).sort_values("planned", kind="stable", ascending=False)
    return Results(
        folders=paths,
        conditions=planned.drop_duplicates("condition_id").sort_index(ignore_index=True),
        trials=joined,
        failures=failures,
        options=_options(definitions),
        definitions=tuple(definitions),
        sources=tuple(sources),
        mixed=mixed,
        notes=tuple(note for _, notes in checked for note in notes),
    )


def made_by(definition: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The provenance record with this definition, or the first record if there is none.

    A folder that has grown has records of its smaller definitions too.
    """
    return next((r for r in records if r.get("definition") == definition), records[0] if records else {})


def _definition(folder: str) -> dict[str, Any]:
    definition = reader.read_definition(folder)
    if definition is None or not reader.committed_files(folder, "trials"):
        here = Folder.of(folder)
        inside = [name for name in here.folders() if reader.read_definition(here.folder(name))]
        hint = f"; it holds results folders: {', '.join(inside)}" if inside else ""
        raise LoadError(
            f"{folder} holds no results; expected a folder with space.json and trials/*.parquet, "
            f"as written by python -m harness.run{hint}"
        )
    if said := said_of_version(folder, definition):
        raise LoadError(said)
    return definition


BUDGET = ("max_steps", "observe", "eval_every")


def _check_budgets(
    paths: Sequence[str], definitions: Sequence[dict[str, Any]], conditions: Sequence[pd.DataFrame]
) -> None:
    """Raise LoadError if folders hold the same conditions with different budgets: a seed counts once."""
    seen: dict[str, tuple[str, dict[str, Any]]] = {}
    for path, definition, frame in zip(paths, definitions, conditions, strict=True):
        budget = {name: definition.get(name) for name in BUDGET}
        for condition in frame["condition_id"]:
            other, theirs = seen.setdefault(condition, (path, budget))
            for name in BUDGET:
                if theirs[name] != budget[name]:
                    raise LoadError(
                        f"{other} and {path} hold the same conditions with different budgets ({name}: "
                        f"{theirs[name]} and {budget[name]}); report on them one at a time"
                    )


def _check_code(paths: Sequence[str], sources: Sequence[Sequence[dict[str, Any]]]) -> None:
    """Raise LoadError unless all folders come from the same code, versions and device."""
    first = sources[0][0] if sources[0] else {}
    for path, found in zip(paths[1:], sources[1:], strict=True):
        for record in found:
            for name in CODE:
                if record.get(name) != first.get(name):
                    raise LoadError(
                        f"{paths[0]} and {path} were made by different code ({name}: {first.get(name)} and "
                        f"{record.get(name)}); say mixed=True (--mixed) to read them together all the same"
                    )


def _conditions(folder: str, definition: dict[str, Any]) -> pd.DataFrame:
    """The conditions of a folder with what was planned for them."""
    frame = reader.read_conditions(folder).rename(columns=apart)
    grids = [tuple(definition["first_grids"].get(name, ())) for name in frame["optimizer"]]
    tunings = definition["seeds"] if definition.get("tuned_by") == "seed" else 1
    planned = frame.assign(
        space=definition["name"],
        planned=definition["seeds"],
        planned_tuning=tunings * definition["tuning_seeds"],
        tuning_seeds=definition["tuning_seeds"],
        tune_for=definition.get("tune_for", "fast"),
    )
    planned["grid"] = pd.Series(grids, index=frame.index, dtype=object)
    return planned


def _with_added_seeds(
    conditions: pd.DataFrame, definition: dict[str, Any], trials: pd.DataFrame
) -> pd.DataFrame:
    """The conditions with the seeds asked for so far, where a rule adds them in batches.

    All conditions of a task and length have the same seeds; those of a batch that has begun are asked for.
    """
    rule = re.search(r"max=(\d+)", definition.get("seeds_until", ""))
    if rule is None:
        return conditions
    first = definition["seeds"]
    reported = trials[(trials["phase"] == "report") & (trials["space"] == definition["name"])]
    begun = (reported.groupby(["task", "length"])["seed"].max() // first + 1) * first
    at = zip(conditions["task"], conditions["length"], strict=True)
    seeds = pd.Series([min(int(rule[1]), begun.get(key, first)) for key in at], index=conditions.index)
    tuning = conditions["planned_tuning"] * seeds // first
    return conditions.assign(planned=seeds, planned_tuning=tuning)


def _options(definitions: Sequence[dict[str, Any]]) -> dict[str, dict[str, list[Any]]]:
    """All values of all definitions, by component and option."""
    found: dict[str, dict[str, list[Any]]] = {}
    for definition in definitions:
        for component, options in definition["options"].items():
            for name, values in options.items():
                known = found.setdefault(component, {}).setdefault(apart(name), [])
                known += [value for value in values if value not in known]
    return found


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames below each other; the columns of the first if none has rows."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else frames[0]

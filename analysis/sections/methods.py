"""How were these numbers made, and how can they be made again?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.escaping import shell
from analysis.figures import nothing
from analysis.load import Results, made_by
from analysis.rates import slowest
from analysis.sections.base import Section
from analysis.table import Table
from analysis.words import printable, text
from harness.results.provenance import git_commit

DESIGN = {
    "tasks": "tasks",
    "scale": "scale",
    "models": "models",
    "optimizers": "optimizers",
    "clip_rules": "clipping rules",
    "max_norms": "max_norm",
    "lengths": "lengths T",
    "bracket": "lengths are added until",
    "hidden_size": "hidden units",
    "batch_size": "batch size",
    "learning_rate": "learning rate",
    "seeds": "report seeds per condition",
    "seeds_until": "report seeds are added until",
    "lr_trials": "learning rates tried in a tuning",
    "tuning_seeds": "tuning seeds per learning rate",
    "max_steps": "steps to solve within",
    "observe": "steps watched after solving",
    "eval_every": "steps between held-out evaluations",
    "pack_size": "trials in a pack, at most",
    "engine": "engine",
    "probes": "measured at moments of training",
}
"""Fields of a definition, and what the report calls them; a further axis goes by its own name."""

OF_A_TUNING = ("lr_trials", "tuning_seeds")
"""Fields that say nothing where the learning rate is fixed."""

MADE_WITH = {
    "git_commit": "code, commit",
    "harness": "code, version",
    "python": "Python",
    "processor": "processor",
    "cores": "cores",
    "gpu": "GPU",
    "device": "device",
    "executor": "executor",
    "seed_rule": "seeds",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Methods(Table):
    """A row per fact, and the shell `commands` that make the numbers and this page again."""

    commands: list[str]


def table(results: Results) -> Methods:
    """One row per fact about how the numbers were made: `what`, and its value in each folder, as text."""
    names = [printable(Path(folder).resolve().name) for folder in results.folders]
    if len(set(names)) < len(names):
        names = list(map(printable, results.folders))
    names = [f"./{name}" if name == "what" else name for name in names]
    folders = [
        facts(definition, made_by(definition, records))
        for definition, records in zip(results.definitions, results.sources, strict=True)
    ]
    rows = [
        {"what": what} | {name: fact.get(what, "-") for name, fact in zip(names, folders, strict=True)}
        for what in dict.fromkeys(what for fact in folders for what in fact)
    ]
    rows.append({"what": "this report, commit"} | dict.fromkeys(names, git_commit() or "-"))
    return Methods(frame=pd.DataFrame(rows), commands=commands(results))


def facts(definition: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, str]:
    """Design and provenance of one folder, in words."""
    tuned = definition.get("learning_rate") is None
    names = [name for name in DESIGN if name in definition and (tuned or name not in OF_A_TUNING)]
    found = {DESIGN[name]: worded(definition[name]) for name in names}
    found |= {
        name: worded(value)
        for name, value in definition.items()
        if name not in DESIGN and isinstance(value, (list, tuple)) and len(value) > 1
    }
    if tuned:
        found["learning rate"] = tuning(definition)
    for component, options in definition.get("options", {}).items():
        for name, values in options.items():
            found[f"{name} ({component})"] = worded(values)
    found |= {
        f"source of {text(path)}": text(digest) for path, digest in definition.get("sources", {}).items()
    }
    found |= {
        label: worded(record[name]) for name, label in MADE_WITH.items() if record.get(name) is not None
    }
    versions = record.get("versions", {})
    return found | {
        "packages": ", ".join(f"{text(name)} {text(version)}" for name, version in versions.items())
    }


def tuning(definition: Mapping[str, Any]) -> str:
    """How learning rates were chosen: for whom, of which rates, what proposed more, and by what."""
    per = "condition and report seed" if "tuned_by" in definition else "condition"
    grids = definition["first_grids"]
    tried = "; ".join(f"{worded(grid)} ({name})" for name, grid in grids.items())
    more = any(len(grid) < definition["lr_trials"] for grid in grids.values())
    said = [f"tuned per {per}: {tried}{'; then by TPE' if more else ''}", *growth(definition)]
    if "tuned_by" not in definition:
        return ". ".join([*said, "The rate with the lowest loss was taken."])
    return ". ".join([*said, slowest(definition.get("tune_for", "fast"))])


def growth(definition: Mapping[str, Any]) -> list[str]:
    """By how much a range of rates may grow, and when; nothing where it may not."""
    decades = definition.get("lr_extend", 0)
    many = "s" if decades > 1 else ""
    rule = "Where the best rate of a seed is an end of its range, the range grows by a decade"
    return [f"{rule}, up to {decades:g} decade{many} on each side"] if decades else []


def worded(value: Any) -> str:
    """A field of a definition as a person reads it.

    Examples are "5, 10", "low 0.001, high 1" and "palindrome 5, 10; adding 50". The lengths of a single task
    stand without its name.
    """
    if isinstance(value, (list, tuple)):
        return ", ".join(worded(item) for item in value)
    if isinstance(value, Mapping):
        nested = all(isinstance(item, (list, tuple)) for item in value.values())
        if nested and len(value) == 1:
            return worded(*value.values())
        return ("; " if nested else ", ").join(f"{name} {worded(item)}" for name, item in value.items())
    return text(value)


def commands(results: Results) -> list[str]:
    """What to type to make the numbers and this page again.

    A commit is left out where the files differed from it.
    """
    found, at = [], None
    for definition, records in zip(results.definitions, results.sources, strict=True):
        record = made_by(definition, records)
        if record.get("argv"):
            found += [
                *checkout(at, record.get("git_commit")),
                f"python -m harness.run {' '.join(map(shell, record['argv']))}",
            ]
            at = record.get("git_commit")
    folders = " ".join(map(shell, results.folders))
    mixed = " --mixed" if results.mixed else ""
    return [*found, *checkout(at, git_commit()), f"python -m analysis.report {folders}{mixed}"]


def checkout(now: str | None, wanted: str | None) -> list[str]:
    """The command that changes to a commit, if there is need and the commit is all there is to it."""
    clean = wanted is not None and not wanted.endswith("-dirty")
    return [f"git checkout {wanted}"] if clean and wanted != now else []


SECTION = Section(
    title="Methods and provenance",
    question="How were these numbers made, and how can they be made again?",
    table=table,
    render=lambda _: nothing("This section is a table without a picture."),
    readable=lambda found: found.frame,
    commands=lambda found: found.commands,
    note=(
        "Outcomes and effects count report trials only; a section that counts tuning trials says so. "
        "docs/measures.md of the project defines every measure. The same "
        "command on the same versions and kind of processor gives the same numbers to the bit. Another "
        "processor rounds differently, and training is chaotic: then expect the same within the intervals."
    ),
)

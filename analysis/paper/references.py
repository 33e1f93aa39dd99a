"""BibTeX entries for the software and for the results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.load import Results, made_by
from analysis.paper.latex import latex
from analysis.words import printable
from harness import __version__
from harness.results.definition import digest
from harness.results.local import free_name

SOFTWARE = "stability-harness"
"""Name of the software, and key of its entry."""

SUMMARY = "A measuring instrument for the training stability of sequence models"


def bibliography(results: Results) -> str:
    """The entries: of the software, and of each folder by name, definition and code.

    A definition is named by the sha256 that ends its space.json. Nothing is in an entry that the files do not
    record.
    """
    entries = [
        entry(
            SOFTWARE,
            author=f"{{The {SOFTWARE} authors}}",
            title=f"{{{SOFTWARE}}}: {SUMMARY}",
            howpublished=f"Software, version {latex(versions(results))}",
        )
    ]
    folders = zip(results.folders, results.definitions, results.sources, strict=True)
    for key, (folder, definition, records) in zip(cited(results)[1:], folders, strict=True):
        name = latex(printable(Path(folder).resolve().name)).replace("-", r"-\allowbreak{}")
        made = [f"Definition {digest(definition)[:16]}", *code(made_by(definition, records))]
        entries.append(
            entry(
                key,
                key=key,
                title=f"{{Results of {latex(definition['name'])}}}",
                howpublished=rf"Results folder \texttt{{{name}}}",
                note=", ".join(made),
            )
        )
    return "\n\n".join(entries) + "\n"


def entry(name: str, **fields: str) -> str:
    """One entry."""
    lines = [f"  {field} = {{{value}}}," for field, value in fields.items()]
    return "\n".join([f"@misc{{{name},", *lines, "}"])


def code(record: Mapping[str, Any]) -> list[str]:
    """The commit of the code that made the numbers, where it is known."""
    return [f"code {latex(str(record['git_commit'])[:12])}"] if record.get("git_commit") else []


def versions(results: Results) -> str:
    """The versions of the software that made the numbers; this one's, where the files do not say."""
    found = {str(record["harness"]) for record in results.provenance if record.get("harness")}
    return ", ".join(sorted(found or {__version__}))


def cited(results: Results) -> Sequence[str]:
    """The keys of all entries: the software, then each folder by its space and definition."""
    keys = [SOFTWARE]
    for definition in results.definitions:
        key = f"{definition['name'].replace('_', '-')}-{digest(definition)[:8]}"
        keys.append(free_name(key, keys.__contains__))
    return keys

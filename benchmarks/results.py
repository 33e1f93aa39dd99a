"""benchmarks/RESULTS.md: a section per benchmark, each with the machine and the command that made it."""

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from harness.results.provenance import provenance

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = "# Results\n\nEach section is written by the command that it names: see [README.md](README.md).\n"


def write_section(title: str, text: str, path: Path = RESULTS) -> None:
    """Write a section, in the place of the one of this title if there is one."""
    before = path.read_text() if path.exists() else HEAD
    head, *sections = before.split("\n## ")
    found = {section.partition("\n")[0]: section.rstrip() for section in sections}
    found[title] = f"{title}\n\n{text.strip()}"
    path.write_text("\n\n## ".join([head.rstrip(), *found.values()]) + "\n")


def where(command: str, packages: Sequence[str] = ()) -> str:
    """One line: command, processor, versions of what is installed, and the commit of the code."""
    known = provenance({}, "serial", "cpu", None, None)
    versions = [f"{name} {v}" for name in ("torch", "numpy", *packages) if (v := _version(name))]
    system = f"{known['processor']}, {known['cores']} cores, {known['platform']}"
    code = known["git_commit"] or f"version {known['harness']}"
    return f"`{command}` on {system}; Python {known['python']}, {', '.join(versions)}; code at {code}."


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

"""Everything that a space can name: what `--list` prints."""

import ast
import json
from pathlib import Path

from rich.console import Console

from harness import probes
from harness.condition import PARTS
from harness.planning.load import BUILT_IN, built_in_spaces
from harness.planning.parts import REGISTRIES
from harness.registry import first_line


def print_listing(style: str, out: Console) -> None:
    """Print the listing as `style`: "text", a line each, or "json"."""
    listing = make_listing()
    if style == "json":
        out.print(json.dumps(listing, indent=1))
        return
    for kind, lines in listing.items():
        out.print(kind, style="bold")
        for name, line in lines.items():
            out.print(f"  {name:<16} {line}")


def make_listing() -> dict[str, dict[str, str]]:
    """By kind and name: a line on every space, task, model, optimizer, clip rule, probe and option."""
    return {
        "spaces": {name: summary_of_space(BUILT_IN / f"{name}.py") for name in built_in_spaces()},
        **{
            axis: {name: REGISTRIES[part].first_line(name) for name in REGISTRIES[part].names()}
            for part, axis in PARTS.items()
        },
        "probes": {name: first_line(probe.measure) for name, probe in probes.PROBES.items()},
        "options": list_options(),
    }


def summary_of_space(path: Path) -> str:
    """The text of `summary=` in a space's file; to make the space would read its task's data."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.keyword) and node.arg == "summary" and isinstance(node.value, ast.Constant):
            return str(node.value.value)
    return ""


def list_options() -> dict[str, str]:
    """Every option of everything built in: its type or choices, its defaults, and whose each default is.

    `layers` is "int, default 1, of model gru, lstm, rnn; int, default 2, of model min_gru, transformer".
    """
    owners: dict[str, dict[str, list[str]]] = {}  # by option, and what it is
    for part, registry in REGISTRIES.items():
        for component in registry.names():
            for name, option in registry.options(component).items():
                kind = " | ".join(map(str, option.choices)) if option.choices else option.type.__name__
                line = f"{kind}, default {option.default}, of {part}"
                owners.setdefault(name, {}).setdefault(line, []).append(component)
    return {
        name: "; ".join(f"{line} {', '.join(components)}" for line, components in lines.items())
        for name, lines in owners.items()
    }

"""Columns of text on a terminal or in a pipe: no number and no name is ever cut."""

from collections.abc import Collection, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

SHORTEST = 9
"""Characters to which a name is shortened, at least."""

Columns = Mapping[str, Sequence[str]]
"""Cells by the head of their column; a head may have several lines."""


def print_columns(columns: Columns, out: Console, names: Collection[str] = ()) -> None:
    """Print columns side by side, those in `names` to the left and the others (numbers) to the right.

    On a terminal that is too narrow, names lose their middle, and lines below say what each stands for. What
    is still too wide wraps. In a pipe or a file every line is whole.
    """
    legend = shortened(columns, out.width, names) if out.is_terminal else {}
    shown = {
        head: [legend.get(cell, cell) if head in names else cell for cell in cells]
        for head, cells in columns.items()
    }
    heads, rows = laid_out(shown, names)
    for line in heads:
        print_line(line, out, "bold")
    for line in rows:
        print_line(line, out)
    for name, short in legend.items():
        print_line(f"{short} is {name}", out)


def laid_out(columns: Columns, names: Collection[str] = ()) -> tuple[list[str], list[str]]:
    """The lines of the heads, and a line per row."""
    tops = {head: head.split("\n") for head in columns}
    height = max(map(len, tops.values()), default=0)
    padded = []
    for head, cells in columns.items():
        column = [*[""] * (height - len(tops[head])), *tops[head], *cells]
        width = max(map(cell_len, column))
        blanks = [" " * (width - cell_len(cell)) for cell in column]
        left = head in names
        padded.append([c + b if left else b + c for c, b in zip(column, blanks, strict=True)])
    lines = [" ".join(cells).rstrip() for cells in zip(*padded, strict=True)]
    return lines[:height], lines[height:]


def shortened(columns: Columns, width: int, names: Collection[str]) -> dict[str, str]:
    """By name: what to show for it so that the columns fit; empty if they do, all distinct."""
    every = {cell for head, cells in columns.items() if head in names for cell in cells}
    found: dict[str, str] = {}
    for longest in range(max(map(cell_len, every), default=0), SHORTEST - 1, -1):
        shorter = {name: without_middle(name, longest) for name in sorted(every)}
        if len(set(shorter.values())) < len(shorter):
            break
        found = {name: short for name, short in shorter.items() if short != name}
        tried = {h: [shorter[c] for c in cells] if h in names else cells for h, cells in columns.items()}
        if all(cell_len(line) <= width for lines in laid_out(tried, names) for line in lines):
            break
    return found


def without_middle(name: str, longest: int) -> str:
    """A name of at most so many characters: its beginning and its end, which tells classes apart."""
    if len(name) <= longest:
        return name
    end = 2 * (longest - 2) // 3
    return f"{name[: longest - 2 - end]}..{name[-end:]}"


def print_line(line: str, out: Console, style: str = "") -> None:
    """Print a line as it is, whatever the width of the console."""
    out.print(Text(line, style=style), soft_wrap=True)

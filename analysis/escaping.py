"""What a name or sentence becomes in each format, so that it reads as it is and does nothing.

HTML escapes in its template (see `analysis.page`), JSON in `analysis.as_json`, a terminal shows `printable`.
"""

import re
import shlex
import textwrap

from analysis.words import printable


def markdown(words: str) -> str:
    """Words for a line or a cell of Markdown: no HTML, emphasis, code, formula, link or further cell."""
    plain = printable(words).replace("&", "&amp;").replace("<", "&lt;")
    plain = re.sub(r"[\\`*|$~#]|\](?=[(\[:])", lambda sign: "\\" + sign[0], plain)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", plain)


def fenced(commands: list[str]) -> str:
    """Commands that follow each other as a code block of Markdown, whatever they hold."""
    lines = " &&\n".join(map(printable, commands))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", lines)), default=0))
    return "\n".join([fence, lines, fence])


def figure_text(words: str, width: int) -> str:
    """Words for a figure, in lines of so many characters: no formula, and never left out of a legend."""
    lines = textwrap.wrap(printable(words), width) or [""]
    plain = "\n".join(lines).replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain


def shell(argument: str) -> str:
    """An argument as a shell (bash, zsh) reads it back: bare, quoted, or as $'...' where signs are unseen."""
    if printable(argument) == argument:
        return shlex.quote(argument)
    quoted = argument.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{printable(quoted)}'"

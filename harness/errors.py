"""The errors of a run, and what says what a foreign exception was: one line, or its whole traceback."""

import linecache
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

LONGEST = 300
"""Characters of a message that a line shows; the whole is in failures/."""

LONGEST_TRACEBACK = 1_000_000
"""Characters that are kept of a traceback's beginning, and as many of its end."""

HEADER = "Traceback (most recent call last):\n"

NOT_OWN = {"analysis", "harness", "numpy", "pandas", "ray", "scipy", "torch", *sys.stdlib_module_names}
"""Packages whose code is not the user's own."""


class UserError(ValueError):
    """Something the user can mend: one line that says what; nothing was started."""


class RecordsError(RuntimeError):
    """The folder cannot be used as asked; the message says why and what to do."""


class ExecutorError(RuntimeError):
    """What trains the packs broke down in the middle of a run; what was finished is recorded."""


class FailedTrials(RuntimeError):
    """A run ended, and some of its trials failed; everything else is recorded.

    `folder` holds the results, `folder/failures` the errors, `count` is the number of failed trials. The
    message names the first error. The same call tries these trials again.
    """

    def __init__(self, folder: Path | str, count: int, first: str) -> None:
        super().__init__(f"{count} trials failed, the first {first}; all errors: {folder}/failures")
        self.folder = folder
        self.count = count


def one_line(error: BaseException) -> str:
    """Type, message and place of an exception, such as `KeyError: 'h' (mycells.py:12)`.

    The place is the innermost line of the user's own code, else the innermost line of all. Where there is no
    message, it quotes that line. Of a group, the first exception follows. Notes come last.

    It is one printable line of bounded length, whatever the exception is, and it never raises: a message
    that cannot be made is left out.
    """
    try:
        return plain(_one_line(error))[: 4 * LONGEST]
    except Exception:  # an exception's class may be broken in any way
        return plain(type.__repr__(type(error)))[: 4 * LONGEST]


def _one_line(error: BaseException) -> str:
    trace = error.__traceback__  # making the message may raise the same exception again
    if isinstance(error, UserError | RecordsError):  # ours: it says all that there is to say
        return " ".join(text_of(error).split())
    message = shortened(text_of(error))
    said = f"{type(error).__name__}{': ' if message else ''}{message}"
    if place := place_of(trace, quoted=not message):
        said += f" ({place})"
    if isinstance(error, BaseExceptionGroup):
        first: BaseException = error
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        said += f", the first {_one_line(first)}"
    notes = getattr(error, "__notes__", ())
    told = [shortened(str(note)) for note in notes] if isinstance(notes, list) else []
    return " ".join([said, *told])


def whole(error: BaseException) -> str:
    """The whole traceback of an exception, with the ones that led to it, as text that UTF-8 can hold.

    Of one that is very long, the beginning and the end. It never raises.
    """
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # an exception's class may be broken in any way
        text = "".join([HEADER, *traceback.format_tb(error.__traceback__), one_line(error)])
    left_out = len(text) - 2 * LONGEST_TRACEBACK
    if left_out > 0:
        middle = f"\n... {left_out} characters left out ...\n"
        text = text[:LONGEST_TRACEBACK] + middle + text[-LONGEST_TRACEBACK:]
    return text.encode("utf-8", "backslashreplace").decode()


def text_of(error: BaseException) -> str:
    """The message of an exception; empty if it cannot be made."""
    try:
        return str.__str__(str(error))
    except KeyboardInterrupt:
        raise
    except BaseException:  # it may even exit
        return ""


def shortened(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: 4 * LONGEST].split())
    cut = len(line) > LONGEST or len(text) > 4 * LONGEST
    return line[: LONGEST - 4] + " ..." if cut else line


def plain(text: str) -> str:
    """A text without what is not printable: control characters, line ends, lone surrogates."""
    return "".join(character if character.isprintable() else "?" for character in text)


def place_of(trace: TracebackType | None, quoted: bool) -> str:
    """File and line of the innermost frame of the user's own code, else of a package it uses, else of any.

    Empty if there is none, and where an import found nothing. `quoted` adds the line itself.
    """
    places = list(frames(trace))
    foreign = [place for place in places if place[2].partition(".")[0] not in NOT_OWN]
    own = [place for place in foreign if "-packages/" not in place[0]] or foreign
    if not own and (not places or places[-1][2].startswith("importlib.")):
        return ""
    file, line, _ = (own or places)[-1]
    code = linecache.getline(file, line).strip() if quoted else ""
    return f"{Path(file).name}:{line}{': ' if code else ''}{shortened(code)}"


def frames(trace: TracebackType | None) -> Iterator[tuple[str, int, str]]:
    """File, line and module of every frame, the innermost last."""
    for frame, line in traceback.walk_tb(trace):
        yield frame.f_code.co_filename, line, str(frame.f_globals.get("__name__"))

"""The errors of a run, and the one line that says what an exception was."""

import traceback
from pathlib import Path

LONGEST = 300
"""Characters of a message that a line shows; the whole is in failures/."""


class UserError(ValueError):
    """Something the user can mend: one line that says what; nothing was started."""


class RecordsError(RuntimeError):
    """The folder cannot be used as asked; the message says why and what to do."""


class FailedTrials(RuntimeError):
    """A run ended, and some of its trials failed; everything else is recorded.

    `folder` holds the results, `folder/failures` the errors, `count` is the number of failed trials. The
    message names the first error. The same call tries these trials again.
    """

    def __init__(self, folder: Path, count: int, first: str) -> None:
        super().__init__(f"{count} trials failed, the first {first}; all errors: {folder}/failures")
        self.folder = folder
        self.count = count


def one_line(error: BaseException) -> str:
    """Type, message and the last line of code that raised it, such as `KeyError: 'h' (mycells.py:12)`.

    It is one printable line of bounded length, whatever the message is, and it never raises: a message that
    cannot be made is left out.
    """
    try:
        message = str(error)
    except Exception:
        message = ""
    message = " ".join(message[: 4 * LONGEST].encode("utf-8", "replace").decode().split())
    if len(message) > LONGEST:
        message = message[: LONGEST - 4] + " ..."
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{': ' if message else ''}{message}{place}"

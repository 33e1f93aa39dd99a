"""What the command lines of this package share: how they print, and what becomes of errors."""

import sys
from collections.abc import Callable

from analysis.load import LoadError
from analysis.words import printable
from harness.errors import RecordsError, UserError
from harness.pipes import READER_GONE

LONGEST = 900
"""Characters of an error that are shown: paths may be long."""

REFUSED = 2
"""Exit code for something to mend."""


def say(line: str) -> None:
    """Print a line on standard output; say nothing more once nobody reads it, as in `... | head`."""
    try:
        print(encodable(printable(line), sys.stdout), flush=True)  # noqa: T201
    except BrokenPipeError:
        sys.stdout = None  # print is silent then, and nothing is left to flush


def complain(reason: object, kind: str = "error") -> None:
    """Print an error, or another `kind` of remark, in one line of bounded length on standard error."""
    line = f"{kind}: {printable(str(reason))}"
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    print(encodable(line, sys.stderr), file=sys.stderr)  # noqa: T201


def encodable(line: str, stream: object) -> str:
    """The line with an escape for each letter that the stream's encoding lacks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return line.encode(encoding, "backslashreplace").decode(encoding)


def carry_out(command: Callable[[], int]) -> int:
    """The exit code of a command; what its user can mend is said in one line, and the code is 2."""
    try:
        return command()
    except BrokenPipeError:
        return READER_GONE
    except (LoadError, RecordsError, UserError, OSError) as error:
        complain(error)
        return REFUSED

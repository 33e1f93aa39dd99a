"""Spaces by name or by file."""

import contextlib
import dataclasses
import importlib.util
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from harness.errors import UserError, one_line
from harness.held import held
from harness.planning.space import Space
from harness.reading import closest

BUILT_IN = Path(__file__).parents[2] / "search_spaces"

PATIENCE = 3.0
"""Seconds after which it is said that a space file is still being run."""


@held(own=True)
def load_space(name: str) -> Space:
    """A built-in space by name, or the SPACE that a Python file binds, by its path.

    What the file prints goes to standard error. A file that takes long is named there. Raises UserError if
    there is none, if the file cannot be run, or if it binds no SPACE.
    """
    path = Path(name) if name.endswith(".py") else BUILT_IN / f"{name}.py"
    check_file(name, path)
    space = getattr(executed(path), "SPACE", None)
    if not isinstance(space, Space):
        found = "" if space is None else f"; its SPACE is a {type(space).__name__}"
        raise UserError(f"space file {path} binds no SPACE = Space(...){found}")
    return space


def check_file(name: str, path: Path) -> None:
    """Raise UserError unless there is a regular file: reading a pipe or a device might never end."""
    try:
        found, regular = path.exists(), path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        found = regular = False
    if found and not regular:
        raise UserError(f"space {name!r} is no regular file; expected a name, or a path to FILE.py")
    if not found:
        known = built_in_spaces()
        beside = Path(f"{name}.py")
        near = closest(Path(name).stem, known)
        if not near and not name.endswith(".py") and "\0" not in name and beside.is_file():
            near = f" (did you mean {beside}?)"
        raise UserError(f"no space named {name!r}{near}; known: {', '.join(known)}, or a path to FILE.py")


def executed(path: Path) -> ModuleType:
    """The module that a space file is, after it has run; UserError if it cannot be run."""
    spec = importlib.util.spec_from_file_location(f"space_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        with said_to_be_read(path), contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a user's file may raise anything, and exit; it is reported as theirs
        said = f"space file {path} cannot be loaded{_line(path, error)}: {one_line(error)}{_meant(error)}"
        raise UserError(said) from error
    return module


@contextlib.contextmanager
def said_to_be_read(path: Path) -> Iterator[None]:
    """Name the file on standard error if it takes longer than PATIENCE, and the line of an interruption."""
    said = f"reading {path} ...; Ctrl-C says at which line it is"
    timer = threading.Timer(PATIENCE, print, (said,), {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    except KeyboardInterrupt as error:
        sys.stderr.write(f"interrupted while reading {path}{_line(path, error)}\n")
        raise
    finally:
        timer.cancel()


def _line(path: Path, error: BaseException) -> str:
    """Such as ', line 12': where in the file the error arose; nothing if it did not get to run."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path.absolute()]
    return f", line {lines[-1]}" if lines else ""


def _meant(error: BaseException) -> str:
    """The field of Space that is near to one that it does not have."""
    unknown = re.search(r"Space\.__init__\(\) got an unexpected keyword argument '(\w+)'", str(error))
    return closest(unknown[1], [field.name for field in dataclasses.fields(Space)]) if unknown else ""


def built_in_spaces() -> list[str]:
    """Names of the spaces that ship with the project."""
    return sorted(path.stem for path in BUILT_IN.glob("*.py") if not path.stem.startswith("_"))

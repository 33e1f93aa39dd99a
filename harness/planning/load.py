"""Spaces by name or by file."""

import dataclasses
import importlib.util
import re
from pathlib import Path

from harness.errors import UserError, one_line
from harness.held import held
from harness.planning.fields import closest
from harness.planning.space import Space

BUILT_IN = Path(__file__).parents[2] / "search_spaces"


@held(own=True)
def load_space(name: str) -> Space:
    """A built-in space by name, or the SPACE that a Python file binds, by its path.

    Raises UserError if there is none, if the file cannot be run, or if it binds no SPACE.
    """
    path = Path(name) if name.endswith(".py") else BUILT_IN / f"{name}.py"
    if not path.is_file():
        raise UserError(
            f"no space named {name!r}; known: {', '.join(built_in_spaces())}, or a path to FILE.py"
        )
    spec = importlib.util.spec_from_file_location(f"space_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:  # a user's file may raise anything; it is reported as theirs
        message = f"space file {path} cannot be loaded: {one_line(error)}{_meant(error)}"
        raise UserError(message) from error
    space = getattr(module, "SPACE", None)
    if not isinstance(space, Space):
        raise UserError(f"space file {path} binds no SPACE = Space(...)")
    return space


def _meant(error: Exception) -> str:
    """The field of Space that is near to one that it does not have."""
    unknown = re.search(r"Space\.__init__\(\) got an unexpected keyword argument '(\w+)'", str(error))
    return closest(unknown[1], [field.name for field in dataclasses.fields(Space)]) if unknown else ""


def built_in_spaces() -> list[str]:
    """Names of the spaces that ship with the project."""
    return sorted(path.stem for path in BUILT_IN.glob("*.py") if not path.stem.startswith("_"))

"""Spaces by name or by file."""

import importlib.util
from pathlib import Path

from harness.errors import UserError
from harness.planning.space import Space

BUILT_IN = Path(__file__).parents[2] / "search_spaces"


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
        raise UserError(f"space file {path} cannot be loaded: {type(error).__name__}: {error}") from error
    space = getattr(module, "SPACE", None)
    if not isinstance(space, Space):
        raise UserError(f"space file {path} binds no SPACE = Space(...)")
    return space


def built_in_spaces() -> list[str]:
    """Names of the spaces that ship with the project."""
    return sorted(path.stem for path in BUILT_IN.glob("*.py") if not path.stem.startswith("_"))

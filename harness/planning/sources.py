"""What identifies the code of a class named by import path: a hash of the sources that define what it does.

Example: `mycells:Cell`, whose base is in `mybases.py` and which calls `myhelpers.py`, counts by all three.
Data files that they read do not count.
"""

import ast
import importlib
import importlib.util
import sys
import sysconfig
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

from harness.errors import UserError
from harness.identity import content_hash
from harness.planning.loaded import check_loaded
from harness.results.provenance import PACKAGES

HOME = Path(__file__).parents[2]
OURS = tuple(HOME / name for name in ("harness", "analysis", "search_spaces"))
"""Packages whose code `git_commit` and the version identify."""

RECORDED = {*PACKAGES, "torch_geometric"}
"""Packages that are too large to follow, and that this project is installed with."""

INSTALLED = {"site-packages", "dist-packages"}
"""Folders of what others wrote; their versions are recorded."""


def source_hash(path: str) -> str:
    """16 hexadecimal digits of the code behind `package.module:Class`.

    They cover the module that defines the class, the modules of its bases, and what these import, as far as
    it is the user's own: neither installed, nor of Python, nor of this project. So a class that a package
    re-exports has the hash of its defining module. They do not depend on where the files lie, nor on the
    order of imports.

    Raises UserError if there is no source, or if a file was edited after it was imported.
    """
    named, _, name = path.partition(":")
    cls: type = getattr(importlib.import_module(named), name)
    home = cls.__module__
    roots = [base.__module__ for base in cls.__mro__]
    if home != named and name in bound_names(_text(named) or "")[1]:  # made there, such as by a function
        roots.append(named)
    own = dict(reached(roots, home))
    if home not in own:
        raise UserError(f"{path}: {home}, which defines the class, has no source; write it in a file")
    for module, text in own.items():
        check_loaded(path, module, text)
    first = own.pop(home)
    renamed = [cls.__qualname__] if cls.__qualname__ != name else []
    return content_hash([first, *renamed, *(list(pair) for pair in sorted(own.items()))])


def reached(roots: Iterable[str], home: str) -> Iterator[tuple[str, str]]:
    """The user's own among these modules and all that they import, with their sources."""
    waiting, seen = list(roots), set()
    while waiting:
        module = waiting.pop()
        if module in seen or not (module == home or is_own(module, home)):
            continue
        seen.add(module)
        text = _text(module)
        if text is not None:
            yield module, text
            waiting += imported(text, module) if module.partition(".")[0] not in RECORDED else []


def is_own(module: str, home: str) -> bool:
    """Whether a module is the user's: not Python's, not ours, and not installed, or else as `home` is."""
    spec = find(module)
    if spec is None or spec.origin is None or not spec.has_location:
        return False
    place = Path(spec.origin).resolve()
    if any(place.is_relative_to(folder) for folder in OURS):
        return False
    if not INSTALLED.isdisjoint(place.parts):
        package = module.partition(".")[0]
        return package == home.partition(".")[0] and package not in RECORDED
    return not place.is_relative_to(Path(sysconfig.get_path("stdlib")).resolve())


def imported(text: str, module: str) -> list[str]:
    """The modules that the import statements of a source name, also those within functions."""
    found: list[str] = []
    for node in ast.walk(_parsed(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.append(alias.name)
                found += [] if alias.asname else [alias.name.partition(".")[0]]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute("." * node.level + (node.module or ""), module)
            found += [home for alias in node.names for home in _homes(base, alias, module)]
        elif isinstance(node, ast.Call) and _name_of(node.func) in ("import_module", "__import__"):
            found += [_absolute(str(a.value), module) for a in node.args[:1] if isinstance(a, ast.Constant)]
    return found


def _homes(base: str, alias: ast.alias, module: str) -> Iterator[str]:
    """Where `from base import alias` finds its name: in a module, in `base`, or where `base` has it from."""
    inner = f"{base}.{alias.name}"
    is_module = alias.name != "*" and find(inner) is not None
    if is_module:
        yield inner
    if not is_module or alias.name in set().union(*bound_names(_text(base) or "")):
        yield base
        value = vars(sys.modules[module]).get(alias.asname or alias.name) if module in sys.modules else None
        definer = getattr(value, "__module__", None)
        if isinstance(definer, str):
            yield definer


@cache
def bound_names(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names that a source binds by import, and those that it binds otherwise."""
    by_import, otherwise = set(), set()
    for node in ast.walk(_parsed(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            by_import |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            otherwise.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            otherwise.add(node.id)
    return frozenset(by_import), frozenset(otherwise)


def find(module: str) -> ModuleSpec | None:
    """The spec of a module, loaded or not; nothing is imported to find it."""
    if module in sys.modules:
        return getattr(sys.modules[module], "__spec__", None)
    parent = module.rpartition(".")[0]
    spec = find(parent) if parent else None
    if parent and (spec is None or spec.submodule_search_locations is None):
        return None
    path = spec.submodule_search_locations if spec else None
    finders = [finder.find_spec for finder in sys.meta_path if hasattr(finder, "find_spec")]
    try:
        return next((found for find_spec in finders if (found := find_spec(module, path, None))), None)
    except KeyError:  # a folder without __init__.py, of a package that is not loaded
        below = ModuleSpec(module, None, is_package=True)
        below.submodule_search_locations = [f"{place}/{module.rpartition('.')[2]}" for place in path or ()]
        return below


def _text(module: str) -> str | None:
    """The source of a module; of a compiled one its bytes in hexadecimal digits; None if there is neither."""
    spec = find(module)
    if spec is None or spec.origin is None or not spec.has_location:
        return None
    get_source = getattr(spec.loader, "get_source", lambda _: None)
    try:
        text: str | None = get_source(module)
        if text is None and spec.origin.endswith(".py"):
            with tokenize.open(spec.origin) as file:
                text = file.read()
        if text is None:
            return Path(spec.origin).read_bytes().hex()
    except (ImportError, OSError) as error:
        raise UserError(f"{module}: its source {spec.origin} cannot be read any more: {error}") from None
    return text if text.endswith("\n") or not text else text + "\n"


def _parsed(text: str) -> ast.AST:
    """The syntax tree of a source, empty for what is no Python."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _absolute(name: str, module: str) -> str:
    """`name` as `module` imports it, without leading dots."""
    spec = find(module)
    package = module if spec and spec.submodule_search_locations is not None else module.rpartition(".")[0]
    try:
        return importlib.util.resolve_name(name, package)
    except ImportError:
        return name.lstrip(".")


def _name_of(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))

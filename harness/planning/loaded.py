"""Whether a loaded module is still what its file says: a hash of the file must be a hash of what runs."""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, FunctionType, ModuleType
from typing import Any

from harness.errors import UserError

_first_seen: dict[str, tuple[ModuleSpec, str]] = {}
"""By module: its import (a reload makes another), and its source when it was first asked for."""


def check_loaded(path: str, module: str, text: str) -> None:
    """Raise UserError if `module`, which the class at `path` uses, runs other code than its source `text`."""
    loaded = sys.modules.get(module)
    spec = getattr(loaded, "__spec__", None)
    if loaded is None or spec is None:
        return
    before = _first_seen.get(module)
    if before is None or before[0] is not spec:
        before = _first_seen[module] = (spec, text)
    fault = "" if before[1] == text else "was edited"
    if not fault and type(spec.loader) is SourceFileLoader:  # others may rewrite what they load
        fault = difference(loaded, text)
    if fault:
        raise UserError(
            f"{path}: {spec.origin} {fault} after it was imported; restart Python (the kernel of a notebook)"
        )


def difference(loaded: ModuleType, text: str) -> str:
    """What parted a loaded module from its source, such as 'was edited (Cell.step)'; empty if nothing did."""
    file = str(loaded.__file__)
    try:
        tree, code = ast.parse(text), compile(text, file, "exec", dont_inherit=True)
    except SyntaxError:
        return "was edited"
    known = set(codes(code))
    for name, function in functions(loaded):
        if function.__code__.co_filename == file and function.__code__ not in known:
            return f"was edited ({name})"
    changed = changed_constant(tree.body, vars(loaded), rebound(tree))
    return f"had {changed} changed" if changed else ""


def codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and all within it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from codes(inner)


def functions(loaded: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    """The functions and methods of a module, by name, without their decorators."""
    every = dict(vars(loaded))
    for cls in [value for value in every.values() if isinstance(value, type)]:
        if cls.__module__ == loaded.__name__:
            every |= {f"{cls.__name__}.{name}": value for name, value in vars(cls).items()}
    for name, value in every.items():
        function = value.fget if isinstance(value, property) else value
        if isinstance(function, staticmethod | classmethod):
            function = function.__func__
        if isinstance(function, FunctionType):
            inner = inspect.unwrap(function)
            if isinstance(inner, FunctionType):
                yield name, inner


def changed_constant(body: list[ast.stmt], values: Mapping[str, Any], rebound: set[str]) -> str:
    """The first name that a body binds to a number or text, but that has another value; empty if none has."""
    for name, value in literals(body).items():
        if name in values and name not in rebound:
            now = values[name]
            if type(now) is not type(value) or now != value:
                return name
    for statement in body:
        if isinstance(statement, ast.ClassDef) and isinstance(values.get(statement.name), type):
            inner = changed_constant(statement.body, vars(values[statement.name]), rebound)
            if inner:
                return f"{statement.name}.{inner}"
    return ""


def literals(body: list[ast.stmt]) -> dict[str, Any]:
    """The names that a body binds last by a plain assignment of a number, a text, a flag or None."""
    found: dict[str, Any] = {}
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            names = {alias.asname or alias.name for alias in statement.names}
        elif isinstance(statement, ast.ClassDef | ast.FunctionDef):
            names = {statement.name}
        else:
            stored = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
            names = {node.id for node in stored if not isinstance(node.ctx, ast.Load)}
        for name in names:
            found.pop(name, None)
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
                found[name] = statement.value.value
    return found


def rebound(tree: ast.AST) -> set[str]:
    """Names that a module's own functions may bind anew: counters and the like."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            found |= set(node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return found

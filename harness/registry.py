"""One small registry: a decorator fills it, an unknown name lists the known ones.

To add an option, add a keyword argument with a default to the constructor. Its annotation is its type. What
the registry passes itself is no option. A class outside the package, named by import path
`package.module:Class`, is treated the same.
"""

import importlib
import inspect
import math
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from harness.errors import UserError, one_line
from harness.held import held
from harness.identity import Value, content_hash
from harness.reading import closest, real_number, whole_number

T = TypeVar("T")


@dataclass(frozen=True)
class Content:
    """Marks a task's option that counts by the text `read` gives: `name: Annotated[str, Content(read)]`.

    Its default names something built in; any other value names a file. A hash of the text identifies a
    condition, wherever the file lies.
    """

    read: Callable[[str], str]


SMALLEST, LARGEST = 2.0**-126, (2 - 2.0**-23) * 2.0**127
"""The smallest and the largest normal number of float32."""

DOCS = "see docs/extending.md"

FLAGS = {"true": True, "false": False}
"""What a flag may be, as text in lower case."""


READERS: dict[type, Callable[[object], Value]] = {int: whole_number, float: real_number, str: str}
"""How the value of an option is read, by its type; a flag is one of FLAGS."""

EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
"""What an option of each type may be, in words."""


@dataclass(frozen=True)
class Option:
    """An option of a registered class: its type, its choices if it has any, and its default."""

    name: str
    type: type
    choices: tuple[Value, ...] | None
    default: Value
    content: Content | None = None

    def identity(self, value: Value) -> Value:
        """What `value` counts as: itself, or a hash of the text that it names."""
        return value if self.content is None else content_hash([self.content.read(str(value))])

    def parse(self, value: Value) -> Value:
        """`value`, given as text or typed, as this option's type.

        Raises UserError naming the option, the value and what is allowed.
        """
        wanted = " | ".join(map(str, self.choices)) if self.choices else EXPECTED[self.type]
        near = closest(str(value), self.choices or (FLAGS if self.type is bool else ()))
        refusal = UserError(f"{self.name}={value} is not allowed{near}; expected {wanted}")
        parsed: Value
        if self.type is bool:
            if str(value).lower() not in FLAGS:
                raise refusal
            parsed = FLAGS[str(value).lower()]
        else:
            try:
                parsed = READERS[self.type](value)
            except (TypeError, ValueError):
                raise refusal from None
            if self.content and parsed != self.default:
                parsed = str(Path(str(parsed)).absolute())  # workers may run in another folder
        if self.choices and parsed not in self.choices:
            raise refusal
        if isinstance(parsed, float):
            check_float32(self.name, parsed)
        return parsed


class Registry(Generic[T]):
    """Names to classes of one part of a condition, such as 'model'.

    `given` are the arguments that every constructor is passed. `offered` are the arguments that it is passed
    if it takes them.
    """

    def __init__(self, part: str, given: tuple[str, ...], offered: tuple[str, ...] = ()) -> None:
        self.part = part
        self.given = given
        self.offered = offered
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Class decorator that makes the class known under `name`."""

        def add(cls: type[T]) -> type[T]:
            if name in self._classes:
                raise ValueError(f"two {self.part}s named {name!r}")
            self._classes[name] = cls
            return cls

        return add

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._classes)

    def get(self, name: str) -> type[T]:
        """The class registered as `name`, or imported from `package.module:Class`."""
        if ":" in name:
            return self._import(name)
        if name not in self._classes:
            path = [":".join(name.rsplit(".", 1))] if "." in name else []  # mycells.Cell for mycells:Cell
            raise UserError(
                f"no {self.part} named {name!r}{closest(name, [*self.names(), *path])}; "
                f"known: {', '.join(self.names())}, or package.module:Class"
            )
        return self._classes[name]

    def check_findable(self, name: str) -> None:
        """Raise UserError unless every process can find `name`: built in, or by import path."""
        home = self.get(name).__module__
        if ":" not in name and not home.startswith("harness."):
            raise UserError(
                f"{self.part} {name!r} is registered in {home}, which other processes do not import; "
                f"name it by its import path, such as {home}:{self.get(name).__name__}"
            )

    def first_line(self, name: str) -> str:
        """First line of the docstring of `name`."""
        return first_line(self.get(name))

    def options(self, name: str) -> dict[str, Option]:
        """The options of `name`, read off its constructor.

        Raises UserError, naming the option, for a default that is not of the type of its annotation.
        """
        cls = self.get(name)
        try:
            hints = typing.get_type_hints(cls.__init__, include_extras=True)
            parameters = inspect.signature(cls).parameters.values()
        except (NameError, TypeError, ValueError) as error:
            raise UserError(
                f"{self.part} {name!r}: cannot read its constructor: {one_line(error)}"
            ) from error
        passed = {*self.given, *self.offered}
        found: dict[str, Option] = {}
        for parameter in parameters:
            if parameter.name not in passed and parameter.default is not inspect.Parameter.empty:
                hint = hints.get(parameter.name, type(parameter.default))
                option = _option(parameter.name, hint, parameter.default, f"{self.part} {name!r}")
                found |= {} if option is None else {option.name: option}
        return found

    def build(self, name: str, options: dict[str, Value], **given: Any) -> T:
        """An instance of `name`, made of what is given or offered and of the `options` that it has.

        Raises UserError, with the error of the class, if it cannot be built.
        """
        cls = self.get(name)
        own = {key: value for key, value in options.items() if key in self.options(name)}
        try:
            taken = inspect.signature(cls).parameters
            passed = {key: value for key, value in given.items() if key not in self.offered or key in taken}
            return cls(**passed, **own)
        except UserError as error:
            raise UserError(f"{self.part} {name}: {error}") from None
        except Exception as error:  # a user's class may raise anything; it is reported as theirs
            sizes = [f"{field}={value}" for field, value in given.items() if field in self.given]
            where = f" for {', '.join(sizes)}" if sizes else ""
            hint = self._constructor() if ":" in name and isinstance(error, TypeError) else ""
            raise UserError(
                f"{self.part} {name!r} cannot be built{where}: {one_line(error)}{hint}"
            ) from error

    def _constructor(self) -> str:
        """What the constructor of a class of this part must take."""
        needed = f"{', '.join(self.given)} and, with defaults, its options"
        return (
            f"; its constructor must take {needed if self.given else 'options with defaults only'} ({DOCS})"
        )

    def _import(self, path: str) -> type[T]:
        module_name, _, class_name = path.partition(":")
        try:
            with held(own=True) as changed:
                cls = getattr(importlib.import_module(module_name), class_name)
        except (
            Exception,
            SystemExit,
        ) as error:  # a user's module may raise anything; it is reported as theirs
            meant = f"{module_name.removesuffix('.py').replace('/', '.')}:{class_name}"
            hint = f" (did you mean {meant}?)" if meant != path else ""
            raise UserError(f"cannot import {self.part} {path!r}: {one_line(error)}{hint}") from error
        if changed:
            sys.modules.pop(module_name, None)  # the next import says so again
            raise UserError(f"{self.part} {path!r} cannot be used: its import changes {', '.join(changed)}")
        if not inspect.isclass(cls):
            raise UserError(f"{self.part} {path!r} is not a class; write one that calls it ({DOCS})")
        return typing.cast("type[T]", cls)


def _option(name: str, hint: Any, default: Any, owner: str) -> Option | None:
    """The option that a parameter of a constructor is, or None if its annotation is of no such type.

    Raises UserError, naming the owner, for a default that the annotation does not allow.
    """
    content = None
    if typing.get_origin(hint) is typing.Annotated:
        content = next((mark for mark in hint.__metadata__ if isinstance(mark, Content)), None)
        hint = hint.__origin__
    choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else None
    value_type = type(choices[0]) if choices else hint
    if value_type not in (bool, int, float, str):
        return None
    kind = " | ".join(map(repr, choices)) if choices else value_type.__name__
    if any(type(choice) is not value_type for choice in choices or ()):
        raise UserError(f"{owner} has the option {name}: {kind}; expected choices of one type")
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    is_typed = is_number if value_type is float else type(default) is value_type
    if not is_typed or default != default or default not in (choices or (default,)):
        raise UserError(
            f"{owner} has the option {name}: {kind} = {default!r}; expected a default of this type"
        )
    return Option(name, value_type, choices, value_type(default), content)


def check_float32(name: str, number: float) -> None:
    """Raise UserError for a number that training, which computes in float32, would take for 0 or for inf."""
    if 0 < abs(number) < SMALLEST or LARGEST < abs(number) < math.inf:
        taken = "0" if abs(number) < 1 else "inf"
        raise UserError(
            f"{name}={number:g} counts as {taken} in float32, in which models are trained; "
            f"expected {SMALLEST:.1e} to {LARGEST:.1e}"
        )


def first_line(documented: object) -> str:
    """First line of a docstring."""
    return (inspect.getdoc(documented) or "").partition("\n")[0]


def import_path(field: str, part: object) -> str:
    """The name of a part as a space stores it: a class becomes its import path `package.module:Class`.

    Raises UserError, naming the space's `field`, for a class that other processes cannot import.
    """
    path = f"{part.__module__}:{part.__qualname__}" if isinstance(part, type) else str(part)
    home, _, name = path.partition(":")
    if home == "__main__":
        fault = "is defined in the notebook or script that runs"
    elif not isinstance(part, type) or _imported(home, name) is part:
        return path
    else:
        fault = f"is not what {home} has under this name when it is imported"
    own = name.rpartition(".")[2]
    raise UserError(
        f"{field}={path} {fault}, so other processes cannot import it; "
        f"write {own} at the top of a file such as mycells.py, and give {field}=mycells:{own}"
    )


def _imported(module: str, name: str) -> object:
    """What other processes find under this import path, or None."""
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None

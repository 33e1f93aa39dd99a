"""Rules that say when there is enough of something, as text: until:width=0.2,max=64."""

from collections.abc import Mapping

from harness.errors import UserError
from harness.reading import closest, real_number, whole_number

PREFIX = "until:"


def read_rule(field: str, text: str, known: Mapping[str, type], example: str) -> dict[str, float]:
    """The numbers that a rule gives, by name; UserError, naming the field and what is `known`, if it is none.

    `known` has the type of each number, int or float.
    """
    given: dict[str, float] = {}
    for item in text.removeprefix(PREFIX).split(","):
        name, _, value = (part.strip() for part in item.partition("="))
        if name not in known:
            near = closest(name, known)
            raise UserError(
                f"{field}={text}: {name!r} is not known{near}; known: {', '.join(known)}, as in {example}"
            )
        if name in given:
            raise UserError(f"{field}={text} gives {name} twice")
        try:
            given[name] = whole_number(value) if known[name] is int else real_number(value)
        except ValueError:
            expected = "a whole number" if known[name] is int else "a number"
            raise UserError(f"{field}={text}: {name}={value} is not allowed; expected {expected}") from None
    return given

"""Run until sharp: report seeds come in batches, until every interval is narrow enough.

python -m harness.run --space clipping_study --set seeds=until:width=.25,max=64
"""

import dataclasses
import math
from dataclasses import dataclass

from harness.condition import FIRST_TUNING_SEED
from harness.errors import UserError
from harness.reading import closest, real_number, whole_number

Z = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""

PREFIX = "until:"

EXAMPLE = "until:width=0.2,max=64"


@dataclass(frozen=True, kw_only=True)
class Until:
    """When there are enough report seeds of the conditions of one task and length.

    Seeds come `batch` at a time, to all of these conditions alike, so that seeds stay paired. There are
    enough when the Wilson 95 % interval of P(stable) of every one of them is narrower than `width`, or at
    `max` seeds.
    """

    width: float
    batch: int = 8
    max: int = 64

    def __str__(self) -> str:
        return f"{PREFIX}width={self.width:g},batch={self.batch},max={self.max}"

    def enough(self, stable: int, n: int) -> bool:
        """Whether a condition with so many stable of n report trials needs no more."""
        return n >= self.max or wilson_width(stable, n) < self.width

    def goes_beyond(self, other: "Until") -> bool:
        """Whether all seeds that the other asks for are asked for here too."""
        return self.batch == other.batch and self.width <= other.width and self.max >= other.max


def wilson_width(k: int, n: int) -> float:
    """The width of the 95 % score interval of a share of k of n (Wilson 1927), within 0 and 1."""
    p, z2 = k / n, Z * Z
    return 2 * Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)


def parse_until(text: str) -> Until:
    """The rule in a text such as until:width=0.2,max=64; UserError, naming what is known, if it is none."""
    fields = [field.name for field in dataclasses.fields(Until)]
    given: dict[str, float] = {}
    for item in text.removeprefix(PREFIX).split(","):
        name, _, value = (part.strip() for part in item.partition("="))
        if name not in fields:
            near = closest(name, fields)
            raise UserError(
                f"seeds={text}: {name!r} is not known{near}; known: {', '.join(fields)}, as in {EXAMPLE}"
            )
        if name in given:
            raise UserError(f"seeds={text} gives {name} twice")
        given[name] = _read(text, name, value)
    if "width" not in given:
        raise UserError(f"seeds={text} gives no width; expected a rule like {EXAMPLE}")
    rule = Until(**given)  # type: ignore[arg-type]
    if rule.max < rule.batch:
        raise UserError(f"seeds={text}: max={rule.max} is below batch={rule.batch}; expected at least that")
    return rule


def _read(text: str, name: str, value: str) -> float:
    """A width between 0 and 1, or a number of seeds."""
    try:
        number = real_number(value) if name == "width" else whole_number(value)
    except ValueError:
        number = 0
    if name == "width" and not 0 < number < 1:
        raise UserError(f"seeds={text}: width={value} is not allowed; expected a number between 0 and 1")
    if name != "width" and not 1 <= number <= FIRST_TUNING_SEED:
        raise UserError(
            f"seeds={text}: {name}={value} is not allowed; expected a whole number, 1 to {FIRST_TUNING_SEED}"
        )
    return number

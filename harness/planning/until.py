"""Run until sharp: report seeds come in batches, until every interval is narrow enough.

python -m harness.run --space clipping_study --set seeds=until:width=.25,max=64
"""

import math
from dataclasses import dataclass

from harness.condition import FIRST_TUNING_SEED
from harness.errors import UserError
from harness.planning.rules import PREFIX, read_rule

Z = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""

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
    rule = read_rule("seeds", text, {"width": float, "batch": int, "max": int}, EXAMPLE)
    if "width" not in rule:
        raise UserError(f"seeds={text} gives no width; expected a rule like {EXAMPLE}")
    if not 0 < rule["width"] < 1:
        raise UserError(
            f"seeds={text}: width={rule['width']:g} is not allowed; expected a number between 0 and 1"
        )
    for name in rule.keys() - {"width"}:
        if not 1 <= rule[name] <= FIRST_TUNING_SEED:
            raise UserError(
                f"seeds={text}: {name}={rule[name]} is not allowed; expected a whole number, "
                f"1 to {FIRST_TUNING_SEED}"
            )
    until = Until(**rule)  # type: ignore[arg-type]
    if until.max < until.batch:
        raise UserError(f"seeds={text}: max={until.max} is below batch={until.batch}; expected at least that")
    return until

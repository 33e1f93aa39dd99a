"""When an arm has enough lengths: those between which it ceases to solve are close neighbours."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import UserError
from harness.planning.rules import PREFIX, read_rule

LEVELS = (0.5, 0.9)
"""Shares of solved runs whose lengths, T50 and T90, are to be bracketed."""

EXAMPLE = "until:ratio=1.25,max=160"


@dataclass(frozen=True, kw_only=True)
class Bracket:
    """When an arm has enough lengths: P(solved) falls below .9 and below .5 between close neighbours.

    Neighbours are close when the longer is at most `ratio` times the shorter, or longer by one. Else the
    whole number nearest to their geometric mean is tried. Where P(solved) is not below a level at the longest
    length, twice this length is tried, at most `max`; without a `max` nothing is. Below the shortest length
    nothing is tried.
    """

    ratio: float
    max: int = 0

    def __str__(self) -> str:
        return f"{PREFIX}ratio={self.ratio:g}" + (f",max={self.max}" if self.max else "")

    def missing(self, shares: Mapping[int, float]) -> set[int]:
        """The lengths to try next, by P(solved) at those that were tried."""
        lengths = sorted(shares)
        found = set()
        for level in LEVELS:
            below = next((i for i, length in enumerate(lengths) if shares[length] < level), None)
            if below is None:
                found.add(max(lengths[-1], min(self.max, 2 * lengths[-1])))
            elif below > 0:
                found.add(self.between(lengths[below - 1], lengths[below]))
        return found - set(lengths)

    def between(self, low: int, high: int) -> int:
        """The length to try between two; the lower of them if they are close."""
        if high <= self.ratio * low or high - low < 2:
            return low
        return min(max(round(math.sqrt(low * high)), low + 1), high - 1)


def parse_bracket(text: str) -> Bracket:
    """The rule in a text such as until:ratio=1.25,max=160; UserError, naming what is known, if it is none."""
    rule = read_rule("lengths", text, {"ratio": float, "max": int}, EXAMPLE)
    if not 1 < rule.get("ratio", 0) < math.inf:
        raise UserError(f"lengths={text}: expected a ratio above 1, as in {EXAMPLE}")
    if rule.get("max", 1) < 1:
        raise UserError(f"lengths={text}: max={rule['max']} is not allowed; expected a whole number >= 1")
    return Bracket(**rule)  # type: ignore[arg-type]

"""How long a pack may be silent before it counts as hanging: by how long its blocks are expected to take."""

from harness.condition import Pack
from harness.driver.estimate import seconds_of
from harness.driver.rates import NOMINAL
from harness.errors import UserError
from harness.planning.space import Space

LONGER_THAN_EXPECTED = 50
"""How many times as long as expected a block may take: hosts are slow and busy."""


class Patience:
    """Seconds of silence by pack: `hang_after` minutes, more where a block alone is expected to take long."""

    def __init__(self, space: Space, hang_after: float) -> None:
        self._space = space
        self._least = 60 * hang_after
        self._per_step: dict[object, float] = {}

    def __call__(self, pack: Pack) -> float:
        """The seconds for this pack; `hang_after` alone if its cost is beyond counting."""
        key = pack.trials[0].condition.siblings_key()
        if key not in self._per_step:
            try:
                self._per_step[key] = seconds_of(self._space, pack.trials[0].condition, NOMINAL)
            except UserError:
                self._per_step[key] = 0.0
        block = self._per_step[key] * len(pack.trials) * pack.trials[0].eval_every
        return max(self._least, LONGER_THAN_EXPECTED * block)

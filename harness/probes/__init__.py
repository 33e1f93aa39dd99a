"""Measures: what is read off a trial's curves, one file each. Importing this package registers them."""

from harness.probes import clipping as _clipping  # noqa: F401
from harness.probes import drops as _drops  # noqa: F401
from harness.probes import objective as _objective  # noqa: F401
from harness.probes.base import PROBES, Curves, Levels, columns, measure
from harness.probes.divergence import divergence
from harness.probes.outcome import outcome

__all__ = ["PROBES", "Curves", "Levels", "columns", "divergence", "measure", "outcome"]

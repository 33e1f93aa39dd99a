"""Measures, one file each. Importing this package registers them.

A measure is read off the curves of a trial when it is over (`measure`). A probe is taken of the weights of a
trial at a moment (`probe`).
"""

from harness.probes import clipping as _clipping  # noqa: F401
from harness.probes import curvature as _curvature  # noqa: F401
from harness.probes import drops as _drops  # noqa: F401
from harness.probes import gradient_flow as _gradient_flow  # noqa: F401
from harness.probes import lyapunov as _lyapunov  # noqa: F401
from harness.probes import objective as _objective  # noqa: F401
from harness.probes import smoothing as _smoothing  # noqa: F401
from harness.probes import solved as _solved  # noqa: F401
from harness.probes import spectrum as _spectrum  # noqa: F401
from harness.probes import spikes as _spikes  # noqa: F401
from harness.probes import updates as _updates  # noqa: F401
from harness.probes.base import MEASURES, Curves, Levels, measure_columns, measure_curves
from harness.probes.divergence import divergence
from harness.probes.events import events
from harness.probes.moments import (
    DEFAULT_PROBES,
    MOMENTS,
    PROBE_SIZE,
    PROBES,
    Measured,
    Moment,
    probe_columns,
    probe_moment,
)
from harness.probes.outcome import outcome
from harness.probes.updates import UPDATE_EVERY

__all__ = [
    "DEFAULT_PROBES",
    "MEASURES",
    "MOMENTS",
    "PROBES",
    "PROBE_SIZE",
    "UPDATE_EVERY",
    "Curves",
    "Levels",
    "Measured",
    "Moment",
    "divergence",
    "events",
    "measure_columns",
    "measure_curves",
    "outcome",
    "probe_columns",
    "probe_moment",
]

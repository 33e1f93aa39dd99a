"""Models: one file per family. Importing this package registers all of them."""

from harness.models import gat as _gat  # noqa: F401
from harness.models import gcn as _gcn  # noqa: F401
from harness.models import graph_recurrent as _graph_recurrent  # noqa: F401
from harness.models import lstm as _lstm  # noqa: F401
from harness.models import rnn as _rnn  # noqa: F401
from harness.models.base import Recurrent, State, models

__all__ = ["Recurrent", "State", "models"]

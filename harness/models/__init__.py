"""Models: one file per family. Importing this package registers all of them."""

from harness.models import gat as _gat  # noqa: F401
from harness.models import gcn as _gcn  # noqa: F401
from harness.models import graph_recurrent as _graph_recurrent  # noqa: F401
from harness.models import gru as _gru  # noqa: F401
from harness.models import irnn as _irnn  # noqa: F401
from harness.models import lru as _lru  # noqa: F401
from harness.models import lstm as _lstm  # noqa: F401
from harness.models import mgu as _mgu  # noqa: F401
from harness.models import minimal as _minimal  # noqa: F401
from harness.models import reservoir as _reservoir  # noqa: F401
from harness.models import rnn as _rnn  # noqa: F401
from harness.models import transformer as _transformer  # noqa: F401
from harness.models.base import Layer, Recurrent, State, Stepwise, models

__all__ = ["Layer", "Recurrent", "State", "Stepwise", "models"]

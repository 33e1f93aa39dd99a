"""minGRU and minLSTM (Feng et al. 2024, arXiv 2410.01201): gates that read the input alone.

With gates that do not depend on the hidden state the recurrence is linear in it, so that a parallel scan
gives all steps at once. Here steps are taken one after the other: a scan by doubling was 2 to 4 times slower
on a CPU (T = 20 and 100). Candidates keep their sign, as in the paper's plain form; its log-space form makes
hidden states positive, by a function g of the candidate.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.models.base import Init, Layer, State, Stepwise, check_layers, logistic, models


class Minimal(Stepwise):
    """h_t = keep_t * h_{t-1} + new_t, where both depend on x_t alone; a subclass defines `terms`.

    In a layer above, gates depend on the past, through the hidden state of the layer below. So there are two
    `layers` by default. With one, none of 6 trials learnt palindromes of 8 digits in 1,000 steps.
    """

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, gates: int, init: Init, layers: int
    ) -> None:
        check_layers(layers)
        widths = [input_size] + [hidden_size] * (layers - 1)
        cells = [Layer((width,), hidden_size, gates, init) for width in widths]
        super().__init__(cells, hidden_size, Layer((hidden_size,), output_size, 1, init))

    def terms(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """What is kept of the hidden state, within [0, 1], and what is added to it, from W x_t + b."""
        raise NotImplementedError

    def cell(self, layer: Layer, x_BI: Tensor, state: State) -> State:
        keep, new = self.terms(layer(x_BI))
        return (keep * state[0] + new,)


@models.register("min_gru")
class MinGRU(Minimal):
    """minGRU: z = sigmoid(W_z x_t + b_z);  h_t = (1 - z) * h_{t-1} + z * (W_h x_t + b_h).

    The rows of the (2n, d) matrix are z, h. Parameters: 2 n (d + 1) in the first layer, 2 n (n + 1) above,
    and c (n + 1) in the readout.
    """

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, init: Init = "xavier", layers: int = 2
    ) -> None:
        super().__init__(input_size, hidden_size, output_size, 2, init, layers)

    def terms(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        z, candidate = sums.chunk(2, dim=-1)
        z = torch.sigmoid(z)
        return 1 - z, z * candidate


@models.register("min_lstm")
class MinLSTM(Minimal):
    """minLSTM: f, i = sigmoid(W x_t + b);  h_t = f / (f + i) * h_{t-1} + i / (f + i) * (W_h x_t + b_h).

    The rows of the (3n, d) matrix are f, i, h. f / (f + i) is computed as the sigmoid of log f - log i,
    because both gates may underflow. Parameters: 3 n (d + 1) in the first layer, 3 n (n + 1) above, and
    c (n + 1) in the readout.
    """

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, init: Init = "xavier", layers: int = 2
    ) -> None:
        super().__init__(input_size, hidden_size, output_size, 3, init, layers)

    def terms(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        f, i, candidate = sums.chunk(3, dim=-1)
        keep = logistic(F.logsigmoid(f) - F.logsigmoid(i))
        return keep, (1 - keep) * candidate

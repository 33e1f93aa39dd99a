"""A small causal transformer (Vaswani et al. 2017, arXiv 1706.03762): the baseline without recurrence."""

import math

import torch
from torch import Tensor, nn

from harness.errors import UserError
from harness.models.base import Init, Layer, check_layers, models


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): pre-norm (Xiong et al. 2020, arXiv 2002.04745).

    Attention is causal, softmax(Q K' / sqrt(n / heads)) V; the mlp has 4n ReLU units.
    """

    def __init__(self, size: int, heads: int, init: Init) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(size)
        self.queries_keys_values = Layer((size,), size, 3, init)
        self.mix = Layer((size,), size, 1, init)
        self.before_mlp = nn.LayerNorm(size)
        self.widen = Layer((size,), 4 * size, 1, init)
        self.narrow = Layer((4 * size,), size, 1, init)

    def forward(self, x_BTH: Tensor) -> Tensor:
        x_BTH = x_BTH + self.mix(self.attend(self.before_attention(x_BTH)))
        return x_BTH + self.narrow.forward(torch.relu(self.widen(self.before_mlp(x_BTH))))

    def attend(self, x_BTH: Tensor) -> Tensor:
        """What each step gathers from itself and those before it: (batch, time, hidden)."""
        by_head = (*x_BTH.shape[:2], self.heads, -1)
        parts = self.queries_keys_values.forward(x_BTH).chunk(3, dim=-1)
        q, k, v = (part.reshape(by_head).transpose(1, 2) for part in parts)
        scores_BNTT = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        later_TT = torch.ones(scores_BNTT.shape[-2:], dtype=torch.bool, device=x_BTH.device).triu(1)
        weights_BNTT = scores_BNTT.masked_fill(later_TT, -torch.inf).softmax(-1)
        return (weights_BNTT @ v).transpose(1, 2).flatten(-2)


@models.register("transformer")
class Transformer(nn.Module):
    """Causal transformer: the output at t sees the inputs up to t. No dropout.

    A linear map of the inputs plus sinusoidal positions, `layers` blocks, a last layer norm, a readout.
    Parameters, n = hidden_size: n (d + 1), per block 12 n^2 + 13 n, 2n in the last norm, and c (n + 1).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        init: Init = "xavier",
        layers: int = 2,
        heads: int = 1,
    ) -> None:
        super().__init__()
        check_layers(layers)
        if heads < 1 or hidden_size % heads:
            raise UserError(f"heads={heads} does not divide hidden_size={hidden_size}")
        self.every_step = False
        self.embed = Layer((input_size,), hidden_size, 1, init)
        self.blocks = nn.ModuleList(Block(hidden_size, heads, init) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden_size)
        self.out = Layer((hidden_size,), output_size, 1, init)

    def forward(self, inputs_BTI: Tensor) -> Tensor:
        x_BTH = self.embed(inputs_BTI)
        x_BTH = x_BTH + positions(x_BTH.shape[1], x_BTH.shape[2]).to(x_BTH)
        for block in self.blocks:
            x_BTH = block(x_BTH)
        outputs: Tensor = self.out(self.norm(x_BTH if self.every_step else x_BTH[:, -1]))
        return outputs


def positions(steps: int, size: int) -> Tensor:
    """Sinusoidal positions, (steps, size): sines of t / 10000^(2k / size) at even, cosines at odd places."""
    even = torch.arange(0, size, 2, dtype=torch.float64)
    angles_TK = torch.arange(steps, dtype=torch.float64)[:, None] * 10_000 ** (-even / size)
    return torch.stack([angles_TK.sin(), angles_TK.cos()], dim=-1).flatten(1)[:, :size]

"""The usual loop: torch.nn, torch.optim and clip_grad_norm_, one replica at a time."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.step.work import DIGITS, Work
from harness.tasks import Stream
from harness.training.loop import build_task
from harness.training.replicas import build_model

LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Usual(nn.Module):
    """A recurrent layer of torch, and a readout of its last state."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.cell = LAYERS[work.model](DIGITS, work.hidden, batch_first=True)
        self.out = nn.Linear(work.hidden, DIGITS)

    def forward(self, inputs_BTI: Tensor) -> Tensor:
        """Outputs (batch, digits)."""
        hidden_BTH, _ = self.cell(inputs_BTI)
        return self.out(hidden_BTH[:, -1])

    def copy_weights(self, of: nn.Module) -> None:
        """Start from the weights of one of the harness's models; torch's second bias is 0."""
        state = of.state_dict()
        with torch.no_grad():
            input_weight, hidden_weight = state["cells.0.weight"].split(
                [DIGITS, self.cell.hidden_size], dim=1
            )
            self.cell.weight_ih_l0.copy_(input_weight)
            self.cell.weight_hh_l0.copy_(hidden_weight)
            self.cell.bias_ih_l0.copy_(state["cells.0.bias"])
            self.cell.bias_hh_l0.zero_()
            self.out.weight.copy_(state["out.weight"])
            self.out.bias.copy_(state["out.bias"])


class LoopSide:
    """One replica, trained as a user would write it down."""

    def __init__(self, work: Work) -> None:
        trial = work.trials().trials[0]
        self.max_norm = trial.condition.max_norm
        task = build_task(trial.condition)
        self.stream = Stream(task, "palindrome", work.hidden, trial.seed, "cpu")
        self.model = Usual(work)
        self.model.copy_weights(build_model(trial.condition, task, trial.seed))
        self.optimizer = torch.optim.RMSprop(self.model.parameters(), lr=trial.learning_rate)

    def block(self, steps: int) -> None:
        """That many updates, each on a new batch."""
        for _ in range(steps):
            inputs_BTI, targets_B = self.stream.next()
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(inputs_BTI), targets_B).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.max_norm)
            self.optimizer.step()

    def first_loss(self) -> float:
        """Loss of the initial weights on the first batch."""
        with torch.no_grad():
            inputs_BTI, targets_B = self.stream.next()
            return float(F.cross_entropy(self.model(inputs_BTI), targets_B))

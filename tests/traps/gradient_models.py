"""Models whose gradient is not that of their output."""

from torch.utils.checkpoint import checkpoint

from tests.traps.bases import Alone


# said: gradient
class Checkpointed(Alone):
    def along(self, inputs):
        return checkpoint(super().along, inputs, use_reentrant=False)


# said: gradient
class GradientHook(Alone):
    def more(self, size):
        super().more(size)
        self.recur.weight.register_hook(lambda grad: 0.5 * grad)


# said: gradient
class HeldWeights(Alone):
    def more(self, size):
        super().more(size)
        self.held = [self.recur.weight]

    def along(self, inputs):
        return super().along(inputs) @ self.held[0].T

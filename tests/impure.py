"""Traps: small classes of a user's own that would bend a number or end the run, and sound ones beside them.

Each trap is a class that changes one thing of a sound base by calling `super()`. So traps
of one part combine:
`class Both(KeepsState, NumpyInit): pass`. `source(names)` is the text of a module that holds them.

    source("KeepsState", "NumpyInit")     # models=that_module:KeepsState
"""

import re
from dataclasses import dataclass

BASES = '''
import math, os, random, signal, sys, time, warnings
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint


class Cell(nn.Module):
    """A tanh recurrence and a readout; nothing is declared."""

    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.read = nn.Linear(input_size, hidden_size)
        self.recur = nn.Linear(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, output_size)
        self.more(hidden_size)

    def more(self, size):
        pass

    def start(self, inputs):
        return inputs.new_zeros(len(inputs), self.recur.in_features)

    def along(self, inputs):
        h = self.start(inputs)
        for x in inputs.unbind(1):
            h = torch.tanh(self.read(x) + self.recur(h))
        return h

    def forward(self, inputs):
        return self.out(self.along(inputs))


class Alone(Cell):
    vectorizable = False


class Latch:
    """Name the first of `length` symbols of four kinds."""

    every_step = False
    input_size = output_size = 4
    solved_at, drop_at, recovered_at = 0.99, 0.90, 0.98
    chance, baseline_loss = 1 / 4, math.log(4)

    def __init__(self, length: int) -> None:
        self.length = length

    def draw(self, generator, size):
        symbols = torch.randint(4, (size, self.length), generator=generator)
        return F.one_hot(symbols, 4).float(), symbols[:, 0]

    def draw_heldout(self, generator, size, split):
        return None if split == "control" else self.draw(generator, size)

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs, targets, reduction="none")

    def score(self, outputs, targets):
        return (outputs.argmax(-1) == targets).float()


class Momentum:
    learning_rates = (1e-4, 1.0)

    def init(self, weights):
        return (torch.zeros_like(weights),)

    def update(self, weights, grads, state, rate):
        velocity = 0.9 * state[0] + grads
        return weights - rate * velocity, (velocity,)


class Soft:
    """g / (1 + norm); its state is a moving mean of norms."""

    uses_max_norm = False

    def init(self, weights, steps):
        return (weights.new_zeros(len(weights), 1),)

    def clip(self, grads, norm, max_norm, state):
        coefficient = 1 / (1 + norm)
        return grads * coefficient, coefficient, (0.9 * state[0] + 0.1 * norm,)
'''


@dataclass(frozen=True)
class Trap:
    """A class, the part that it plays, and what its refusal must mention; a sound one is not refused."""

    part: str  # "model", "task", "optimizer" or "clip_rule"
    source: str
    said: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return re.search(r"^class (\w+)", self.source, re.M).group(1)


def source(*names: str) -> str:
    """A module with these traps."""
    return "\n\n".join([BASES, *(TRAPS[name].source for name in names)])


def _table(part: str, text: str) -> list[Trap]:
    """Traps from a text: each block is a class; a comment `# said: a | b` before it is what must be said."""
    found = []
    for block in text.split("# said:")[1:]:
        said, _, code = block.partition("\n")
        words = [word.strip() for word in said.split("|")]
        found.append(Trap(part, code.strip() + "\n", tuple(filter(None, words))))
    return found


RANDOM_MODELS = _table(
    "model",
    """
# said: random | torch
class FunctionalDropout(Cell):
    def forward(self, inputs):
        return super().forward(F.dropout(inputs, 0.5))

# said: random | torch
class FunctionalDropoutAlone(Alone):
    def along(self, inputs):
        return F.dropout(super().along(inputs), 0.1)

# said: LSTM | dropout
class LSTMDropout(Alone):
    def more(self, size):
        super().more(size)
        self.deep = nn.LSTM(size, size, num_layers=2, dropout=0.5, batch_first=True)
    def along(self, inputs):
        return self.deep(self.read(inputs))[0][:, -1]

# said: MultiheadAttention | dropout
class AttentionDropout(Alone):
    def more(self, size):
        super().more(size)
        self.attend = nn.MultiheadAttention(size, 1, dropout=0.5, batch_first=True)
    def along(self, inputs):
        x = self.read(inputs)
        return self.attend(x, x, x)[0][:, -1]

# said: Dropout | p=0.5
class DropoutModule(Cell):
    def more(self, size):
        super().more(size)
        self.drop = nn.Dropout(0.5)
    def along(self, inputs):
        return self.drop(super().along(inputs))

# said: RReLU
class RandomSlope(Alone):
    def more(self, size):
        super().more(size)
        self.act = nn.RReLU()
    def along(self, inputs):
        return self.act(super().along(inputs))

# said: random | torch
class BernoulliMask(Alone):
    def along(self, inputs):
        h = super().along(inputs)
        return h * torch.bernoulli(torch.full_like(h, 0.9))

# said: random | torch
class RandomState(Alone):
    def start(self, inputs):
        return torch.randn_like(super().start(inputs))

# said: random | numpy.random
class NumpyNoise(Alone):
    def along(self, inputs):
        return super().along(inputs) * (1 + 0.01 * np.random.rand())

# said: random | `random`
class PythonNoise(Alone):
    def along(self, inputs):
        return super().along(inputs) + 0.01 * random.random()

# said: other outputs
class OwnNumpyGenerator(Alone):
    def more(self, size):
        super().more(size)
        self.generator = np.random.default_rng(0)
    def along(self, inputs):
        return super().along(inputs) + 0.01 * self.generator.random()

# said: other outputs
class OwnTorchGenerator(Alone):
    def more(self, size):
        super().more(size)
        self.generator = torch.Generator().manual_seed(0)
    def along(self, inputs):
        return super().along(inputs) + 0.01 * torch.rand(1, generator=self.generator)

# said: other outputs
class ClockNoise(Alone):
    def along(self, inputs):
        return super().along(inputs) + 1e-9 * time.perf_counter_ns() % 1

# said: random | step
class NoisySteps(Alone):
    every_step = False
    def initial_state(self, inputs):
        return (self.start(inputs),)
    def step(self, x, state):
        return (torch.tanh(self.read(x) + self.recur(state[0])) + 0 * torch.rand(1),)
    def readout(self, h):
        return self.out(h)
""",
)

STARTING_MODELS = _table(
    "model",
    """
# said: weights | numpy.random
class NumpyInit(Cell):
    def more(self, size):
        super().more(size)
        with torch.no_grad():
            self.out.bias += torch.from_numpy(np.random.randn(*self.out.bias.shape)).float()

# said: weights | `random`
class PythonInit(Cell):
    def more(self, size):
        super().more(size)
        nn.init.constant_(self.out.bias, random.random())

# said: weights
class UnseededInit(Cell):
    def more(self, size):
        super().more(size)
        nn.init.constant_(self.out.bias, np.random.default_rng().random())

# said: hash | process
class HashedInit(Cell):
    def more(self, size):
        super().more(size)
        nn.init.constant_(self.out.bias, hash("forget gate") / 2**64)

# said: seed
class SeedsItself(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        torch.manual_seed(0)
        super().__init__(input_size, hidden_size, output_size)

# said: numpy.random
class SeedsNumpy(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        np.random.seed(0)
        super().__init__(input_size, hidden_size, output_size)

# said: recur.weight | float64
class DoubleParameter(Cell):
    def more(self, size):
        super().more(size)
        self.recur.double()
    def along(self, inputs):
        return torch.tanh(self.recur(self.read(inputs[:, -1]).double())).float()

# said: recur.weight | bfloat16
class BrainParameter(Cell):
    def more(self, size):
        super().more(size)
        self.recur.bfloat16()
    def along(self, inputs):
        return torch.tanh(self.recur(self.read(inputs[:, -1]).bfloat16())).float()

# said: phase | complex64
class ComplexParameter(Cell):
    def more(self, size):
        super().more(size)
        self.phase = nn.Parameter(torch.ones(size, dtype=torch.complex64))
    def along(self, inputs):
        return (super().along(inputs) * self.phase).real
""",
)

STATEFUL_MODELS = _table(
    "model",
    """
# said: between calls
class KeepsState(Alone):
    h = None
    def start(self, inputs):
        h = super().start(inputs)
        return h if self.h is None or self.h.shape != h.shape else self.h
    def along(self, inputs):
        h = super().along(inputs)
        self.h = h.detach()
        return h

# said: between calls
class KeepsStateOnClass(Alone):
    kept = []
    def along(self, inputs):
        h = super().along(inputs) + 0.1 * len(self.kept)
        self.kept.append(0)
        return h

# said: between calls | calls
class CountsCalls(Alone):
    def more(self, size):
        super().more(size)
        self.calls = 0
    def along(self, inputs):
        self.calls += 1
        return super().along(inputs) * (0.5 if self.calls > 1000 else 1.0)

# said: buffer | mean
class RunningMean(Alone):
    def more(self, size):
        super().more(size)
        self.register_buffer("mean", torch.zeros(size))
    def along(self, inputs):
        h = super().along(inputs)
        self.mean.mul_(0.9).add_(0.1 * h.detach().mean(0))
        return h - self.mean

# said: buffer | steps
class CountingBuffer(Alone):
    def more(self, size):
        super().more(size)
        self.register_buffer("steps", torch.zeros(()))
    def along(self, inputs):
        self.steps += 1
        return super().along(inputs)

# said: buffer | scale
class ReplacedBuffer(Cell):
    def more(self, size):
        super().more(size)
        self.register_buffer("scale", torch.ones(()))
    def along(self, inputs):
        self.scale = self.scale * 0.99
        return super().along(inputs)

# said: buffer | recur
class SpectralNorm(Alone):
    def more(self, size):
        super().more(size)
        nn.utils.parametrizations.spectral_norm(self.recur)

# said: BatchNorm1d
class RunningNorm(Cell):
    def more(self, size):
        super().more(size)
        self.norm = nn.BatchNorm1d(size)
    def along(self, inputs):
        return self.norm(super().along(inputs))

# said: parameter | recur.weight
class ClampsWeights(Alone):
    def along(self, inputs):
        with torch.no_grad():
            self.recur.weight.clamp_(-0.1, 0.1)
        return super().along(inputs)

# said: inputs
class ChangesInputs(Alone):
    def forward(self, inputs):
        inputs[:, 0] *= 0.9
        return super().forward(inputs)
""",
)

GRADIENT_MODELS = _table(
    "model",
    """
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
""",
)

PROCESS_MODELS = _table(
    "model",
    """
# said: current folder
class ChangesFolder(Cell):
    def more(self, size):
        super().more(size)
        os.chdir("/")

# said: default dtype
class ChangesDtype(Cell):
    def more(self, size):
        super().more(size)
        torch.set_default_dtype(torch.float64)

# said: default device
class ChangesDevice(Cell):
    def more(self, size):
        super().more(size)
        torch.set_default_device("cpu:0")

# said: standard output
class ClosesOutput(Cell):
    def more(self, size):
        super().more(size)
        sys.stdout.close()

# said: standard output
class ReplacesOutput(Alone):
    def along(self, inputs):
        sys.stdout = open(os.devnull, "w")
        return super().along(inputs)

# said: standard error
class ReplacesError(Alone):
    def along(self, inputs):
        sys.stderr = sys.stdout
        return super().along(inputs)

# said: standard output
class ClosesDescriptor(Cell):
    def more(self, size):
        super().more(size)
        os.close(1)

# said: threads
class ChangesThreads(Alone):
    def along(self, inputs):
        torch.set_num_threads(2)
        return super().along(inputs)

# said: grad mode
class ChangesGradMode(Cell):
    def more(self, size):
        super().more(size)
        torch.set_grad_enabled(False)

# said: deterministic
class ChangesDeterminism(Cell):
    def more(self, size):
        super().more(size)
        torch.use_deterministic_algorithms(True)

# said: SIGINT
class ChangesSignals(Cell):
    def more(self, size):
        super().more(size)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

# said: environment | MY_CELL
class ChangesEnvironment(Cell):
    def more(self, size):
        super().more(size)
        os.environ["MY_CELL"] = "1"

# said: sys.exit(3)
class Exits(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        sys.exit(3)

# said: sys.exit
class ExitsInForward(Alone):
    def along(self, inputs):
        sys.exit("no more")

# said: KeyboardInterrupt
class Interrupts(Alone):
    def along(self, inputs):
        raise KeyboardInterrupt

# said: ended the process | 3
class ExitsAtOnce(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        os._exit(3)

# said: ended the process | 0
class ExitsQuietly(Alone):
    def along(self, inputs):
        os._exit(0)

# said: SIGSEGV
class Segfaults(Alone):
    def along(self, inputs):
        import ctypes
        ctypes.string_at(0)

# said: SIGABRT
class Aborts(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        os.abort()

# said: SIGKILL
class KillsItself(Alone):
    def along(self, inputs):
        os.kill(os.getpid(), signal.SIGKILL)

# said: after | s
class Loops(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        while True:
            pass

# said: after | s
class Sleeps(Alone):
    def along(self, inputs):
        time.sleep(1e6)
""",
)

RAISING_MODELS = _table(
    "model",
    """
# said: RuntimeError
class RaisesWithoutText(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        raise RuntimeError

# said: two lines
class RaisesLines(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        raise RuntimeError("two" + chr(10) + "lines")

# said: ValueError
class RaisesSurrogate(Alone):
    def along(self, inputs):
        raise ValueError("a lone " + chr(0xD800))

# said: Unprintable
class RaisesUnprintable(Alone):
    def along(self, inputs):
        class Unprintable(Exception):
            def __str__(self):
                raise RuntimeError("no text")
        raise Unprintable

# said: ValueError: xxxx
class RaisesMegabytes(Alone):
    def along(self, inputs):
        raise ValueError("x" * 50_000_000)

# said: RaisesUserError | mine
class RaisesUserError(Alone):
    def along(self, inputs):
        from harness import UserError
        raise UserError("mine")

# said: OwnException
class RaisesOwnBase(Alone):
    def along(self, inputs):
        raise type("OwnException", (BaseException,), {})()

# said: AssertionError
class Asserts(Alone):
    def along(self, inputs):
        assert inputs.shape == (1,)

# said: RecursionError
class Recurses(Alone):
    def along(self, inputs):
        return self.along(inputs)
""",
)

BAD_TASKS = _table(
    "task",
    """
# said: batch | torch
class GlobalDraw(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs + 0.1 * torch.randn_like(inputs), targets

# said: batch | numpy.random
class NumpyDraw(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs * np.random.rand(), targets

# said: batch | `random`
class PythonDraw(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs * random.random(), targets

# said: between calls
class DrawState(Latch):
    drawn = 0
    def draw(self, generator, size):
        self.drawn += 1
        inputs, targets = super().draw(generator, size)
        return inputs / self.drawn, targets

# said: torch
class TorchData(Latch):
    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.code = torch.randn(4)
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs * self.code, targets

# said: numpy.random
class NumpyData(Latch):
    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.code = torch.from_numpy(np.random.randn(4)).float()
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs * self.code, targets

# said: held-out
class NoisyHeldout(Latch):
    def draw_heldout(self, generator, size, split):
        clock = torch.Generator().manual_seed(time.time_ns() % 2**31)
        return None if split == "control" else self.draw(clock, size)

# said: inputs | float64
class DoubleInputs(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs.double(), targets

# said: inputs | bfloat16
class BrainInputs(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs.bfloat16(), targets

# said: inputs | complex64
class ComplexInputs(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs.to(torch.complex64), targets

# said: targets | float64
class DoubleTargets(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs, F.one_hot(targets, 4).double()

# said: loss | float64
class DoubleLoss(Latch):
    def loss(self, outputs, targets):
        return super().loss(outputs.double(), targets)

# said: sequences
class ShortDraw(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs[: size // 2], targets[: size // 2]

# said: loss | random
class NoisyLoss(Latch):
    def loss(self, outputs, targets):
        return super().loss(outputs + 0.1 * torch.randn(outputs.shape), targets)

# said: score | random
class NoisyScore(Latch):
    def score(self, outputs, targets):
        return super().score(outputs, targets) * random.random()

# said: targets
class ChangesTargets(Latch):
    def score(self, outputs, targets):
        found = super().score(outputs, targets)
        targets.fill_(0)
        return found

# said: default dtype
class TaskChangesDtype(Latch):
    def draw(self, generator, size):
        torch.set_default_dtype(torch.float64)
        return super().draw(generator, size)
""",
)

BAD_OPTIMIZERS = _table(
    "optimizer",
    """
# said: between calls
class KeepsVelocity(Momentum):
    velocity = 0.0
    def update(self, weights, grads, state, rate):
        self.velocity = 0.9 * self.velocity + grads.mean()
        return super().update(weights, grads + self.velocity, state, rate)

# said: replicas
class MixesReplicas(Momentum):
    def update(self, weights, grads, state, rate):
        return super().update(weights, grads / grads.norm(), state, rate)

# said: replicas
class SkipsAll(Momentum):
    def update(self, weights, grads, state, rate):
        if not torch.isfinite(grads).all():
            return weights, state
        return super().update(weights, grads, state, rate)

# said: in place
class UpdatesInPlace(Momentum):
    def update(self, weights, grads, state, rate):
        weights -= rate * grads
        return weights, state

# said: random | torch
class NoisyUpdate(Momentum):
    def update(self, weights, grads, state, rate):
        return super().update(weights, grads + 0.01 * torch.randn_like(grads), state, rate)

# said: float64
class DoubleUpdate(Momentum):
    def update(self, weights, grads, state, rate):
        return super().update(weights.double(), grads, state, rate)

# said: state
class SharedCounter(Momentum):
    def init(self, weights):
        return (*super().init(weights), torch.zeros(()))
    def update(self, weights, grads, state, rate):
        weights, (velocity,) = super().update(weights, grads, state[:1], rate)
        return weights, (velocity, state[1] + 1)

# said: state
class NumberInState(Momentum):
    def init(self, weights):
        return (*super().init(weights), 0)
    def update(self, weights, grads, state, rate):
        weights, (velocity,) = super().update(weights, grads, state[:1], rate)
        return weights, (velocity, state[1] + 1)
""",
)

BAD_RULES = _table(
    "clip_rule",
    """
# said: between calls
class KeepsNorm(Soft):
    largest = 0.0
    def clip(self, grads, norm, max_norm, state):
        self.largest = max(self.largest, float(norm.max()))
        grads, coefficient, state = super().clip(grads, norm, max_norm, state)
        return grads / (1 + self.largest), coefficient / (1 + self.largest), state

# said: replicas
class ClipsTogether(Soft):
    def clip(self, grads, norm, max_norm, state):
        return super().clip(grads, norm.norm().expand_as(norm), max_norm, state)

# said: in place
class ClipsInPlace(Soft):
    def clip(self, grads, norm, max_norm, state):
        coefficient = 1 / (1 + norm)
        return grads.mul_(coefficient), coefficient, state

# said: random | numpy.random
class NoisyClip(Soft):
    def clip(self, grads, norm, max_norm, state):
        return super().clip(grads, norm * (1 + np.random.rand()), max_norm, state)

# said: coefficient
class WrongCoefficient(Soft):
    def clip(self, grads, norm, max_norm, state):
        grads, coefficient, state = super().clip(grads, norm, max_norm, state)
        return grads, torch.ones_like(coefficient), state

# said: state
class GrowingHistory(Soft):
    def clip(self, grads, norm, max_norm, state):
        grads, coefficient, _ = super().clip(grads, norm, max_norm, state)
        return grads, coefficient, (torch.cat([state[0], norm], dim=1),)
""",
)

SOUND = [
    *_table("model", '''
# said:
class NoDropout(Cell):
    def more(self, size):
        super().more(size)
        self.drop = nn.Dropout(0.0)
    def along(self, inputs):
        return self.drop(super().along(inputs))

# said:
class PlainLSTM(Alone):
    def more(self, size):
        super().more(size)
        self.deep = nn.LSTM(size, size, num_layers=2, dropout=0.0, batch_first=True)
    def along(self, inputs):
        return self.deep(self.read(inputs))[0][:, -1]

# said:
class PlainAttention(Alone):
    def more(self, size):
        super().more(size)
        self.attend = nn.MultiheadAttention(size, 1, batch_first=True)
    def along(self, inputs):
        x = self.read(inputs)
        return self.attend(x, x, x)[0][:, -1]

# said:
class InstanceNorm(Cell):
    def more(self, size):
        super().more(size)
        self.norm = nn.InstanceNorm1d(size)
    def along(self, inputs):
        return self.norm(self.read(inputs).transpose(1, 2))[:, :, -1]

# said:
class Orthogonal(Alone):
    def more(self, size):
        super().more(size)
        nn.utils.parametrizations.orthogonal(self.recur)

# said:
class SeededInside(Cell):
    def more(self, size):
        super().more(size)
        nn.init.constant_(self.out.bias, np.random.default_rng(7).random())

# said:
class KeepsMask(Alone):
    mask = None
    def along(self, inputs):
        if self.mask is None:
            self.mask = torch.ones(inputs.shape[-1])
        return super().along(inputs * self.mask)

# said:
class FrozenReservoir(Cell):
    def more(self, size):
        super().more(size)
        self.recur.requires_grad_(False)
        self.register_buffer("order", torch.arange(size))
    def along(self, inputs):
        return super().along(inputs)[:, self.order]

# said:
class TiedWeights(Cell):
    def more(self, size):
        super().more(size)
        self.again = self.recur
    def along(self, inputs):
        return self.again(super().along(inputs))

# said:
class ConstantStart(Alone):
    def more(self, size):
        super().more(size)
        for number, parameter in enumerate(self.parameters()):
            nn.init.constant_(parameter, 0.01 * (number + 1))

# said:
class Prints(Alone):
    def along(self, inputs):
        print("{}" * 1000)
        print("not yours", file=sys.stderr)
        os.write(1, b"raw" * 1000)
        return super().along(inputs)

# said:
class Recomputed(Alone):
    def along(self, inputs):
        return checkpoint(torch.tanh, super().along(inputs), use_reentrant=False)
'''),
    *_table("task", '''
# said:
class SoundTask(Latch):
    pass
'''),
    *_table("optimizer", '''
# said:
class SoundOptimizer(Momentum):
    pass
'''),
    *_table("clip_rule", '''
# said:
class SoundRule(Soft):
    pass
'''),
]  # fmt: skip
"""Classes that must be accepted."""

IMPURE = [
    *RANDOM_MODELS, *STARTING_MODELS, *STATEFUL_MODELS, *GRADIENT_MODELS, *PROCESS_MODELS, *RAISING_MODELS,
    *BAD_TASKS, *BAD_OPTIMIZERS, *BAD_RULES,
]  # fmt: skip
"""Classes that must be refused before anything starts."""

TRAPS: dict[str, Trap] = {trap.name: trap for trap in [*IMPURE, *SOUND]}
"""By name."""

"""What tasks, models and clip rules may declare, and what a class was found to have.

A class declares a capability by having the attributes of one of the protocols below; nothing needs to be
subclassed. The functions after them are the only places that ask. All of it works on a class too, as long as
the attribute is one of the class.
"""

import difflib
import inspect
from typing import Any, ClassVar, Protocol, runtime_checkable

from harness.errors import UserError

SEQUENCE = "sequence"
"""What tasks give and models read if they do not say: inputs (batch, time, input)."""

WHOLE_SEQUENCE = "whole sequence"
"""A sequence with an answer at its end only: a model may look at all of it at once."""


@runtime_checkable
class Gives(Protocol):
    """A task that names what its inputs are, if they are no plain sequence."""

    gives: ClassVar[tuple[str, ...]]


@runtime_checkable
class FullBatch(Protocol):
    """A task that says whether its only sequence is all of its data."""

    full_batch: ClassVar[bool]


@runtime_checkable
class OnGraph(Protocol):
    """A task whose inputs live on a graph (`harness.graphs.Graph`)."""

    graph: Any


@runtime_checkable
class HasText(Protocol):
    """A task that can be written: character i of the vocabulary is input and output i."""

    vocabulary: str
    prompt: str


@runtime_checkable
class DrawsDigits(Protocol):
    """A task whose inputs, if of more than one number, are one-hot, and which can say where each 1 is."""

    input_size: int

    def draw_digits(self, generator: Any, size: int, /) -> tuple[Any, Any]:
        """As `draw`, with whole numbers (size, time) as inputs."""


@runtime_checkable
class HasFacts(Protocol):
    """A task that has more to say in a checkpoint."""

    def facts(self) -> dict[str, str | float]:
        """JSON values by name."""


@runtime_checkable
class Asks(Protocol):
    """A task that says in a sentence or two what it asks, what its length T counts, and what its score is."""

    asks: ClassVar[str]


@runtime_checkable
class HasAccuracy(Protocol):
    """A task that has an accuracy beside its score."""

    def accuracy(self, outputs: Any, targets: Any, /) -> Any:
        """The accuracy of each sequence, (batch,)."""


@runtime_checkable
class Reads(Protocol):
    """A model that names what it reads, if it is no plain sequence."""

    reads: ClassVar[tuple[str, ...]]


@runtime_checkable
class Vectorizable(Protocol):
    """A model that says whether torch.func.vmap can map its forward."""

    vectorizable: bool


@runtime_checkable
class Bidirectional(Protocol):
    """A model that says whether it reads a sequence from both ends."""

    bidirectional: bool


@runtime_checkable
class EveryStep(Protocol):
    """A model or task with an answer after every time step, or at the end only.

    A model is told what its task asks for.
    """

    every_step: bool


@runtime_checkable
class Stepwise(Protocol):
    """A model that can be taken through time step by step."""

    every_step: bool

    def initial_state(self, inputs: Any) -> tuple[Any, ...]:
        """Tensors (batch, ...) of the inputs' dtype."""

    def step(self, x: Any, state: Any) -> tuple[Any, ...]:
        """The state after one more input."""

    def readout(self, h: Any) -> Any:
        """Outputs from the state's first tensor."""


@runtime_checkable
class StateSize(Protocol):
    """A stepwise model that says how many tensors the state of one layer has."""

    state_size: int


@runtime_checkable
class RecurrentWeight(Protocol):
    """A model that says which of its weights are recurrent."""

    def recurrent_weight(self) -> Any:
        """(matrices, n, n)."""


@runtime_checkable
class LayerStates(Protocol):
    """A graph network that says what its nodes hold after each layer."""

    def read(self, inputs: Any) -> tuple[Any, Any]:
        """Features and adjacency of the inputs."""

    def layer_states(self, inputs: Any) -> Any:
        """H after every layer, each (batch, nodes, hidden)."""


@runtime_checkable
class UsesMaxNorm(Protocol):
    """A clip rule that says whether it is trained at every `max_norms` of a space, or once."""

    uses_max_norm: ClassVar[bool]


def inputs_given(task: object) -> tuple[str, ...]:
    """What the inputs of a task can be read as: its `gives`, or a plain sequence."""
    if isinstance(task, Gives):
        return task.gives
    return (SEQUENCE,) if answers_every_step(task) else (SEQUENCE, WHOLE_SEQUENCE)


def inputs_read(model: object) -> tuple[str, ...]:
    """What a model can read: its `reads`, or a plain sequence."""
    return model.reads if isinstance(model, Reads) else (SEQUENCE,)


def has_one_sequence(task: object) -> bool:
    """Whether the only sequence of a task is all of its data."""
    return isinstance(task, FullBatch) and task.full_batch


def draws_digits(task: object) -> bool:
    """Whether a task can give its one-hot inputs as whole numbers."""
    return isinstance(task, DrawsDigits) and task.input_size > 1


def graph_of(task: object) -> Any:
    """The graph that the inputs of a task live on, or None."""
    return task.graph if isinstance(task, OnGraph) else None


def facts_of(task: object) -> dict[str, str | float]:
    """What a task has to say in a checkpoint."""
    return task.facts() if isinstance(task, HasFacts) else {}


def asked_by(task: object) -> str:
    """What a task asks: its `asks`, or else the first line of its own docstring; empty without one."""
    if isinstance(task, Asks):
        return str(task.asks)
    own = inspect.cleandoc(type(task).__dict__.get("__doc__") or "").partition("\n")[0]
    return "" if own.startswith(f"{type(task).__name__}(") else own  # dataclasses write such a line


def answers_every_step(part: object) -> bool:
    """Whether a task asks for, or a model gives, an answer after every step."""
    return isinstance(part, EveryStep) and part.every_step


def is_vectorizable(model: object) -> bool:
    """Whether replicas of a model may run as one program: yes, unless it says no."""
    return not isinstance(model, Vectorizable) or model.vectorizable is not False


def is_bidirectional(model: object) -> bool:
    """Whether a model reads a sequence from both ends."""
    return isinstance(model, Bidirectional) and model.bidirectional


def has_steps(model: object) -> bool:
    """Whether a model can be taken through time step by step, in one direction."""
    return isinstance(model, Stepwise) and not is_bidirectional(model)


def has_recurrent_weight(model: object) -> bool:
    """Whether a model says which of its weights are recurrent."""
    return isinstance(model, RecurrentWeight)


def has_layer_states(model: object) -> bool:
    """Whether a model says how it reads its graph, and what its nodes hold after each layer."""
    return isinstance(model, LayerStates)


def state_parts(model: object, parts: int) -> int:
    """How many of the `parts` tensors of a model's state belong to its top layer: all, unless it says."""
    return model.state_size if isinstance(model, StateSize) else parts


def uses_max_norm(rule: object) -> bool:
    """Whether a clip rule is trained at every `max_norms` of a space."""
    return isinstance(rule, UsesMaxNorm) and rule.uses_max_norm


def tell_every_step(model: object, task: object) -> None:
    """Tell a model that can answer at every step whether its task asks for that."""
    if isinstance(model, EveryStep):
        model.every_step = answers_every_step(task)


DECLARED = (
    "bidirectional",
    "every_step",
    "full_batch",
    "gives",
    "reads",
    "state_size",
    "uses_max_norm",
    "vectorizable",
)
"""Attributes that are values: nothing would miss one that is misspelt."""


class Misspelt(UserError):
    """A declaration that nearly has one of the names that mean something."""


def check_spelling(part: object) -> None:
    """Raise Misspelt if a class or an object declares a value under nearly one of these names."""
    cls = part if isinstance(part, type) else type(part)
    for name, value in {**vars(cls), **vars(part)}.items():
        near = difflib.get_close_matches(name, DECLARED, n=1, cutoff=0.8)
        if near and name not in DECLARED and not callable(value) and not isinstance(value, property):
            raise Misspelt(f"{cls.__module__}:{cls.__name__} has {name!r}; did you mean {near[0]!r}?")


def found_in(model: object) -> list[str]:
    """What a model was found to have, and what is measured for it."""
    return [
        "one program for all replicas" if is_vectorizable(model) else "replicas run one after the other",
        "steps (gradient through time, Lyapunov exponents)" if has_steps(model) else "no steps",
        "recurrent weight (spectrum)" if has_recurrent_weight(model) else "no recurrent weight",
        *(["layer states (smoothing)"] if has_layer_states(model) else []),
    ]

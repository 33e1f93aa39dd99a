"""Copies of one model trained as one program: their weights are the rows of one matrix.

Replica dimensions come first: R replicas, P parameters, B batch, T time, I input.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from harness.capabilities import graph_of, is_bidirectional, is_vectorizable, tell_every_step
from harness.condition import Condition
from harness.errors import UserError
from harness.identity import stream_seed
from harness.models import models
from harness.probes import Moment
from harness.tasks import Task
from harness.training.modules import check_modules

Buffers = dict[str, Tensor]

EVAL_CHUNK = 250
"""Held-out sequences per forward pass; the last pass has what is left."""


def build_model(condition: Condition, task: Task, seed: int) -> nn.Module:
    """The model of one replica, its weights a function of task, length and seed alone.

    Constructors draw from torch's default generator, which is seeded here and put back after. Raises
    ValueError for what is no module, or has parameters or modules that cannot be trained as replicas.
    """
    weights_seed = stream_seed("weights", condition.task, condition.length, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(weights_seed)
        model = models.build(
            condition.model,
            dict(condition.options),
            input_size=task.input_size,
            hidden_size=condition.hidden_size,
            output_size=task.output_size,
            length=task.length,
            graph=graph_of(task),
        )
        seeded_as = torch.initial_seed()
    if not isinstance(model, nn.Module):
        raise ValueError(f"model {condition.model} is a {type(model).__name__}; expected a torch.nn.Module")
    if seeded_as != weights_seed:
        raise ValueError(
            f"model {condition.model} seeds torch's generator in its constructor: all seeds would start from "
            f"the same weights; leave it out, the generator is seeded before"
        )
    if not trainable(model):
        raise ValueError(f"model {condition.model} has no parameters to train")
    check_modules(f"model {condition.model}", model)
    if task.every_step and is_bidirectional(model):
        raise UserError(
            f"bidirectional=true does not fit task {condition.task}: it asks for an answer after every "
            f"step, and a bidirectional model has read the steps after it; leave it false"
        )
    tell_every_step(model, task)
    return model


class Rounding(NamedTuple):
    """Whether replicas are rounded alike in one vmap, and a single one there as two are."""

    vectorizable: bool
    single_is_exact: bool = True


class Replicas:
    """The forward pass of R copies of a model, as a pure function of their weights.

    All replicas go through one vmap, and a single one does too. The kernel of a matrix product, and so its
    rounding, depends on the processor and on whether the product is batched. Where a batch of one is rounded
    differently still, a single replica is run twice. So numbers on the CPU never depend on packing. Replicas
    run one after the other if the model says `vectorizable = False`, or if rounding depends on a replica's
    place in the pack: torch.sigmoid and others round the last few elements of a contiguous tensor in another
    way than the rest.
    """

    def __init__(self, model: nn.Module, task: Task) -> None:
        self.model = model
        self.task = task
        parameters = trainable(model)
        every = owners(model)
        self._names = [every[name] for name in parameters]
        self._shapes = [p.shape for p in parameters.values()]
        self._sizes = [p.numel() for p in parameters.values()]
        self.rounding = Rounding(vectorizable=is_vectorizable(model))

    def check_single(self, batches: Sequence[tuple[Tensor, Tensor]], heldout: tuple[Tensor, Tensor]) -> None:
        """Find out, on real batches, whether a replica is rounded alike alone, as one of two, and of many."""
        weights_1P, buffers_1 = stack([self.model])
        if not self.rounding.vectorizable or weights_1P.is_cuda:
            return
        weights_2P, buffers_2 = _copies(weights_1P, 2), _copies(buffers_1, 2)
        pairs: list[tuple[Tensor, Tensor]] = []
        for chunk in [*batches, *chunks(*heldout)]:
            inputs, targets = (x.unsqueeze(0) for x in chunk)
            with torch.no_grad():
                single = self.sequences(weights_1P, buffers_1, inputs, targets)
                twins = self.sequences(weights_2P, buffers_2, _copies(inputs, 2), _copies(targets, 2))
            pairs += zip(single, twins, strict=True)
        many = self.gradients(
            _copies(weights_1P, len(batches)),
            _copies(buffers_1, len(batches)),
            *(torch.stack(rows) for rows in zip(*batches, strict=True)),
        )
        alike = True
        for r, batch in enumerate(batches):
            inputs, targets = (x.unsqueeze(0) for x in batch)
            lone = self.gradients(weights_1P, buffers_1, inputs, targets)
            both = self.gradients(weights_2P, buffers_2, _copies(inputs, 2), _copies(targets, 2))
            pairs += zip(lone, both, strict=True)
            alike &= all(torch.equal(row[r], two[0]) for row, two in zip(many, both, strict=True))
        self.rounding = Rounding(alike, all(torch.equal(one[0], two[0]) for one, two in pairs))

    def initial(self) -> tuple[Tensor, Buffers]:
        """Weights (1, P) and buffers of the model as it was built."""
        return stack([self.model])

    def check_outputs(self, inputs_BTI: Tensor, targets_B: Tensor) -> None:
        """Raise ValueError if the model's outputs are not what the task reads, or if the task's loss or score
        is not one number per sequence."""
        with torch.no_grad():
            outputs = self.model(inputs_BTI)
        if not isinstance(outputs, Tensor):
            raise ValueError(f"the model's forward gives a {type(outputs).__name__}; expected a tensor")
        got = tuple(outputs.shape)
        batch, steps = inputs_BTI.shape[:2]
        size = self.task.output_size
        expected = (batch, steps, size) if self.task.every_step else (batch, size)
        if got != expected:
            raise ValueError(f"the model's outputs have shape {got}; the task reads {expected}")
        if outputs.dtype != torch.float32:
            raise ValueError(f"the model's outputs are {outputs.dtype}; training is in torch.float32")
        if outputs.device != inputs_BTI.device:
            raise ValueError(
                f"the model's outputs are on {outputs.device}, its inputs on {inputs_BTI.device}"
            )
        for name, measured in (("loss", self.task.loss), ("score", self.task.score)):
            got = tuple(measured(outputs, targets_B).shape)
            if got != (batch,):
                raise ValueError(f"the task's {name} has shape {got}; expected one per sequence, {(batch,)}")

    def forward(
        self, weights_RP: Tensor, buffers: Buffers, inputs_RBTI: Tensor, targets_RB: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Loss and score of every replica on its own batch: (R,) and (R,)."""
        loss_RB, score_RB = self.sequences(weights_RP, buffers, inputs_RBTI, targets_RB)
        return loss_RB.mean(dim=1), score_RB.mean(dim=1)

    def sequences(
        self, weights_RP: Tensor, buffers: Buffers, inputs_RBTI: Tensor, targets_RB: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Loss and score of every sequence of every replica's batch: (R, B) and (R, B)."""
        arguments: tuple[Any, ...] = (self._unflatten(weights_RP), buffers, inputs_RBTI, targets_RB)
        replicas = len(weights_RP)
        if not self.rounding.vectorizable:
            rows = [self._one(*(_at(a, r) for a in arguments)) for r in range(replicas)]
            loss_RB, score_RB = (torch.stack(column) for column in zip(*rows, strict=True))
            return loss_RB, score_RB
        if replicas == 1 and not self.rounding.single_is_exact:
            arguments = tuple(_copies(a, 2) for a in arguments)
        loss_RB, score_RB = (x[:replicas] for x in vmap(self._one)(*arguments))
        return loss_RB, score_RB

    def gradients(
        self, weights_RP: Tensor, buffers: Buffers, inputs_RBTI: Tensor, targets_RB: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss (R,), score (R,) and the gradient of each replica's loss (R, P).

        The losses are summed for one backward pass. Replicas share no operation. So each row is the gradient
        of its own loss, and a replica that is not finite leaves the others alone.
        """
        weights_RP = weights_RP.detach().requires_grad_()
        loss_R, score_R = self.forward(weights_RP, buffers, inputs_RBTI, targets_RB)
        (grads_RP,) = torch.autograd.grad(loss_R.sum(), weights_RP)
        return loss_R.detach(), score_R, grads_RP

    @torch.no_grad()
    def evaluate(
        self, weights_RP: Tensor, buffers: Buffers, inputs_NTI: Tensor, targets_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean loss and score of every replica on one held-out set: (R,) and (R,)."""
        replicas = len(weights_RP)
        totals = torch.zeros(2, replicas, device=weights_RP.device)
        for inputs, targets in chunks(inputs_NTI, targets_N):
            copies = (x.expand(replicas, *x.shape) for x in (inputs, targets))
            totals += torch.stack(self.forward(weights_RP, buffers, *copies)) * len(inputs)
        loss_R, score_R = totals / len(inputs_NTI)
        return loss_R, score_R

    def moment(self, weights_RP: Tensor, buffers: Buffers, batch: tuple[Tensor, Tensor]) -> Moment:
        """These weights for probes to measure on a batch, in float64."""
        inputs_BTI, targets_B = batch
        return Moment(
            model=self.model,
            weights_RP=weights_RP.double(),
            buffers={name: b.double() if b.is_floating_point() else b for name, b in buffers.items()},
            unflatten=lambda weights_P: {k: v[0] for k, v in self._unflatten(weights_P[None]).items()},
            vectorizable=self.rounding.vectorizable,
            inputs_BTI=inputs_BTI,
            targets_B=targets_B,
            loss=self.task.loss,
        )

    def _one(
        self, parameters: Buffers, buffers: Buffers, inputs_BTI: Tensor, targets_B: Tensor
    ) -> tuple[Tensor, Tensor]:
        outputs = functional_call(self.model, (parameters, buffers), (inputs_BTI,), tie_weights=False)
        return self.task.loss(outputs, targets_B), self.task.score(outputs.detach(), targets_B)

    def _unflatten(self, weights_RP: Tensor) -> Buffers:
        parts = torch.split(weights_RP, self._sizes, dim=1)
        return {
            name: part.view(-1, *shape)
            for names, part, shape in zip(self._names, parts, self._shapes, strict=True)
            for name in names
        }


def chunks(inputs_NTI: Tensor, targets_N: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """A held-out set in parts that one forward pass takes."""
    return zip(torch.split(inputs_NTI, EVAL_CHUNK), torch.split(targets_N, EVAL_CHUNK), strict=True)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are trained, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def owners(model: nn.Module) -> dict[str, list[str]]:
    """All names of every parameter and buffer, by its first: one for each module that holds it.

    `functional_call` must be given each. Its own search gives a module that stands in two places two names
    for one tensor, and then leaves the replaced one in it.
    """
    names: dict[int, list[str]] = {}
    for path, module in model.named_modules():
        for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is not None:
                names.setdefault(id(tensor), []).append(f"{path}.{name}".lstrip("."))
    return {found[0]: found for found in names.values()}


def with_weights(model: nn.Module, weights_P: Tensor) -> nn.Module:
    """A copy of the model that has these trained parameters."""
    copied = copy.deepcopy(model)
    nn.utils.vector_to_parameters(weights_P, trainable(copied).values())
    return copied


def stack(modules: Sequence[nn.Module]) -> tuple[Tensor, Buffers]:
    """Weights (R, P) and buffers (R, ...) of modules of one architecture.

    The weights are the parameters that require gradients; frozen ones go with the buffers.
    """
    weights_RP = torch.stack(
        [nn.utils.parameters_to_vector(trainable(module).values()).detach() for module in modules]
    )
    each = [
        dict(m.named_buffers()) | {k: p for k, p in m.named_parameters() if not p.requires_grad}
        for m in modules
    ]
    every = owners(modules[0])
    stacked = {name: torch.stack([b[name] for b in each]) for name in each[0]}
    return weights_RP, {name: tensor for first, tensor in stacked.items() for name in every[first]}


def _at(argument: Tensor | Buffers, r: int) -> Any:
    """Replica r of a stacked tensor or of a dict of them."""
    return {k: v[r] for k, v in argument.items()} if isinstance(argument, dict) else argument[r]


def _copies(argument: Tensor | Buffers, number: int) -> Any:
    """The one replica of a stacked tensor, or of a dict of them, several times."""
    if isinstance(argument, dict):
        return {k: torch.cat([v] * number) for k, v in argument.items()}
    return torch.cat([argument] * number)

"""Whether a model is a pure function of its weights and its inputs, and is trained as a plain loop would."""

from collections import deque
from typing import Any

import torch
from torch import Tensor, nn

from harness.capabilities import has_steps, is_vectorizable
from harness.clip_rules import clip_rules
from harness.condition import Condition
from harness.driver.tryout.chance import check_undrawn, drawing_module, drawn, states
from harness.driver.tryout.same import Impure, changed, copied, near, same
from harness.driver.tryout.watch import Watch
from harness.errors import one_line
from harness.optimizers import optimizers
from harness.tasks import Stream, Task
from harness.training.loop import CHECKED_BATCHES, build_task
from harness.training.replicas import Replicas, build_model, stack, trainable
from harness.training.step import Batch, Eager

UPDATES = 5
"""Updates that are compared: alone, in a pack of two, and with an evaluation after each."""

ROUNDING = 1e-2
"""A gradient may differ from the plain loop's by this share of its norm. Rounding makes some 1e-6 of it; a
gradient of other weights, or without one of its terms, is another one altogether."""

NOISE = 1e-6
"""Norm below which a gradient is rounding only."""


def check_model(condition: Condition, watch: Watch) -> None:
    """Raise Impure if the model is random, keeps something between calls, or is trained wrongly.

    Its task must have been checked.
    """
    who = f"model {condition.model}"
    task = build_task(condition)
    with watch.doing(who, "its constructor"):
        models = _built(who, condition, task)
    stream = Stream(task, condition.task, condition.batch_size, 0, "cpu")
    batches = [stream.next() for _ in range(CHECKED_BATCHES)]
    with watch.doing(who, "its forward"):
        _check_forward(who, models[0], batches[0][0], batches[1][0])
    if has_steps(models[0]):
        with watch.doing(who, "its steps"):
            _check_steps(who, models[0], batches[0][0])
    with watch.doing(who, "training", 2):
        _check_engine(who, condition, task, batches)
        replicas = Replicas(models[0], task)
        _check_gradients(who, condition, replicas, models, batches)
        _check_updates(who, condition, replicas, models, batches)


def _built(who: str, condition: Condition, task: Task) -> tuple[nn.Module, nn.Module]:
    """The models of two seeds. The first is built twice, which must give the same weights."""
    model, again = (_build(who, condition, task) for _ in range(2))
    differing = changed(dict(model.state_dict()), dict(again.state_dict()))
    if differing:
        raise Impure(
            f"{who}, built twice from one seed, has two different weights {differing[0]!r}: its constructor "
            f"draws from a generator that is not seeded; draw from torch's"
        )
    return model, build_model(condition, task, 1)


def _build(who: str, condition: Condition, task: Task) -> nn.Module:
    before = states()
    model = build_model(condition, task, 0)
    mend = "only torch's generator is seeded there, so its weights would differ from run to run"
    check_undrawn(before, who, "its constructor", mend)
    return model


def _check_forward(who: str, model: nn.Module, inputs: Tensor, others: Tensor) -> None:
    """Read one batch, another one, and the first again; everything but the outputs must stay as it was."""
    before, (held,) = states(), copied([inputs])
    tensors = _tensors(model)
    first = model(inputs)
    if isinstance(first, Tensor) and first.device != inputs.device:
        raise Impure(f"the model's outputs are on {first.device}, its inputs on {inputs.device}")
    if drawn(before):
        where = drawing_module(model, lambda: model(inputs))
        check_undrawn(before, who, f"its forward{where}", "its numbers would not repeat")
    for name in changed(tensors, _tensors(model)):
        kind = "parameter" if name in dict(model.named_parameters()) else "buffer"
        raise Impure(
            f"{who} changes its {kind} {name!r} in forward; each evaluation would change the training"
        )
    if not same(inputs, held):
        raise Impure(
            f"{who} changes its inputs in place in forward; each evaluation would change the held-out set"
        )
    with torch.no_grad():
        model(others)
    counted, before = _counts(model), states()
    third = model(inputs)
    check_undrawn(before, who, "its forward", "its numbers would not repeat")
    if not same(first, third):
        raise Impure(
            f"{who} gives other outputs when it reads the same inputs again: it keeps state between calls, "
            f"or draws random numbers from a generator of its own"
        )
    for name, count in _counts(model).items():
        if counted.get(name) != count:
            raise Impure(f"{who} keeps state between calls: {name} changes with every forward")


def _check_steps(who: str, model: Any, inputs: Tensor) -> None:
    before = states()

    def taken() -> list[Tensor]:
        state = model.initial_state(inputs)
        for x in inputs.unbind(1):
            state = model.step(x, state)
        return [*state, model.readout(state[0])]

    first = taken()
    check_undrawn(before, who, "its step, initial_state or readout", "its numbers would not repeat")
    if not same(first, taken()):
        raise Impure(
            f"{who} gives other states when it reads the same inputs again: it keeps state between calls"
        )


def _check_engine(who: str, condition: Condition, task: Task, batches: list[Batch]) -> None:
    """Make sure that the engine takes the model: as one program for all replicas unless it says otherwise."""
    model = build_model(condition, task, 0)
    replicas = Replicas(model, task)
    replicas.check_outputs(*batches[0])
    try:
        _engine(condition, replicas).check(batches, batches[0])
    except Exception as error:
        if not is_vectorizable(model) or not _works_alone(condition, task, batches[0]):
            raise
        raise Impure(
            f"{who} cannot be mapped by torch.func.vmap ({one_line(error)}); set vectorizable = False on it: "
            f"its replicas then run one after the other"
        ) from error


def _works_alone(condition: Condition, task: Task, batch: Batch) -> bool:
    """Whether the model has a gradient if it is not vectorised."""
    model: Any = build_model(condition, task, 0)
    model.vectorizable = False
    try:
        Replicas(model, task).gradients(*stack([model]), *(x[None] for x in batch))
    except Exception:
        return False
    return True


def _check_gradients(
    who: str,
    condition: Condition,
    replicas: Replicas,
    models: tuple[nn.Module, nn.Module],
    batches: list[Batch],
) -> None:
    """Compare loss and gradient with a plain loop's, at the weights of two seeds and at some near them."""
    weights_RP, buffers = stack([models[0], models[1], models[1]])
    noise_P = torch.randn(weights_RP.shape[1], generator=torch.Generator().manual_seed(0))
    weights_RP[2] += 0.1 * noise_P * weights_RP[2].abs().clamp(min=0.01)
    inputs, targets = (torch.stack(each) for each in zip(*batches[:3], strict=True))
    loss_R, _, grads_RP = replicas.gradients(weights_RP, buffers, inputs, targets)
    for r, seed in enumerate((0, 1, 1)):
        model = build_model(condition, replicas.task, seed)
        nn.utils.vector_to_parameters(weights_RP[r].clone(), trainable(model).values())
        loss = replicas.task.loss(model(inputs[r]), targets[r]).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in trainable(model).values()]
        grad_P = nn.utils.parameters_to_vector(grads)
        if not (
            near(loss_R[r], loss.detach(), ROUNDING, NOISE) and near(grads_RP[r], grad_P, ROUNDING, NOISE)
        ):
            raise Impure(
                f"{who} gets another gradient here than in a plain loop of loss.backward(): its forward uses "
                f"parameters that are not its attributes, recomputes it in the backward pass, or has hooks"
            )


def _check_updates(
    who: str,
    condition: Condition,
    replicas: Replicas,
    models: tuple[nn.Module, nn.Module],
    batches: list[Batch],
) -> None:
    """Some updates of one replica are the same alone, in a pack of two, and with evaluations between."""
    alone = _trained(condition, replicas, models[:1], batches)
    packed = _trained(condition, replicas, models, batches)
    evaluated = _trained(condition, replicas, models[:1], batches, evaluate=True)
    for weights_RP, how in ((packed, "in a pack of two"), (evaluated, "with evaluations in between")):
        moved = float(torch.linalg.vector_norm(alone[0] - stack(models[:1])[0][0]))
        if not near(weights_RP[0], alone[0], 0, ROUNDING * moved + NOISE):
            raise Impure(f"{who} is trained to other weights {how} than alone: it keeps state between calls")


def _trained(
    condition: Condition,
    replicas: Replicas,
    models: tuple[nn.Module, ...],
    batches: list[Batch],
    evaluate: bool = False,
) -> Tensor:
    """Weights (R, P) after some updates."""
    engine = _engine(condition, replicas)
    weights_RP, buffers = stack(models)
    states = engine.init(weights_RP, UPDATES)
    rate_R1 = torch.full((len(models), 1), 1e-3)
    max_norm_R1 = torch.full((len(models), 1), 1.0)
    for inputs, targets in batches[:UPDATES]:
        batch = [(torch.stack([inputs] * len(models))[None], torch.stack([targets] * len(models))[None])]
        own = torch.arange(len(models))
        block = engine.block(weights_RP, states, buffers, batch, own, rate_R1, max_norm_R1, ())
        weights_RP, states = block.weights_RP, block.states
        if evaluate:
            engine.evaluate(weights_RP, buffers, *batches[-1])
    return weights_RP


def _engine(condition: Condition, replicas: Replicas) -> Eager:
    options = dict(condition.options)
    optimizer = optimizers.build(condition.optimizer, options)
    return Eager(replicas, optimizer, clip_rules.build(condition.clip_rule, options))


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters and buffers."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in named}


def _counts(model: nn.Module) -> dict[str, float]:
    """The numbers and the lengths of containers that a model's objects and classes hold, by name."""
    found = {}
    for path, module in model.named_modules():
        held = {name: value for cls in type(module).__mro__ for name, value in vars(cls).items()} | vars(
            module
        )
        for name, value in held.items():
            full = f"{path}.{name}".lstrip(".")
            if isinstance(value, int | float):
                found[full] = value
            elif isinstance(value, list | dict | set | deque):
                found[full] = len(value)
    return found

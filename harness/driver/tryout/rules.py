"""Whether an optimizer or a clip rule is a pure function of its arguments, for each replica on its own."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.clip_rules import clip_rules
from harness.condition import Condition
from harness.driver.tryout.chance import check_undrawn, states
from harness.driver.tryout.same import Impure, copied, near, same
from harness.driver.tryout.watch import Watch
from harness.optimizers import optimizers

REPLICAS, PARAMETERS, STEPS = 3, 37, 4
"""What a rule is tried on: so many replicas, numbers in each, and steps one after the other."""

ROUNDING = 1e-4
"""A replica alone and in a pack may differ by this share: a rule's sums may be taken in another order."""

Tensors = tuple[Tensor, ...]

Call = Callable[[Tensors, Any], tuple[Tensors, Any]]
"""Arguments with replicas first and a state in; results with replicas first and a new state out."""


def check_optimizer(condition: Condition, watch: Watch) -> None:
    """Raise Impure if `init` and `update` are no pure functions."""
    who = f"optimizer {condition.optimizer}"
    with watch.doing(who, "its constructor"):
        rule = optimizers.build(condition.optimizer, dict(condition.options))

    def update(arguments: Tensors, state: Any) -> tuple[Tensors, Any]:
        weights_RP, grads_RP, rate_R1 = arguments
        weights_RP, state = rule.update(weights_RP, grads_RP, state, rate_R1)
        return (weights_RP,), state

    rates_R1 = torch.tensor([[1e-3], [1e-2], [1e-1]])
    steps = [(_random(2 * k), _random(2 * k + 1), rates_R1) for k in range(STEPS)]
    with watch.doing(who, "its update"):
        _check_rule(
            who, "update", ("weights",), ("weights", "gradients", "learning rates"), rule.init, update, steps
        )


def check_clip_rule(condition: Condition, watch: Watch) -> None:
    """Raise Impure if `init` and `clip` are no pure functions, or if the coefficient is no ratio of norms."""
    who = f"clip rule {condition.clip_rule}"
    with watch.doing(who, "its constructor"):
        rule = clip_rules.build(condition.clip_rule, dict(condition.options))

    def init(weights_RP: Tensor) -> Any:
        return rule.init(weights_RP, STEPS)

    def clip(arguments: Tensors, state: Any) -> tuple[Tensors, Any]:
        grads_RP, norm_R1, max_norm_R1 = arguments
        grads_RP, coefficient_R1, state = rule.clip(grads_RP, norm_R1, max_norm_R1, state)
        return (grads_RP, coefficient_R1), state

    limits_R1 = torch.tensor([[0.5], [1.0], [torch.inf]])
    steps = []
    for k in range(STEPS):
        grads_RP = _random(k)
        steps.append((grads_RP, torch.linalg.vector_norm(grads_RP, dim=1, keepdim=True), limits_R1))
    with watch.doing(who, "clip"):
        taken = ("gradients", "norms", "thresholds")
        _check_rule(who, "clip", ("gradients", "coefficient"), taken, init, clip, steps)
        (clipped_RP, coefficient_R1), _ = clip(steps[0], init(_random(0)))
        ratio_R1 = torch.linalg.vector_norm(clipped_RP, dim=1, keepdim=True) / steps[0][1]
        if not torch.allclose(coefficient_R1, ratio_R1, rtol=1e-2):
            raise Impure(
                f"{who}: its coefficient is {float(coefficient_R1[0]):.3g} where the norm of the gradient is "
                f"{float(ratio_R1[0]):.3g} of what it was; expected the norm after clipping over that before"
            )


def _check_rule(
    who: str,
    what: str,
    gives: Sequence[str],
    takes: Sequence[str],
    init: Callable[[Tensor], Any],
    call: Call,
    steps: Sequence[Tensors],
) -> None:
    """`gives` and `takes` name the tensors that `call` gives and takes, in messages."""
    before = states()
    state = init(_random(0))
    _check_state(who, state, None)
    held, held_state = copied(steps[0]), copied(state)
    results, after = call(steps[0], state)
    check_undrawn(before, who, what, "everything must follow from its arguments")
    for name, tensor, kept in zip(
        (*takes, *["state"] * len(state)), (*steps[0], *state), (*held, *held_state), strict=True
    ):
        if not same(tensor, kept):
            raise Impure(f"{who} changes its {name} in place in {what}; give new tensors")
    _check_results(who, what, gives, results, steps[0])
    _check_state(who, after, state)
    for arguments in steps[1:]:
        call(arguments, after)
    if not same((results, after), call(steps[0], state)):
        raise Impure(
            f"{who} gives another result for the same arguments: it keeps state between calls, or is random; "
            f"give the state back from {what}"
        )
    _check_apart(who, init, call, steps)


def _check_results(who: str, what: str, gives: Sequence[str], results: Tensors, arguments: Tensors) -> None:
    """The first result is as its argument, a second one has a number for each replica."""
    shapes = ((REPLICAS, PARAMETERS), (REPLICAS, 1))
    for name, result, shape in zip(gives, results, shapes, strict=False):
        if not isinstance(result, Tensor) or result.shape != shape or result.dtype != arguments[0].dtype:
            got = (
                f"{result.dtype} {tuple(result.shape)}"
                if isinstance(result, Tensor)
                else type(result).__name__
            )
            raise Impure(f"{who}: {what} gives {name} that are {got}; expected torch.float32 {shape}")


def _check_state(who: str, state: Any, before: Any) -> None:
    """A state is a tuple of tensors with a row for each replica, and its shapes stay."""
    expected = f"its state must be a tuple of tensors with a row for each of the {REPLICAS} replicas"
    if not isinstance(state, tuple):
        raise Impure(f"{who}: {expected}, not a {type(state).__name__}")
    for number, tensor in enumerate(state):
        if not isinstance(tensor, Tensor):
            raise Impure(f"{who}: {expected}; number {number} is a {type(tensor).__name__}")
        if tensor.ndim == 0 or len(tensor) != REPLICAS:
            raise Impure(f"{who}: {expected}; number {number} has shape {tuple(tensor.shape)}")
    if before is not None and [(x.shape, x.dtype) for x in state] != [(x.shape, x.dtype) for x in before]:
        raise Impure(
            f"{who}: the shapes and types of its state change from step to step; expected {_shapes(before)}"
        )


def _check_apart(who: str, init: Callable[[Tensor], Any], call: Call, steps: Sequence[Tensors]) -> None:
    """Each replica's numbers are those that it has alone, and beside one that is not finite."""
    together = _followed(init(_random(0)), call, steps)
    for r in range(REPLICAS):
        alone = _followed(init(_random(0)[r : r + 1]), call, [_rows(x, slice(r, r + 1)) for x in steps])
        if not all(near(a, t[r : r + 1], ROUNDING, 1e-7) for a, t in zip(alone, together, strict=True)):
            raise Impure(f"{who} mixes replicas: the numbers of one depend on the others of its pack")
    broken = [tuple(x.clone() for x in arguments) for arguments in steps]
    broken[0][0][0], broken[0][1][0] = torch.inf, torch.nan
    beside = _followed(init(_random(0)), call, broken)
    if not all(same(b[1:], t[1:]) for b, t in zip(beside, together, strict=True)):
        raise Impure(f"{who} mixes replicas: one that is not finite changes the others of its pack")


def _followed(state: Any, call: Call, steps: Sequence[Tensors]) -> list[Tensor]:
    """All results of some steps, one after the other."""
    found: list[Tensor] = []
    for arguments in steps:
        results, state = call(arguments, state)
        found += results
    return found


def _rows(tensors: Tensors, rows: slice) -> Tensors:
    return tuple(tensor[rows] for tensor in tensors)


def _shapes(state: Tensors) -> str:
    return ", ".join(f"{x.dtype} {tuple(x.shape)}" for x in state) or "no state"


def _random(seed: int) -> Tensor:
    """Numbers (R, P) of another size for every seed."""
    numbers_RP = torch.randn(REPLICAS, PARAMETERS, generator=torch.Generator().manual_seed(seed))
    return numbers_RP * 2.0 ** (seed if seed % 2 else -seed)

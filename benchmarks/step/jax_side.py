"""The same step in JAX and optax: a scan over time, jitted, mapped over the replicas, many steps per call.

A user who wants speed has some choices, and each is a contestant: `unrolled` writes the time steps out
instead of a loop, and `block` takes many training steps in one call, with data drawn inside. Digits are
gathered, because products with one-hot inputs were slower wherever both were tried.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from benchmarks.step.harness_side import HarnessSide
from benchmarks.step.work import DIGITS, GATES, Work

UNROLLED_PRODUCTS = 60
"""Beyond so many products forward, written out, compiling takes tens of seconds and the program is slower."""

Tree = Any
Array = jax.Array


def worth_unrolling(work: Work) -> bool:
    """Whether the time steps are few enough to be written out."""
    return GATES[work.model] * (work.length - 1) <= UNROLLED_PRODUCTS


def rnn(weight: Array, state: Tree, x: Array) -> tuple[Tree, None]:
    """h = tanh(x + h W)."""
    (h,) = state
    return (jnp.tanh(x + h @ weight),), None


def lstm(weight: Array, state: Tree, x: Array) -> tuple[Tree, None]:
    """c = tanh(g) i + c f;  h = tanh(c) o."""
    h, c = state
    i, f, g, o = jnp.split(x + h @ weight, 4, axis=-1)
    c = jnp.tanh(g) * jax.nn.sigmoid(i) + c * jax.nn.sigmoid(f)
    return (jnp.tanh(c) * jax.nn.sigmoid(o), c), None


def gru(weight: Array, state: Tree, x: Array) -> tuple[Tree, None]:
    """n = tanh(x + r (h W));  h = (1 - z) n + z h."""
    (h,) = state
    size = h.shape[-1]
    product = h @ weight
    r, z = jnp.split(jax.nn.sigmoid(x[:, : 2 * size] + product[:, : 2 * size]), 2, axis=-1)
    n = jnp.tanh(x[:, 2 * size :] + r * product[:, 2 * size :])
    return ((1 - z) * n + z * h,), None


CELLS = {"rnn": rnn, "lstm": lstm, "gru": gru}
STATES = {"rnn": 1, "lstm": 2, "gru": 1}


def outputs(model: str, unroll: int, weights: Tree, digits_BT: Array) -> Array:
    """Outputs (batch, digits) after the last digit. Inputs take their products before the loop over time."""
    x_TBG = weights["input"][digits_BT.T] + weights["bias"]
    zero_BH = jnp.zeros((len(digits_BT), len(weights["hidden"])))
    cell = partial(CELLS[model], weights["hidden"])
    state, _ = lax.scan(cell, (zero_BH,) * STATES[model], x_TBG, unroll=unroll)
    return state[0] @ weights["out"] + weights["out_bias"]


def loss_and_score(model: str, unroll: int, weights: Tree, digits_BT: Array, targets_B: Array) -> Tree:
    """Mean cross-entropy in nats, and accuracy."""
    found_BC = outputs(model, unroll, weights, digits_BT)
    losses_B = optax.softmax_cross_entropy_with_integer_labels(found_BC, targets_B)
    return losses_B.mean(), (found_BC.argmax(-1) == targets_B).mean()


def optimizer(learning_rate: Any, max_norm: Any) -> optax.GradientTransformation:
    """Clip by the global norm, then RMSprop with the harness's constants."""
    return optax.chain(
        optax.clip_by_global_norm(max_norm),
        optax.scale_by_rms(decay=0.99, eps=1e-8, eps_in_sqrt=False),
        optax.scale(-learning_rate),
    )


def update(model: str, unroll: int, carry: Tree, digits_BT: Array, targets_B: Array) -> tuple[Tree, Array]:
    """One training step of one replica; returns loss, score, norm and clip coefficient too."""
    weights, state, rate, limit = carry
    gradient = jax.value_and_grad(partial(loss_and_score, model, unroll), has_aux=True)
    (loss, score), grads = gradient(weights, digits_BT, targets_B)
    norm = optax.tree.norm(grads)
    steps, state = optimizer(rate, limit).update(grads, state)
    scalars = jnp.stack([loss, score, norm, jnp.minimum(1.0, limit / norm)])
    return (optax.apply_updates(weights, steps), state, rate, limit), scalars


def draw(key: Array, size: int, length: int) -> tuple[Array, Array]:
    """Palindromes: all digits but the last, (size, length - 1), and the last, (size,)."""
    half = -(-length // 2)
    left = jax.random.randint(key, (size, half), 0, DIGITS)
    digits = jnp.concatenate([left, left[:, : length - half][:, ::-1]], axis=1)
    return digits[:, :-1], digits[:, -1]


class JaxSide:
    """A pack in JAX, on the weights and given batches of the harness's."""

    def __init__(self, work: Work, harness: HarnessSide) -> None:
        self.work = work
        self.step: Callable[..., Any] | None = None
        self.programs: dict[tuple[int, bool], Callable[..., Any]] = {}
        self.keys = jax.random.split(jax.random.key(0), work.pack)
        given = [harness.given[seed].batch for seed in range(work.pack)]
        self.digits = jnp.stack([jnp.asarray(inputs.argmax(-1).numpy()) for inputs, _ in given])
        self.targets = jnp.stack([jnp.asarray(targets.numpy()) for _, targets in given])
        weights = self._weights(harness)
        rates, limits = jnp.full(work.pack, 1e-3), jnp.ones(work.pack)
        state = jax.vmap(optimizer(1e-3, 1.0).init)(weights)
        self.carry = (weights, state, rates, limits)
        if work.pack == 1:  # no map at all
            own = (self.carry, self.keys, self.digits, self.targets)
            self.carry, self.keys, self.digits, self.targets = jax.tree.map(lambda x: x[0], own)

    def given_block(self, steps: int) -> Array:
        """Updates on the given batches, one call each; returns the scalars of the last."""
        if self.step is None:
            self.step = jax.jit(self._mapped(partial(update, self.work.model, 1)))
        for _ in range(steps):
            self.carry, scalars = self.step(self.carry, self.digits, self.targets)
        return jax.block_until_ready(scalars)

    def block(self, steps: int, unrolled: bool) -> None:
        """Updates in one call, each on a new batch."""
        if (steps, unrolled) not in self.programs:
            self.programs[steps, unrolled] = jax.jit(partial(self._many, steps, unrolled))
        found = self.programs[steps, unrolled](self.carry, self.keys)
        (self.carry, self.keys), _ = jax.block_until_ready(found)

    def first_steps(self) -> list[tuple[float, float, float]]:
        """See `HarnessSide.first_steps`."""
        first, second = (self.given_block(1).reshape(self.work.pack, 4) for _ in range(2))
        return [(float(a[0]), float(b[0]), float(a[2])) for a, b in zip(first, second, strict=True)]

    def _many(self, steps: int, unrolled: bool, carry: Tree, keys: Array) -> Tree:
        size, length = self.work.hidden, self.work.length
        one_update = partial(update, self.work.model, length - 1 if unrolled else 1)

        def one(carry: Tree, key: Array) -> Tree:
            key, own = jax.random.split(key)
            carry, scalars = one_update(carry, *draw(own, size, length))
            return carry, key, scalars

        mapped = self._mapped(one)

        def again(both: Tree, _: None) -> Tree:
            carry, keys, scalars = mapped(*both)
            return (carry, keys), scalars

        return lax.scan(again, (carry, keys), None, length=steps)

    def _mapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function if self.work.pack == 1 else jax.vmap(function)

    def _weights(self, harness: HarnessSide) -> Tree:
        rows, gates, hidden = harness.weights_RP.numpy(), GATES[self.work.model], self.work.hidden
        cell = gates * hidden * (DIGITS + hidden)
        ends = [cell, cell + gates * hidden, cell + gates * hidden + DIGITS * hidden]
        matrix, bias, out, out_bias = jnp.split(jnp.asarray(rows), ends, axis=1)
        both = matrix.reshape(-1, gates * hidden, DIGITS + hidden).swapaxes(1, 2)
        return {
            "input": both[:, :DIGITS],
            "hidden": both[:, DIGITS:],
            "bias": bias,
            "out": out.reshape(-1, DIGITS, hidden).swapaxes(1, 2),
            "out_bias": out_bias,
        }

"""Texts from a model, character by character: greedy, sampled at a temperature, or by beam search.

A model can write if it can be taken through time step by step (`initial_state`, `step`, `readout`), whatever
its state. The state is carried on, so a text may be longer than any sequence of the training.
Shape letters are B for texts, L for characters generated and V for vocabulary.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import UserError

MODES = ("greedy", "sample", "beam")


def continuations(
    model: Any,
    vocabulary: str,
    prompt: str,
    length: int,
    *,
    mode: str = "sample",
    temperature: float = 1.0,
    count: int = 1,
    beams: int = 10,
    generator: torch.Generator,
) -> list[str]:
    """What the model writes after the prompt, `length` characters each.

    Character i of `vocabulary` is input and output i of the model. 'greedy' takes the likeliest character
    each time and gives one text. 'sample' draws `count` texts at the temperature. 'beam' gives the `count`
    likeliest texts that a search with `beams` texts finds, likeliest first. Raises UserError if the prompt is
    empty or has characters that are not in the vocabulary.
    """
    prompt_L = encoded(prompt, vocabulary)
    if mode == "beam":
        texts_BL = beam_search(model, prompt_L, length, len(vocabulary), beams)[0][:count]
    else:
        temperature, count = (0.0, 1) if mode == "greedy" else (temperature, count)
        texts_BL = sample(model, prompt_L, length, len(vocabulary), temperature, count, generator)
    return ["".join(vocabulary[i] for i in text_L) for text_L in texts_BL.tolist()]


def encoded(text: str, vocabulary: str) -> Tensor:
    """The text's characters as places in the vocabulary, (L,)."""
    unknown = sorted(set(text) - set(vocabulary))
    if unknown:
        raise UserError(
            f"the prompt has {', '.join(map(repr, unknown))}, which the model does not know; its "
            f"{len(vocabulary)} characters: {vocabulary!r}"
        )
    if not text:
        raise UserError("the prompt is empty; expected at least one character to go on from")
    return torch.tensor([vocabulary.index(character) for character in text])


def probabilities(logits_BV: Tensor, temperature: float) -> Tensor:
    """softmax(logits / temperature) in float64; at 0, all on the first of the largest logits."""
    if temperature == 0:
        return F.one_hot(logits_BV.argmax(-1), logits_BV.shape[-1]).double()
    above_BV = logits_BV.double() - logits_BV.double().amax(-1, keepdim=True)
    return torch.softmax(above_BV / temperature, dim=-1)


@torch.no_grad()
def sample(
    model: Any,
    prompt_L: Tensor,
    length: int,
    size: int,
    temperature: float,
    count: int,
    generator: torch.Generator,
) -> Tensor:
    """`count` texts after the prompt, (count, length), each character drawn from `probabilities`."""
    logits_BV, state = _read(model, prompt_L, size)
    logits_BV, state = (
        logits_BV.expand(count, -1),
        tuple(part.expand(count, *part.shape[1:]) for part in state),
    )
    texts_BL = prompt_L.new_empty(count, length)
    for step in range(length):
        drawn_B1 = torch.multinomial(probabilities(logits_BV, temperature), 1, generator=generator)
        texts_BL[:, step] = drawn_B1[:, 0]
        logits_BV, state = _go_on(model, texts_BL[:, step], state, size)
    return texts_BL


@torch.no_grad()
def beam_search(model: Any, prompt_L: Tensor, length: int, size: int, beams: int) -> tuple[Tensor, Tensor]:
    """The likeliest texts after the prompt, (B, length), and their log-probabilities (B,), likeliest first.

    After every character the `beams` likeliest texts so far are kept. The search is exact if it never drops a
    text that counts, so with `beams` of at least size ** (length - 1).
    """
    logits_BV, state = _read(model, prompt_L, size)
    log_p_B = logits_BV.new_zeros(1, dtype=torch.float64)
    texts_BL = prompt_L.new_empty(1, 0)
    for _ in range(length):
        log_p_BV = log_p_B[:, None] + torch.log_softmax(logits_BV.double(), dim=-1)
        log_p_B, best_B = log_p_BV.flatten().topk(min(beams, log_p_BV.numel()))
        rows_B, next_B = best_B // size, best_B % size
        texts_BL = torch.cat([texts_BL[rows_B], next_B[:, None]], dim=1)
        logits_BV, state = _go_on(model, next_B, tuple(part[rows_B] for part in state), size)
    return texts_BL, log_p_B


def _read(model: Any, prompt_L: Tensor, size: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Logits (1, V) and state after the prompt."""
    inputs_1LV = F.one_hot(prompt_L, size).float()[None]
    state = model.initial_state(inputs_1LV)
    for character in prompt_L:
        logits_1V, state = _go_on(model, character[None], state, size)
    return logits_1V, state


def _go_on(
    model: Any, next_B: Tensor, state: tuple[Tensor, ...], size: int
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Logits (B, V) and state after one more character. Logits that are not finite count as 0 or huge."""
    state = model.step(F.one_hot(next_B, size).float(), state)
    return model.readout(state[0]).nan_to_num(), state

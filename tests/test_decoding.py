import itertools
import math

import pytest
import torch

from harness.decoding import beam_search, continuations, encoded, probabilities, sample
from harness.errors import UserError
from harness.models import models

ABC = "abc"


class Chain:
    """A Markov chain on a, b, c, with a second tensor in its state that counts the characters read.

    Greedy goes a, a, ... (.4 each, then .34); the likeliest text begins with b, after which c is certain.
    """

    after = torch.tensor(
        [
            [0.40, 0.35, 0.25],
            [0.00, 0.00, 1.00],
            [0.34, 0.33, 0.33],
        ]
    )

    def initial_state(self, inputs):
        return inputs.new_zeros(len(inputs), 3), inputs.new_zeros(len(inputs), 1)

    def step(self, x, state):
        return x, state[1] + 1

    def readout(self, h):
        return (h @ self.after).log().nan_to_num(neginf=-1e4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_model(name: str = "lstm", size: int = 3) -> torch.nn.Module:
    torch.manual_seed(0)
    model = models.build(name, {}, input_size=size, hidden_size=6, output_size=size)
    with torch.no_grad():
        model.readout_weight.mul_(5)  # far from uniform
    return model


def outputs_after(model, text: torch.Tensor, size: int = 3) -> torch.Tensor:
    """Log-probabilities of the next character by the model's own forward pass over the whole text."""
    model.every_step = False
    inputs = torch.nn.functional.one_hot(text, size).float()[None]
    return torch.log_softmax(model(inputs)[0].double(), -1).detach()


def log_p(model, prompt: torch.Tensor, text: torch.Tensor) -> float:
    """Log-probability of a text after the prompt, character by character."""
    whole = torch.cat([prompt, text])
    return sum(outputs_after(model, whole[:i])[whole[i]].item() for i in range(len(prompt), len(whole)))


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_greedy_is_the_chain_of_likeliest_characters_of_the_forward_pass(name):
    model = random_model(name)
    text = torch.tensor([0, 2, 1])
    (greedy,) = sample(model, text, 40, 3, 0.0, 1, generator())
    for _ in range(40):
        text = torch.cat([text, outputs_after(model, text).argmax()[None]])
    assert torch.equal(greedy, text[3:])
    assert continuations(model, ABC, "acb", 40, mode="greedy", generator=generator()) == [
        "".join(ABC[i] for i in text[3:])
    ]


def test_temperature_divides_the_logits():
    logits = torch.tensor([[1.0, 2.0, 4.0], [0.0, -1.0, 0.5]])
    for temperature in (0.3, 0.5, 1.0, 2.0):
        weights = (logits.double() / temperature).exp()
        expected = weights / weights.sum(1, keepdim=True)
        assert torch.allclose(probabilities(logits, temperature), expected, rtol=1e-12, atol=0)
    cool, warm = (probabilities(logits, t)[0].max() for t in (0.5, 2.0))
    assert cool > warm, "a low temperature is careful"
    assert torch.equal(probabilities(logits, 0), torch.tensor([[0, 0, 1], [0, 0, 1]]).double())
    assert torch.equal(probabilities(logits, 1e-300), probabilities(logits, 0)), "the limit"


def test_samples_follow_the_probabilities_at_the_temperature():
    prompt = torch.tensor([0])
    drawn = sample(Chain(), prompt, 1, 3, 0.5, 20_000, generator())[:, 0]
    expected = Chain.after[0] ** 2 / (Chain.after[0] ** 2).sum()
    assert torch.allclose(torch.bincount(drawn) / 20_000, expected, atol=0.015)
    pairs = sample(Chain(), prompt, 2, 3, 1.0, 500, generator())
    assert (pairs[pairs[:, 0] == 1, 1] == 2).all(), "after b comes c: each text has its own state"


def test_the_same_seed_gives_the_same_texts_and_another_seed_others():
    model = random_model()
    before = torch.get_rng_state()

    def texts(seed: int) -> list[str]:
        return continuations(model, ABC, "ab", 50, count=3, generator=generator(seed))

    assert texts(0) == texts(0)
    assert texts(0) != texts(1)
    assert len(set(texts(0))) == 3
    assert torch.equal(before, torch.get_rng_state()), "global state is left alone"


def test_a_beam_of_width_1_is_greedy():
    model, prompt = random_model(), torch.tensor([1])
    texts, _ = beam_search(model, prompt, 30, 3, beams=1)
    assert torch.equal(texts, sample(model, prompt, 30, 3, 0.0, 1, generator()))


@pytest.mark.parametrize("length", [2, 3, 4])
def test_beam_search_finds_the_likeliest_text_where_greedy_does_not(length):
    prompt = torch.tensor([0])
    every = [torch.tensor(text) for text in itertools.product(range(3), repeat=length)]

    def exact(text):
        steps = itertools.pairwise([0, *text.tolist()])
        return math.prod(Chain.after[a, b].item() for a, b in steps)

    best = max(every, key=exact)
    texts, scores = beam_search(Chain(), prompt, length, 3, beams=3)
    (greedy,) = sample(Chain(), prompt, length, 3, 0.0, 1, generator())
    assert torch.equal(texts[0], best)
    assert scores[0].exp() == pytest.approx(exact(best), rel=1e-6)
    assert exact(greedy) < exact(best)


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_a_beam_that_drops_nothing_ranks_all_texts_as_brute_force_does(name):
    """Also of a model with memory, whose state must go with its text."""
    model, prompt = random_model(name), torch.tensor([2, 0])
    every = [torch.tensor(text) for text in itertools.product(range(3), repeat=4)]
    brute = sorted(every, key=lambda text: -log_p(model, prompt, text))
    texts, scores = beam_search(model, prompt, 4, 3, beams=81)
    assert torch.equal(texts, torch.stack(brute))
    assert scores[7].item() == pytest.approx(log_p(model, prompt, brute[7]), abs=1e-5)
    narrow, _ = beam_search(model, prompt, 4, 3, beams=10)
    assert torch.equal(narrow[0], brute[0])
    assert continuations(model, ABC, "ca", 4, mode="beam", count=2, beams=81, generator=generator()) == [
        "".join(ABC[i] for i in text) for text in brute[:2]
    ]


def test_a_prompt_that_the_model_does_not_know_is_refused_by_its_characters():
    with pytest.raises(UserError, match=r"the prompt has '!', 'é', which the model does not know"):
        encoded("a!bé", ABC)
    with pytest.raises(UserError, match="the prompt is empty"):
        encoded("", ABC)


def test_outputs_that_are_not_finite_do_not_stop_a_text():
    model = random_model()
    with torch.no_grad():
        model.readout_bias.fill_(math.nan)
    assert len(continuations(model, ABC, "a", 5, generator=generator())[0]) == 5

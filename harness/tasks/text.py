"""Text: predict every next character of real text.

After char-rnn: Karpathy 2015, "The unreasonable effectiveness of recurrent neural networks".
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import UserError
from harness.registry import Content
from harness.tasks.base import tasks

PYDOC = "pydoc_topics"
"""Name of the text that ships with CPython: the topics of its help(), joined in sorted order."""

TRAIN, VALIDATION = 0.90, 0.05
"""Shares of the characters, from the start of the text; the rest is for the test."""

PROMPT_SIZE = 20
"""Characters at the start of the text that texts sampled during training go on from."""


def read_corpus(corpus: str) -> str:
    """The text named `pydoc_topics`, or the text of a UTF-8 file. UserError if it cannot be read as text."""
    if corpus == PYDOC:
        from pydoc_data.topics import topics  # half a megabyte that other tasks need not read

        return "\n".join(topics[name] for name in sorted(topics))
    try:
        text = Path(corpus).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"corpus={corpus} cannot be read ({error}); expected {PYDOC} or a UTF-8 file"
        ) from None
    if not text or "\0" in text:
        fault = "binary" if text else "empty"
        raise UserError(f"corpus={corpus} is {fault}; expected {PYDOC} or a UTF-8 file")
    return text


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A text in indices of its sorted vocabulary, cut by position; the training part's entropies, in nats."""

    vocabulary: str
    parts: dict[str, Tensor]  # by split: (characters,)
    unigram_entropy: float
    bigram_entropy: float
    prompt: str


@lru_cache(maxsize=4)
def prepare(text: str) -> Corpus:
    """Cut a text into its parts and count its characters."""
    vocabulary = "".join(sorted(set(text)))
    index = {character: i for i, character in enumerate(vocabulary)}
    begin, end = round(TRAIN * len(text)), round((TRAIN + VALIDATION) * len(text))
    texts = {"train": text[:begin], "validation": text[begin:end], "test": text[end:]}
    return Corpus(
        vocabulary=vocabulary,
        parts={split: torch.tensor([index[c] for c in part]) for split, part in texts.items()},
        unigram_entropy=entropy(texts["train"]),
        bigram_entropy=bigram_entropy(texts["train"]),
        prompt=text[:PROMPT_SIZE],
    )


def entropy(symbols: Sequence[object]) -> float:
    """- sum p ln p over the relative frequencies of the symbols: plug-in estimate, in nats."""
    counts = Counter(symbols)
    return -sum(n / len(symbols) * math.log(n / len(symbols)) for n in counts.values())


def bigram_entropy(text: str) -> float:
    """H(next character | character) = H(pairs) - H(first of each pair): plug-in estimate, in nats."""
    pairs = list(pairwise(text))
    return entropy(pairs) - entropy(text[:-1]) if pairs else 0.0


@tasks.register("text")
@dataclass(frozen=True)
class Text:
    """Predict the next character of a text, at every step.

    length T = 5:  inputs    S l e e p        (T neighbouring characters, one-hot over the vocabulary)
                   targets   l e e p i        (the character after each)

    `corpus` is 'pydoc_topics', the text that ships with CPython (and changes with its version), or the path
    of a UTF-8 file. It counts by its content. The first 90 % of the characters are for training, the next 5 %
    for validation, the last 5 % for the test. Training sequences start anywhere; held-out ones lie side by
    side. Each starts from the model's initial state. The loss is the mean cross-entropy over the steps, in
    nats per character. The score is 1 - loss / unigram entropy. A trial is solved at a loss below the
    conditional bigram entropy, and has dropped above the unigram entropy. Both are of the training part.
    """

    length: int
    corpus: Annotated[str, Content(read_corpus)] = PYDOC
    data: Corpus = field(init=False, repr=False, compare=False)

    every_step: ClassVar[bool] = True
    chance: ClassVar[float] = 0.0
    drop_at: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        text = read_corpus(self.corpus)
        data = prepare(text)
        shortest = min(len(part) for part in data.parts.values())
        if shortest <= self.length:
            raise UserError(
                f"corpus={self.corpus} has {len(text)} characters: too few for lengths={self.length}; each "
                f"of its parts (90 %, 5 %, 5 %) needs at least {self.length + 1}"
            )
        if not 0 < data.bigram_entropy < data.unigram_entropy:
            raise UserError(
                f"corpus={self.corpus} is no text: its characters say nothing, or all, of the next"
            )
        object.__setattr__(self, "data", data)

    @property
    def vocabulary(self) -> str:
        """The characters of the whole text, sorted: character i is input and output i."""
        return self.data.vocabulary

    @property
    def prompt(self) -> str:
        """What texts sampled during training go on from."""
        return self.data.prompt

    def facts(self) -> dict[str, str | float]:
        """What a checkpoint says of the text; the entropies are in nats."""
        return {
            "vocabulary": self.vocabulary,
            "unigram_entropy": self.data.unigram_entropy,
            "bigram_entropy": self.data.bigram_entropy,
        }

    @property
    def input_size(self) -> int:
        return len(self.vocabulary)

    @property
    def output_size(self) -> int:
        return len(self.vocabulary)

    @property
    def baseline_loss(self) -> float:
        return self.data.unigram_entropy

    @property
    def solved_at(self) -> float:
        return 1 - self.data.bigram_entropy / self.data.unigram_entropy

    @property
    def recovered_at(self) -> float:
        return 0.8 * self.solved_at

    def draw(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        train = self.data.parts["train"]
        return self._windows(train, torch.randint(len(train) - self.length, (size,), generator=generator))

    def draw_heldout(
        self,
        generator: torch.Generator,  # noqa: ARG002  the sets are fixed
        size: int,
        split: str,
    ) -> tuple[Tensor, Tensor] | None:
        """Windows side by side, or `size` of them evenly spread; the probe's are of the validation part."""
        if split == "control":
            return None
        part = self.data.parts["validation" if split == "probe" else split]
        starts = torch.arange(0, len(part) - self.length, self.length)
        spread = torch.arange(min(size, len(starts))) * len(starts) // min(size, len(starts))
        return self._windows(part, starts[spread])

    def loss(self, outputs_BTC: Tensor, targets_BT: Tensor) -> Tensor:
        loss_N = F.cross_entropy(outputs_BTC.flatten(0, 1), targets_BT.flatten(), reduction="none")
        return loss_N.view(targets_BT.shape).mean(dim=1)

    def score(self, outputs_BTC: Tensor, targets_BT: Tensor) -> Tensor:
        """1 - loss / unigram entropy: 0 for the character frequencies alone, 1 for certainty."""
        return 1 - self.loss(outputs_BTC, targets_BT) / self.baseline_loss

    def accuracy(self, outputs_BTC: Tensor, targets_BT: Tensor) -> Tensor:
        """Share of the characters whose output is the largest, of each sequence."""
        return (outputs_BTC.argmax(-1) == targets_BT).float().mean(dim=1)

    def _windows(self, part: Tensor, starts_B: Tensor) -> tuple[Tensor, Tensor]:
        """The sequences of a part from these positions on."""
        characters = part[starts_B[:, None] + torch.arange(self.length + 1)]
        return F.one_hot(characters[:, :-1], self.input_size).float(), characters[:, 1:]

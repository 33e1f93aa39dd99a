"""Text: predict every next character of real text.

After char-rnn: Karpathy 2015, "The unreasonable effectiveness of recurrent neural networks".
"""

import math
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import UserError, one_line
from harness.machine import GB, memory
from harness.registry import Content
from harness.tasks.base import tasks

PYDOC = "pydoc_topics"
"""Name of the text that ships with CPython: the topics of its help(), joined in sorted order."""

TRAIN, VALIDATION = 0.90, 0.05
"""Shares of the characters, from the start of the text; the rest is for the test."""

PROMPT_SIZE = 20
"""Characters at the start of the text that texts sampled during training go on from."""


BYTES_PER_BYTE = 12
"""Bytes of memory that reading, hashing and counting a file take at most, for each of its bytes."""

COUNTED = 1_000_000
"""Characters that are counted at a time."""

Indices = npt.NDArray[np.integer[Any]]


def read_corpus(corpus: str) -> str:
    """The text named `pydoc_topics`, or the text of a UTF-8 file; a byte order mark is none of its text.

    UserError if it is no regular file, if it is too large for this machine, or cannot be read as text.
    """
    if corpus == PYDOC:
        from pydoc_data.topics import topics  # half a megabyte that other tasks need not read

        return "\n".join(topics[name] for name in sorted(topics))
    try:
        check_file(corpus, Path(corpus).stat())
        text = Path(corpus).read_text(encoding="utf-8-sig")
    except UserError:
        raise
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a name that no file can have
        raise UserError(
            f"corpus={corpus} cannot be read ({one_line(error)}); expected {PYDOC} or a UTF-8 file"
        ) from None
    if not text or "\0" in text:
        fault = "binary" if text else "empty"
        raise UserError(f"corpus={corpus} is {fault}; expected {PYDOC} or a UTF-8 file")
    return text


def check_file(corpus: str, found: os.stat_result) -> None:
    """Raise UserError unless this is a regular file that memory can hold: a pipe may never end."""
    if not stat.S_ISREG(found.st_mode):
        raise UserError(
            f"corpus={corpus} is no regular file but a folder, a pipe or a device; expected {PYDOC} or a "
            f"UTF-8 file"
        )
    needed = BYTES_PER_BYTE * found.st_size
    if needed > memory():
        raise UserError(
            f"corpus={corpus} has {found.st_size / GB:.3g} GB: reading it takes up to {needed / GB:.3g} GB "
            f"of memory in every worker, and this machine has {memory() / GB:.3g} GB; give a shorter file"
        )


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A text in indices of its sorted vocabulary, cut by position; the training part's entropies, in nats.

    An index takes one byte if there are at most 256 characters in the vocabulary, else two or four.
    """

    vocabulary: str
    parts: dict[str, Tensor]  # by split: (characters,)
    unigram_entropy: float
    bigram_entropy: float
    prompt: str


@lru_cache(maxsize=4)
def prepare(text: str) -> Corpus:
    """Cut a text into its parts and count its characters."""
    vocabulary = "".join(sorted(set(text)))
    begin, end = round(TRAIN * len(text)), round((TRAIN + VALIDATION) * len(text))
    indices = indices_in(vocabulary, text)
    parts = {"train": indices[:begin], "validation": indices[begin:end], "test": indices[end:]}
    return Corpus(
        vocabulary=vocabulary,
        parts={split: torch.from_numpy(part) for split, part in parts.items()},
        unigram_entropy=entropy(parts["train"]),
        bigram_entropy=bigram_entropy(parts["train"]),
        prompt=text[:PROMPT_SIZE],
    )


def indices_in(vocabulary: str, text: str) -> Indices:
    """The place of each character in a sorted vocabulary, in the smallest type that torch indexes with."""
    size = len(vocabulary)
    kind: type[np.integer[Any]] = np.uint8 if size <= 2**8 else np.int16 if size <= 2**15 else np.int32
    known = code_points(vocabulary)
    found: Indices = np.empty(len(text), kind)
    for begin in range(0, len(text), COUNTED):
        part = code_points(text[begin : begin + COUNTED])
        found[begin : begin + len(part)] = np.searchsorted(known, part)
    return found


def code_points(text: str) -> Indices:
    """The Unicode number of each character."""
    return np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4")).astype(np.uint32, copy=False)


def entropy(symbols: Indices) -> float:
    """- sum p ln p over the relative frequencies of the symbols: plug-in estimate, in nats."""
    return entropy_of(counted([symbols[i : i + COUNTED] for i in range(0, len(symbols), COUNTED)]))


def bigram_entropy(symbols: Indices) -> float:
    """H(next symbol | symbol) = H(pairs) - H(first of each pair): plug-in estimate, in nats."""
    if len(symbols) < 2:
        return 0.0
    pairs = (
        (symbols[i : i + COUNTED].astype(np.int64) << 32)[: len(symbols) - 1 - i]
        + symbols[i + 1 : i + 1 + COUNTED]
        for i in range(0, len(symbols) - 1, COUNTED)
    )
    return entropy_of(counted(pairs)) - entropy(symbols[:-1])


def counted(parts: Iterable[Indices]) -> list[int]:
    """How often each symbol occurs, in the order in which they first occur: sums keep their last bit so."""
    counts: dict[int, int] = {}
    for part in parts:
        found, first, each = np.unique(part, return_index=True, return_counts=True)
        for place in np.argsort(first):
            symbol = int(found[place])
            counts[symbol] = counts.get(symbol, 0) + int(each[place])
    return list(counts.values())


def entropy_of(counts: list[int]) -> float:
    """- sum p ln p over relative frequencies, in nats."""
    total = sum(counts)
    return -sum(n / total * math.log(n / total) for n in counts)


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

    asks: ClassVar[str] = (
        "Name the next character after each of T. The score is 1 - loss / entropy of single characters."
    )
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
        digits_BT, targets_BT = self.draw_digits(generator, size)
        return F.one_hot(digits_BT, self.input_size).float(), targets_BT

    def draw_digits(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
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
        digits_BT, targets_BT = self._windows(part, starts[spread])
        return F.one_hot(digits_BT, self.input_size).float(), targets_BT

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
        characters = part[starts_B[:, None] + torch.arange(self.length + 1)].long()
        return characters[:, :-1], characters[:, 1:]

"""What sentences and headings call a model, an optimizer, an arm, a length: the LSTM, Adam, clipping at 1."""

from collections.abc import Iterable, Sequence
from typing import Any

from analysis.arms import NO_CLIPPING, THRESHOLD
from analysis.words import text

SPOKEN = {
    "rnn": "RNN",
    "irnn": "IRNN",
    "lstm": "LSTM",
    "gru": "GRU",
    "mgu": "MGU",
    "min_gru": "minGRU",
    "min_lstm": "minLSTM",
    "lru": "LRU",
    "gcn": "GCN",
    "gat": "GAT",
    "gcn_rnn": "GCN-RNN",
    "gcn_lstm": "GCN-LSTM",
    "sgd": "SGD",
    "rmsprop": "RMSprop",
    "adam": "Adam",
}
"""Names that literature writes otherwise than a command line; every other name is spoken as it is."""

WITH_ARTICLE = {"reservoir", "transformer"} | {
    name for name in SPOKEN if name not in ("sgd", "rmsprop", "adam")
}
"""Models that are kinds: the LSTM. A class of a user's own is a name: MyCell."""

LAYERS = ("karate", "sbm")
"""Tasks whose length is a number of layers."""

LAYERS_LABEL = "layers"
"""What their axis is called."""


def is_own(name: object) -> bool:
    """Whether a name is an import path, as of a user's own class: mypackage.cells:MyCell."""
    return isinstance(name, str) and ":" in name


def short(name: str, every: Iterable[str]) -> str:
    """A name as it is; of an import path the class alone, where no other name here ends so.

    Example: mypackage.cells:MyCell is MyCell beside rnn, and stays whole beside other.cells:MyCell.
    """
    if not is_own(name):
        return text(name)
    own = name.rpartition(":")[2]
    same = [other for other in every if other.rpartition(":")[2].lower() == own.lower() and other != name]
    return text(name if same or not own or own.lower() in SPOKEN else own)


def spoken(name: Any, every: Iterable[Any]) -> str:
    """A level of an axis as a sentence says it: LSTM, Adam, MyCell, 0.1."""
    return SPOKEN.get(name) or short(name, map(str, every)) if isinstance(name, str) else text(name)


def sides(level: Any, other: Any) -> str:
    """The two levels of a contrast as a sentence says them: Adam and SGD."""
    return " and ".join(spoken(name, [name]) for name in map(text, (level, other)))


def the(model: str, every: Iterable[str]) -> str:
    """A model as a sentence says it: the LSTM, MyCell."""
    return f"{'the ' if model in WITH_ARTICLE else ''}{spoken(model, every)}"


def arm_in_words(arm: str) -> str:
    """An arm after "with": clipping at 1, no clipping, the rule zclip."""
    if arm.startswith(f"{THRESHOLD} "):
        return f"clipping at {arm.removeprefix(f'{THRESHOLD} ')}"
    return arm if arm == NO_CLIPPING else f"the rule {arm}"


def under(arm: str) -> str:
    """An arm with its preposition: with clipping at 1, without clipping."""
    return "without clipping" if arm == NO_CLIPPING else f"with {arm_in_words(arm)}"


def arms_in_words(arms: Sequence[str], word: str = "and") -> str:
    """Several arms in one: clipping at 0.5, 1 and 2."""
    prefix = f"{THRESHOLD} "
    numbers = [arm.removeprefix(prefix) for arm in arms if arm.startswith(prefix)]
    others = [arm_in_words(arm) for arm in arms if not arm.startswith(prefix)]
    clipped = [f"clipping at {listed(numbers, word)}"] if numbers else []
    return listed([*clipped, *others], word)


def listed(words: Sequence[str], word: str = "and") -> str:
    """Words as a sentence lists them: a, b and c."""
    return f" {word} ".join([*([", ".join(words[:-1])] if len(words) > 1 else []), *words[-1:]])


def named(key: str, value: Any, every: Iterable[Any]) -> str:
    """A level of an axis, with the axis where it does not say what it is: LSTM, clipping at 1, layers 2."""
    if key == "arm":
        return arm_in_words(value)
    said = spoken(value, every)
    return said if key in ("model", "optimizer", "task") else f"{key} {said}"


def counts_layers(tasks: Iterable[str]) -> bool:
    """Whether the lengths of all these tasks are numbers of layers."""
    return set(tasks) <= set(LAYERS)


def at(length: float, layers: bool) -> str:
    """A length in words: T = 5, 4 layers."""
    return f"{length:g} layer{'' if length == 1 else 's'}" if layers else f"T = {length:g}"


def length_label(tasks: Iterable[str]) -> str:
    """What an axis of lengths is called."""
    kinds = {task in LAYERS for task in tasks}
    return "length T" if kinds <= {False} else LAYERS_LABEL if kinds == {True} else "length T, or layers"

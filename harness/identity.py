"""What identifies things: one hash of their content, and the seeds of all random streams."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

Value = bool | int | float | str
"""What an option of a task, model or optimizer may be."""

SEED_RULE = (
    "sha256 of the JSON list [stream, *names], first 8 bytes as a big-endian integer, modulo 2**63. "
    "Training batches: ['data', task, length, seed]. Weights: ['weights', task, length, seed]. "
    "Held-out sets: ['heldout', task, length, 'validation' | 'test' | 'control' | 'probe']. "
    "Graph of graph_signal: ['graph', nodes, homophily, degree]. "
    "TPE round b: ['tpe', content hash of the condition's fields and options, b]; what has its default "
    "enters if version 2 of the tables had it. "
    "Sampled texts: ['samples', task, length, seed, step]."
)


def stream_seed(stream: str, *names: Value) -> int:
    """The seed of a named random stream: see SEED_RULE. Nothing here depends on order or time."""
    text = json.dumps([stream, *map(_canonical, names)], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 2**63


def content_hash(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """16 hexadecimal digits that depend on the content alone, not on the order of keys."""
    text = json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    """`value` in the one JSON form that is hashed: floats as repr, so inf and every digit survive."""
    if value is None or isinstance(value, (str, int)):  # most are, and an identity is often asked for
        return value
    if isinstance(value, float):
        if math.isnan(value):
            raise ValueError("NaN cannot identify anything: it is not equal to itself")
        return repr(value)
    if isinstance(value, Mapping):
        return {str(k): _canonical(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(v) for v in value]
    return value

"""What is compared with what: a baseline by choice, and else a user's own against what is built in."""

from dataclasses import replace
from typing import Any

from analysis.arms import arms
from analysis.conditions import recorded_conditions
from analysis.load import Results
from analysis.names import is_own, short
from analysis.words import text
from harness.errors import UserError

Pairs = list[tuple[Any, Any]]


def with_baseline(results: Results, name: str) -> Results:
    """The results with everything compared with this model, optimizer, arm or other value of an axis.

    A name is one that the page prints; of a class of a user's own its last part is enough. Raises UserError,
    with what is known, if there is no such name.
    """
    known = levels(results)
    for values in known.values():
        for value in values:
            if name in (value, text(value), short(value, values)):
                return replace(results, baseline=value)
    listed = "; ".join(f"{axis}: {', '.join(map(text, values))}" for axis, values in known.items())
    raise UserError(f"baseline={text(name)} is not in these results; known: {listed}")


def levels(results: Results) -> dict[str, list[str]]:
    """By axis that has names: the values that have report trials, clipping among them."""
    recorded = recorded_conditions(results)
    found = {
        key: list(dict.fromkeys(recorded.frame[key].dropna()))
        for key in recorded.keys
        if key not in ("task", *recorded.clip_keys)
    }
    named = {key: values for key, values in found.items() if all(isinstance(v, str) for v in values)}
    return {key: values for key, values in named.items() if values} | {"clipping": arms(recorded)}


def directed(factors: dict[str, Pairs], baseline: str) -> dict[str, Pairs]:
    """The pairs to compare of each factor, each as level and what it is compared with.

    A factor that has the baseline keeps the pairs with it alone. Elsewhere a user's own class is compared
    with what is built in, and the order of other pairs stays.
    """
    return {
        factor: with_one(pairs, baseline) or list(map(own_first, pairs)) for factor, pairs in factors.items()
    }


def with_one(pairs: Pairs, baseline: str) -> Pairs:
    """The pairs that have the baseline, each with it last; none without a baseline."""
    found = [pair for pair in pairs if baseline and baseline in pair]
    return [(one, other) if other == baseline else (other, one) for one, other in found]


def own_first(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    """A pair with the side first that is a user's own, if one is."""
    one, other = pair
    return (other, one) if is_own(other) and not is_own(one) else pair

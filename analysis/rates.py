"""How learning rates were chosen, as captions say it: fixed, tuned by every seed, or once for all seeds."""

from analysis.load import Results
from analysis.words import text
from harness.target import ENOUGH

FIXED = "Learning rates were fixed: levels are compared at equal rates, which may suit one better."

BY_SEED = "Each seed brings its own tuning, so that the luck of a tuned rate is in every interval."

ONCE = "One rate was tuned for all seeds of a condition: what luck that choice had is in no interval."


CHOSEN_BY = {
    "fast": "the loss over all of training (tune_for=fast)",
    "loss": "the last loss (tune_for=loss)",
    "stable": "stability first, then the loss over all of training (tune_for=stable)",
}


def rates_fixed(results: Results) -> bool:
    """Whether some learning rate was given and not tuned."""
    return bool(results.conditions["learning_rate"].notna().any())


def rates_tuned(results: Results) -> bool:
    """Whether some learning rate is tuned, from a grid that is tried first."""
    conditions = results.conditions
    return bool((conditions["learning_rate"].isna() & (conditions["grid"].map(len) > 0)).any())


def said_of_rates(results: Results) -> str:
    """How learning rates were chosen, in sentences."""
    tuned = [d for d in results.definitions if d.get("learning_rate") is None and d.get("first_grids")]
    kinds = [FIXED] if rates_fixed(results) else []
    kinds += [BY_SEED] if any("tuned_by" in d for d in tuned) else []
    return " ".join([*kinds, *([ONCE] if any("tuned_by" not in d for d in tuned) else [])])


def tuned_for(results: Results) -> tuple[str, ...]:
    """What tunings chose learning rates by, in the words of a definition; nothing where rates were fixed."""
    tuned = results.conditions[results.conditions["learning_rate"].isna()]
    return tuple(sorted(tuned["tune_for"].unique()))


def said_of_choice(names: tuple[str, ...]) -> str:
    """What `tuned_for` names, in a sentence; empty for nothing."""
    chosen = " or ".join(CHOSEN_BY.get(name, text(name)) for name in names)
    return f"Learning rates were chosen by {chosen}." if chosen else ""


def slowest(tune_for: str) -> str:
    """Which rate a tuning for this target takes, in sentences."""
    rule = f"The slowest rate was taken that gained {100 * ENOUGH[tune_for]:.0f} % of what the best one did."
    return f"{rule} The gain is of {CHOSEN_BY[tune_for]}."

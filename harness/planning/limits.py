"""How large a space may be: its conditions and trials are counted before any is made."""

from harness.errors import UserError
from harness.planning.axes import Axes
from harness.planning.conditions import count_conditions
from harness.planning.fields import AXES, as_axis

MOST_CONDITIONS = 100_000
"""Conditions that are planned at once."""

MOST_TRIALS = 1_000_000
"""Trials that are planned at once."""

MOST_RATES = 1_000
"""Learning rates tried per condition: TPE reads all earlier ones for each that it proposes."""

STEP_SECONDS = 1e-4
"""Seconds of one training step of a small trial in a pack."""

STEP_BYTES, KEPT_STEPS = 50, 1_000
"""Bytes on disk of a kept step, and how many steps of a trial are kept."""

YEAR = 365.25 * 24 * 3_600


def check_counts(space: Axes) -> None:
    """Raise UserError, with the cost, for a space of more conditions or trials than can be planned."""
    conditions = count_conditions(space)
    trials = conditions * space.trials_per_condition
    if conditions > MOST_CONDITIONS or trials > MOST_TRIALS:
        years = trials * space.max_steps * STEP_SECONDS / YEAR
        gigabytes = trials * min(space.max_steps, KEPT_STEPS) * STEP_BYTES / 1e9
        raise UserError(
            f"{largest(space)}: the space has {conditions:,} conditions and {trials:,} trials, about "
            f"{years:.2g} core-years and {gigabytes:.2g} GB of results; at most {MOST_CONDITIONS:,} "
            f"conditions and {MOST_TRIALS:,} trials are planned at once"
        )
    if space.tuned and space.lr_trials > MOST_RATES:
        raise UserError(
            f"lr_trials={space.lr_trials} is too many: each rate is proposed from all earlier ones; "
            f"expected at most {MOST_RATES:,}"
        )


def largest(space: Axes) -> str:
    """The field that multiplies the trials most, and its value or the number of its values."""
    counts = {f"{name} has {len(values):,} values": len(values) for name, values in axes_of(space).items()}
    counts[f"seeds={space.seeds}"] = space.first_seeds
    if space.tuned:
        counts[f"lr_trials={space.lr_trials}"] = space.lr_trials
        counts[f"tuning_seeds={space.tuning_seeds}"] = space.tuning_seeds
    return max(counts, key=lambda said: counts[said])


def axes_of(space: Axes) -> dict[str, tuple[object, ...]]:
    """Every axis of the space, the options and fixed learning rates among them."""
    axes = {name: as_axis(getattr(space, name)) for name in AXES if name != "lengths"}
    lengths = {f"lengths of {task}": space.lengths_of(task) for task in space.tasks}
    rates = {"learning_rate": space.learning_rate} if isinstance(space.learning_rate, tuple) else {}
    return {**axes, **lengths, **rates, **{name: as_axis(v) for name, v in space.options.items()}}

"""How much is fuzzed: a little by default and in CI, much with --hypothesis-profile=thorough.

    pytest tests/fuzz -m "slow or not slow" --hypothesis-profile=thorough --hypothesis-seed=1

By default the inputs are the same at every run. A thorough run draws others each time; a
seed draws the same again. Instead of the profile, the environment variable FUZZ=thorough may be set.
"""

import os

from hypothesis import HealthCheck, Phase, settings

NAME = "thorough"

COMMON = dict(
    deadline=None,
    database=None,
    print_blob=True,
    phases=(Phase.explicit, Phase.generate),  # inputs are small as drawn, and some take seconds
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)

settings.register_profile(NAME, **COMMON, derandomize=False)


def thorough() -> bool:
    """Whether much is asked for."""
    return NAME in (os.environ.get("FUZZ"), settings.get_current_profile_name())


def inputs(few: int, many: int) -> settings:
    """As many inputs: `few` by default, `many` in a thorough run."""
    return settings(**COMMON, derandomize=not thorough(), max_examples=many if thorough() else few)

"""Two conditions of 16 trials in all, which take a second to train: space smoke, made tiny."""

import dataclasses

from harness import load_space
from harness.planning.fields import parse_settings
from tests.commands import TINY

SPACE = dataclasses.replace(
    load_space("smoke").override(parse_settings(f"{name}={value}" for name, value in TINY.items()))
)

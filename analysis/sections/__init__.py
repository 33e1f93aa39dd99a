"""The sections of the report, in order. A new one is a file in this folder and a line here."""

from typing import Any

from analysis.sections.base import Section
from analysis.sections.budget import SECTION as BUDGET
from analysis.sections.by_length import SECTION as BY_LENGTH
from analysis.sections.clipping import SECTION as CLIPPING
from analysis.sections.clipping_by_length import SECTION as CLIPPING_BY_LENGTH
from analysis.sections.coverage import SECTION as COVERAGE
from analysis.sections.critical_length import SECTION as CRITICAL_LENGTH
from analysis.sections.drops import SECTION as DROPS
from analysis.sections.effects import SECTION as EFFECTS
from analysis.sections.equal_rates import SECTION as EQUAL_RATES
from analysis.sections.examples import SECTION as EXAMPLES
from analysis.sections.gradient_flow import SECTION as GRADIENT_FLOW
from analysis.sections.learning_rates import SECTION as LEARNING_RATES
from analysis.sections.methods import SECTION as METHODS
from analysis.sections.stability import SECTION as STABILITY
from analysis.sections.stability_map import SECTION as STABILITY_MAP
from analysis.sections.stable_range import SECTION as STABLE_RANGE
from analysis.sections.steps_to_solve import SECTION as STEPS_TO_SOLVE
from analysis.sections.verdict import SECTION as VERDICT

SECTIONS: list[Section[Any]] = [
    VERDICT,
    CLIPPING_BY_LENGTH,
    EFFECTS,
    BY_LENGTH,
    STABILITY,
    CRITICAL_LENGTH,
    STABILITY_MAP,
    STABLE_RANGE,
    EQUAL_RATES,
    STEPS_TO_SOLVE,
    DROPS,
    CLIPPING,
    LEARNING_RATES,
    BUDGET,
    GRADIENT_FLOW,
    EXAMPLES,
    COVERAGE,
    METHODS,
]

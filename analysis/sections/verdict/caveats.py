"""What these results cannot say."""

from analysis.sections.base import Sentence
from analysis.sections.coverage import SECTION as COVERAGE
from analysis.sections.effects import SECTION as EFFECTS
from analysis.sections.verdict.evidence import Evidence


def caveats(found: Evidence) -> list[Sentence]:
    """That rates were fixed, and that runs are missing."""
    said = []
    if found.rates_fixed and not found.effects.empty:
        words = "Learning rates were fixed, not tuned: what is compared is compared at equal rates."
        said.append(Sentence(words, EFFECTS.title))
    if not found.runs:
        return [Sentence("No run that counts is recorded yet: nothing can be said.", COVERAGE.title)]
    if found.missing:
        whole = found.runs + found.missing
        words = (
            f"This is unfinished: {found.missing} of {whole} runs are missing, and much of this may change."
        )
        said.append(Sentence(words, COVERAGE.title))
    return said

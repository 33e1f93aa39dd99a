"""What these results say, in a few sentences for a newcomer; each names where its numbers are."""

from analysis.sections.base import Sentence
from analysis.sections.verdict.caveats import caveats
from analysis.sections.verdict.changes import changes
from analysis.sections.verdict.evidence import Evidence
from analysis.sections.verdict.keeping import keeping
from analysis.sections.verdict.reach import reach


def answers(found: Evidence) -> list[Sentence]:
    """The sentences, in the order of a reader's questions.

    How far does each model train? Does it stay solved? What do clipping and the other axes change? What can
    these results not say? Only what is shown is called a difference.
    """
    if not found.runs:
        return caveats(found)
    return [*reach(found), *keeping(found), *changes(found), *caveats(found)]

"""Any file given to --space is planned or refused in a few lines, whatever it holds and does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import run
from tests.fuzz.oracle import CENSUS, call, faults, listing
from tests.fuzz.profiles import inputs
from tests.fuzz.space_files import space_files

pytestmark = pytest.mark.contract

MORE = [[], ["--dry-run"], ["--scale", "paper"], ["--set", "seeds=2"], ["--dry-run", "--format", "json"]]


def assert_planned_or_refused(folder, content: bytes, more: list[str]) -> None:
    file = folder / "mine.py"
    file.write_bytes(content)
    argv = ["--space", str(file), "--results", str(folder / "results"), "--executor", "serial", *more]
    CENSUS.begin("space file", (content, more))
    answer = call(run.main, argv)
    found = faults(answer)
    made = [path for path in listing(folder) if "results" in path]
    if made and answer.refused:
        found.append("refused, but wrote")
    CENSUS.judge("space file", (content, more), answer, found)


@inputs(50, 500)
@given(content=space_files(), more=st.sampled_from(MORE))
def test_any_space_file_is_planned_or_refused(untrained, tmp_path_factory, content, more):
    assert_planned_or_refused(tmp_path_factory.mktemp("space"), content, more)

import re
from pathlib import Path

from harness import probes
from harness.clip_rules import clip_rules
from harness.models import models
from harness.planning.load import load_space
from harness.results.schema import (
    EVAL_SCHEMA,
    EVENT_SCHEMA,
    FAILURE_SCHEMA,
    MOMENT_SCHEMA,
    PROFILE_SCHEMA,
    SAMPLE_SCHEMA,
    STEP_SCHEMA,
    TRIAL_COLUMNS,
)
from harness.tasks import tasks
from tests.trials import make_task

ROOT = Path(__file__).parent.parent
MEASURES = (ROOT / "docs" / "measures.md").read_text()
RESULTS = (ROOT / "docs" / "results.md").read_text()


def test_every_column_is_documented():
    documented = set(re.findall(r"`(\w+)`", MEASURES + RESULTS))
    options = set(load_space("smoke").option_columns())
    missing = options - set(re.findall(r"`(\w+)`", RESULTS))
    assert not missing, "name these options under Columns of trials in docs/results.md"
    columns = set(TRIAL_COLUMNS) | set(probes.measure_columns())
    columns |= set(probes.probe_columns(tuple(probes.PROBES)))
    columns |= {*EVENT_SCHEMA.names[1:], *PROFILE_SCHEMA.names[1:], *probes.MOMENTS}
    assert columns - documented == set(), "describe these columns in docs/measures.md"
    schemas = (STEP_SCHEMA, EVAL_SCHEMA, EVENT_SCHEMA, MOMENT_SCHEMA, PROFILE_SCHEMA, SAMPLE_SCHEMA)
    for schema in (*schemas, FAILURE_SCHEMA):
        assert f"`{', '.join(schema.names)}`" in RESULTS


def test_every_probe_and_every_clip_rule_is_documented():
    missing = [name for name in probes.PROBES if f"**`{name}`**" not in MEASURES]
    assert missing == [], "describe these under Moments in docs/measures.md"
    missing = [name for name in clip_rules.names() if f"| `{name}` |" not in MEASURES]
    assert missing == [], "add a row under Clipping in docs/measures.md"


def test_every_model_is_documented():
    missing = [name for name in models.names() if f"| `{name}` |" not in MEASURES]
    assert missing == [], "add a row under Models in docs/measures.md"


def test_the_levels_of_every_task_are_documented():
    for name in tasks.names():
        task = make_task(name)
        rows = [line for line in MEASURES.splitlines() if line.startswith(f"| `{name}` |")]
        assert len(rows) == 1, f"add a row for {name} under Levels of a task in docs/measures.md"
        for level in (task.solved_at, task.drop_at, task.recovered_at):
            assert f"{level:.2f}" in rows[0], f"{name}: {level}"


def test_links_within_the_docs_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"

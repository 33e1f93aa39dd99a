"""The three files that start a cluster: valid, alike where they should be, and with few lines to fill in."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from harness.run import parser
from tests.cluster.rayjob import RAYJOB

ROOT = Path(__file__).parents[2]
FILES = ("cluster.yaml", "cluster-aws.yaml", "cluster-kubernetes.yaml")


def contents(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return loaded


@pytest.mark.parametrize("name", FILES[:2])
def test_a_file_for_ray_up_is_valid(name):
    spec = find_spec("ray")
    assert spec is not None
    assert spec.origin is not None
    schema = json.loads((Path(spec.origin).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(contents(name), schema)


def test_the_job_of_kuberay_is_valid_and_of_the_ray_that_is_installed():
    job = contents("cluster-kubernetes.yaml")
    jsonschema.validate(job, RAYJOB)
    cluster = job["spec"]["rayClusterSpec"]
    assert f"\nray=={cluster['rayVersion']}\n" in (ROOT / "constraints.txt").read_text()
    assert cluster["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize(
    "change", [{"authOptions": {"mode": "tokn"}}, {"enableInTreeAutoscalin": True}, {"workerGroupSpecs": []}]
)
def test_a_typo_in_the_job_is_seen(change):
    job = contents("cluster-kubernetes.yaml")
    job["spec"]["rayClusterSpec"] |= change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job, RAYJOB)


def test_the_files_for_a_lab_and_for_aws_share_what_is_not_about_the_provider():
    lab, aws = contents("cluster.yaml"), contents("cluster-aws.yaml")
    own = {"provider", "auth", "initialization_commands"}
    own |= {"max_workers", "idle_timeout_minutes", "available_node_types", "head_node_type"}
    common = (lab.keys() | aws.keys()) - own
    head = lab["head_start_ray_commands"]
    assert "RAY_enable_autoscaler_v2=0 " in head[1]  # the other one never records the head of a lab
    head[1] = head[1].replace("RAY_enable_autoscaler_v2=0 ", "")
    aws["head_setup_commands"].pop()  # boto3, which launches the other nodes
    assert {name: lab[name] for name in common} == {name: aws[name] for name in common}


def test_no_gpu_is_paid_for_while_nothing_runs_and_a_run_waits_for_one():
    job = contents("cluster-kubernetes.yaml")["spec"]
    (workers,) = job["rayClusterSpec"]["workerGroupSpecs"]
    assert workers["replicas"] == workers["minReplicas"] == 0
    assert contents("cluster-aws.yaml")["available_node_types"]["gpu"]["min_workers"] == 0
    for command in (job["entrypoint"], (ROOT / "cluster-aws.yaml").read_text()):
        assert "--device cuda --wait-for-nodes 20" in command


@pytest.mark.parametrize(("name", "lines"), [(FILES[0], 3), (FILES[1], 5), (FILES[2], 5)])
def test_so_many_lines_are_to_be_filled_in(name, lines):
    text = (ROOT / name).read_text()
    assert text.count("# <-") == lines


@pytest.mark.parametrize("name", FILES[:2])
def test_no_file_of_the_project_is_kept_from_the_hosts(name):
    """A `results` that is not tied to the root would leave out harness/results too."""
    excluded = contents(name)["rsync_exclude"]
    assert all(pattern.startswith("/") for pattern in excluded)
    files = [f"/{file.relative_to(ROOT)}" for file in (ROOT / "harness").rglob("*.py")]
    assert not [file for file in files if file.startswith(tuple(excluded))]


@pytest.mark.parametrize("name", FILES)
def test_what_a_person_is_told_to_run_can_be_run(name):
    commands = re.findall(r"stability (run --.*?)(?:'|\n)", (ROOT / name).read_text())
    assert commands
    for command in commands:
        assert parser().parse_args(command.split()[1:]).address == "auto"

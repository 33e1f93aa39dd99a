"""`ray up cluster-aws.yaml` against an EC2 of this machine (moto), as far as the first ssh."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.namespaces import missing

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """In a network of its own that leads nowhere."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    home = tmp_path_factory.mktemp("aws")
    alone = ["unshare", "-n", "-m", "-p", "--fork", "--mount-proc", "--kill-child"]
    file = str(ROOT / "cluster-aws.yaml")
    done = subprocess.run(
        [*alone, sys.executable, "-m", "tests.cluster.aws", file, home], cwd=ROOT, timeout=180,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Network is unreachable" in done.stdout, "the first ssh"
    assert (home / ".ssh" / "ray-autoscaler_us-east-1.pem").stat().st_mode & 0o777 == 0o600
    found: dict[str, Any] = json.loads((home / "launched.json").read_text())
    return found


def test_the_head_is_on_demand_and_the_gpus_are_on_spot(launched):
    head, gpu = launched["instances"]
    assert (head["InstanceType"], head.get("InstanceLifecycle")) == ("m5.xlarge", None)
    assert (gpu["InstanceType"], gpu["InstanceLifecycle"]) == ("g6.12xlarge", "spot")
    assert launched["resources"]["head"]["CPU"] == 0
    assert launched["resources"]["gpu"]["GPU"] == 4


def test_only_ssh_comes_in_from_outside(launched):
    used = {group["GroupId"] for instance in launched["instances"] for group in instance["SecurityGroups"]}
    (group,) = (group for group in launched["groups"] if group["GroupId"] in used)
    outside = [rule for rule in group["IpPermissions"] if rule["IpRanges"]]
    assert [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in outside] == [("tcp", 22, 22)]
    inside = [pair["GroupId"] for rule in group["IpPermissions"] for pair in rule["UserIdGroupPairs"]]
    assert set(inside) == used


def test_the_head_alone_has_a_role(launched):
    head, gpu = launched["instances"]
    assert head["IamInstanceProfile"]["Arn"].endswith("instance-profile/ray-autoscaler-v1")
    assert gpu.get("IamInstanceProfile") is None
    names = {policy["PolicyName"] for policy in launched["policies"]}
    assert names == {"AmazonEC2FullAccess", "AmazonS3FullAccess"}


def test_everything_that_costs_says_who_pays_and_disks_are_encrypted(launched):
    for owned in (*launched["instances"], *launched["volumes"]):
        assert {"Key": "owner", "Value": "me"} in owned["Tags"]
    assert [(disk["Size"], disk["Encrypted"]) for disk in launched["volumes"]] == [(150, True)] * 2
    assert all(node["MetadataOptions"]["HttpTokens"] == "required" for node in launched["instances"])

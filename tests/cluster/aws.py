"""`ray up cluster-aws.yaml` against an EC2 of this machine, as far as the first ssh.

What was launched is written as JSON. Run it in a network namespace: the addresses that such an EC2
invents lead nowhere there.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

PORT = 5000


def settings(home: Path) -> dict[str, str]:
    """Environment variables of a person whose AWS is this machine."""
    return {
        "HOME": str(home),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{PORT}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AUTOSCALER_NODE_START_WAIT_S": "1",  # for an ssh that never answers
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    }


def fill_in(text: str, image: str) -> str:
    """The file with an image that this EC2 has."""
    return text.replace("ami-00000000000000000", image)


def launch(file: Path) -> None:
    """What `ray up` does until the head does not answer, and then what the head does for a first worker."""
    import yaml
    from ray.autoscaler._private import commands
    from ray.autoscaler._private.aws import config as aws
    from ray.autoscaler.sdk import create_or_update_cluster
    from ray.autoscaler.tags import NODE_KIND_WORKER, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

    aws.time = SimpleNamespace(sleep=lambda _seconds: None)  # it waits for AWS to spread news of a role
    with pytest.raises(click.ClickException, match="Failed to setup head node"):
        create_or_update_cluster(str(file), no_config_cache=True)
    config = commands._bootstrap_config(yaml.safe_load(file.read_text()), no_config_cache=True)
    provider = commands._get_node_provider(config["provider"], config["cluster_name"])
    tags = {TAG_RAY_NODE_KIND: NODE_KIND_WORKER, TAG_RAY_USER_NODE_TYPE: "gpu"}
    provider.create_node(config["available_node_types"]["gpu"]["node_config"], tags, 1)
    found = launched(config["provider"]["region"])
    found["resources"] = {name: kind["resources"] for name, kind in config["available_node_types"].items()}
    (file.parent / "launched.json").write_text(json.dumps(found, default=str))


def launched(region: str) -> dict[str, Any]:
    """What this EC2 and IAM know afterwards."""
    import boto3

    ec2, iam = boto3.client("ec2", region), boto3.client("iam", region)
    reservations = ec2.describe_instances()["Reservations"]
    role = "ray-autoscaler-v1"
    return {
        "instances": [instance for reservation in reservations for instance in reservation["Instances"]],
        "volumes": ec2.describe_volumes()["Volumes"],
        "groups": ec2.describe_security_groups()["SecurityGroups"],
        "policies": iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"],
    }


def main(source: str, home: str) -> None:
    """Start the endpoint, fill in the file, launch."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.environ.update(settings(Path(home)))
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", PORT, verbose=False)
    server.start()
    image = boto3.client("ec2", "us-east-1").describe_images()["Images"][0]["ImageId"]
    file = Path(home, "cluster-aws.yaml")
    file.write_text(fill_in(Path(source).read_text(), image))
    launch(file)
    server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])

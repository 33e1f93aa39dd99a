"""A JSON schema for the fields that cluster-kubernetes.yaml uses, and no others.

Written after the types of KubeRay 1.5 (ray-operator/apis/ray/v1, rayjob_types.go and raycluster_types.go) and
Kubernetes' PodSpec, because what comes with KubeRay are resource definitions of 20,000 lines.
"""

from typing import Any

TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
COUNT = {"type": "integer", "minimum": 0}
QUANTITY = {"anyOf": [COUNT, {"type": "string", "pattern": r"^[0-9.]+(m|[KMGT]i?)?$"}]}


def record(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
    }


def listed(item: dict[str, Any]) -> dict[str, Any]:
    """A list of at least one."""
    return {"type": "array", "items": item, "minItems": 1}


QUANTITIES = record({"cpu": QUANTITY, "memory": QUANTITY}, {"nvidia.com/gpu": COUNT})
CONTAINER = record(
    {"name": TEXT, "image": TEXT, "resources": record({"requests": QUANTITIES, "limits": QUANTITIES})},
    {
        "env": listed(record({"name": TEXT, "value": TEXT})),
        "envFrom": listed(record({"secretRef": record({"name": TEXT})})),
    },
)
TOLERATION = record({"key": TEXT, "operator": {"enum": ["Exists", "Equal"]}, "effect": TEXT})
POD = record({"containers": listed(CONTAINER)}, {"tolerations": listed(TOLERATION)})
GROUP = {"rayStartParams": TEXTS, "template": record({"spec": POD})}
WORKERS = record(GROUP | {"groupName": TEXT, "replicas": COUNT, "minReplicas": COUNT, "maxReplicas": COUNT})
CLUSTER = record(
    {"rayVersion": TEXT, "headGroupSpec": record(GROUP), "workerGroupSpecs": listed(WORKERS)},
    {
        "authOptions": record({"mode": {"enum": ["disabled", "token"]}}),
        "enableInTreeAutoscaling": {"type": "boolean"},
        "autoscalerOptions": record({"idleTimeoutSeconds": COUNT}),
    },
)
SPEC = record(
    {"entrypoint": TEXT, "rayClusterSpec": CLUSTER},
    {
        "backoffLimit": COUNT,
        "shutdownAfterJobFinishes": {"type": "boolean"},
        "ttlSecondsAfterFinished": COUNT,
    },
)
RAYJOB = record(
    {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": record({"name": TEXT}, {"labels": TEXTS}),
        "spec": SPEC,
    }
)

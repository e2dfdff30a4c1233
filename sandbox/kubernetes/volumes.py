"""Stand-in for a storage driver: a folder on the chosen node for each claim of the class `sandbox-local`."""

import shutil
from collections.abc import Iterable, Iterator
from typing import Any

from sandbox.kubernetes.places import VOLUMES

Thing = dict[str, Any]
CLASS, DRIVER = "sandbox-local", "sandbox/local"
CHOSEN = "volume.kubernetes.io/selected-node"  # written by the scheduler, which waits for the first consumer


def missing(claims: Iterable[Thing]) -> Iterator[Thing]:
    """A volume for each claim that has been given a node and is not bound yet."""
    for claim in claims:
        metadata, spec = claim["metadata"], claim["spec"]
        node = metadata.get("annotations", {}).get(CHOSEN)
        if node and spec.get("storageClassName") == CLASS and "volumeName" not in spec:
            yield volume(metadata, spec, node)


def volume(metadata: Thing, spec: Thing, node: str) -> Thing:
    """It stays on its node, as a disk does, and goes when its claim goes."""
    name = f"pvc-{metadata['uid']}"
    term = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": DRIVER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": CLASS,
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "local": {"path": str(VOLUMES / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}},
        },
    }


def make(wanted: Thing) -> None:
    """Create its folder, writable for all users: kubelet gives it to the pod's group, if the pod has one."""
    VOLUMES.joinpath(wanted["metadata"]["name"]).mkdir(parents=True, exist_ok=True, mode=0o777)
    VOLUMES.joinpath(wanted["metadata"]["name"]).chmod(0o777)


def released(volumes: Iterable[Thing]) -> Iterator[str]:
    """The names of volumes of ours whose claim is gone, and which were not to be retained."""
    for one in volumes:
        ours = one["metadata"].get("annotations", {}).get("pv.kubernetes.io/provisioned-by") == DRIVER
        over = one.get("status", {}).get("phase") in ("Released", "Failed")
        if ours and over and one["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
            yield one["metadata"]["name"]


def remove(name: str) -> None:
    shutil.rmtree(VOLUMES / name, ignore_errors=True)

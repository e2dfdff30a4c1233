"""Where the data is, and what can delete it."""

import re
from collections.abc import Iterator

from policies.declared import (
    CLAIM,
    CONTAINER,
    DOCKER_VOLUME,
    NODES,
    PODS,
    QDRANT,
    STATEFUL,
    mapping,
    mappings,
    pod,
    spec,
    workload,
)
from policies.rule import Setting, Subject, Violation, Violations, rule

SHARED = re.compile(r"nfs|efs|cifs|smb|azure-?file|ceph-?fs|gluster|s3|fuse", re.IGNORECASE)
SHARED_VOLUMES = {"nfs", "cephfs", "glusterfs", "azureFile", "hostPath"}


@rule(
    on=(*QDRANT, *CONTAINER, *DOCKER_VOLUME, *CLAIM, *STATEFUL, *PODS),
    reason="Qdrant needs POSIX block storage: on a network or shared file system it corrupts its segments, and a "
    "folder of the machine may be cleaned up, or shared.",
    remedy="Let the platform make a volume for `data_dir`; on Kubernetes name a storage class of block devices.",
)
def data_is_on_block_storage(subject: Subject) -> Violations:
    """Data stands on a durable volume of block storage: no NFS, EFS or other shared file system, no bind mount."""
    nodes = workload(subject, NODES)
    if nodes and not nodes.get("data_dir"):
        yield Violation(subject.at(NODES), "its data goes with the container; give it a data_dir")
    for what in _unfit(subject):
        yield Violation(subject.name, f"{what}; use a volume of block storage")


def _unfit(subject: Subject) -> Iterator[str]:
    inputs = subject.inputs
    if subject.type in DOCKER_VOLUME:
        options = mapping(inputs.get("driverOpts"))
        named = [str(inputs.get("driver", "local")), str(options.get("type", "")), str(options.get("device", ""))]
        if any(map(SHARED.search, named[:2])) or "bind" in str(options.get("o", "")):
            yield f"volume with driver {named[0]}, type {named[1] or 'none'}, device {named[2] or 'none'}"
    if subject.type in CONTAINER:
        for volume in mappings(inputs.get("volumes")):
            if volume.get("hostPath") and not volume.get("readOnly"):
                yield f"binds {volume['hostPath']} of the machine to {volume.get('containerPath')}"
        for mount in mappings(inputs.get("mounts")):
            if mount.get("type") == "bind" and not mount.get("readOnly"):
                yield f"binds {mount.get('source')} of the machine to {mount.get('target')}"
    for claim in (inputs,) if subject.type in CLAIM else mappings(spec(subject).get("volumeClaimTemplates")):
        storage = str(mapping(claim.get("spec")).get("storageClassName", ""))
        if SHARED.search(storage):
            yield f"storage class {storage} is a shared file system"
    for volume in mappings(pod(subject).get("volumes")):
        for kind in sorted(SHARED_VOLUMES & set(volume)):
            yield f"volume {volume.get('name')} is a {kind}"


@rule(
    on=(*DOCKER_VOLUME, *CLAIM, *STATEFUL),
    reason="A renamed resource is deleted and made again, and with a volume its points go.",
    remedy="Leave `rag-platform:protectData` true: it protects volumes, and keeps what a StatefulSet claimed.",
    in_force=Setting(False, "true in production; a laptop may throw its data away"),
)
def data_is_protected(subject: Subject, *, in_force: bool) -> Violations:
    """What holds data cannot be deleted by a change of the program."""
    if not in_force or subject.protected:
        return
    claims = spec(subject).get("volumeClaimTemplates")
    retained = mapping(spec(subject).get("persistentVolumeClaimRetentionPolicy"))
    if subject.type in STATEFUL and (not claims or "Delete" not in retained.values()):
        return  # Kubernetes keeps the claims of a deleted StatefulSet, unless the policy is Delete
    yield Violation(subject.name, "may be deleted with its data; protect it (rag-platform:protectData)")

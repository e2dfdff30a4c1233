"""The pod of a workload: restricted, with nothing writable but what was asked for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi

from platforms import disks
from platforms.kubernetes import edge, files, spread
from platforms.kubernetes.cluster import Cluster, Manifest, claim_spec, keeps_data, merged, replicas_service, selector
from platforms.workload import CommandProbe, HttpProbe, Port, Workload

# Between the end of a pod's traffic and its signal: by then every machine has taken the pod out of its Services.
LEAVING_SECONDS = 5
# No SIGTERM is sent: the processes are killed before the kubelet would send it. Not a grace period of 0,
# which takes the pod off the books while its processes may still write to its disk.
CERTIFICATE = "rag-platform/certificate"
KILL = ["sh", "-c", "kill -9 -1"]


def template(name: str, workload: Workload, cluster: Cluster, names: Mapping[str, pulumi.Input[str]]) -> Manifest:
    """What a controller makes pods from; `names` are those of the file objects, and a digest of the certificate."""
    metadata: Manifest = {"labels": selector(name) | cluster.labels()}
    if "certificate" in names:
        metadata["annotations"] = {CERTIFICATE: names["certificate"]}
    return {"metadata": metadata, "spec": spec(name, workload, cluster, names)}


def spec(name: str, workload: Workload, cluster: Cluster, names: Mapping[str, pulumi.Input[str]]) -> Manifest:
    """One container, as an ordinary user, without a token of the cluster."""
    stopped_hard = workload.grace_seconds == 0
    pull = [{"name": cluster.settings.pull_secret}] if cluster.settings.pull_secret else None
    return merged(
        {
            "serviceAccountName": name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "imagePullSecrets": pull,
            "securityContext": pod_security(workload.user),
            "shareProcessNamespace": True if stopped_hard else None,  # `kill -9 -1` spares the first process
            "terminationGracePeriodSeconds": workload.grace_seconds + LEAVING_SECONDS,
            "dnsConfig": _peer_names(name, cluster) if keeps_data(workload) else None,
            "containers": [container(name, workload, cluster, names), *_disk_exporter(workload, cluster)],
            "volumes": volumes(workload, cluster, names) or None,
        },
        spread.placement(name, workload, cluster),
    )


def container(name: str, workload: Workload, cluster: Cluster, names: Mapping[str, pulumi.Input[str]]) -> Manifest:
    """The process; `command` and `args` mean on Kubernetes what they mean in a Workload."""
    assert isinstance(workload.image, str)
    return merged(
        {
            "name": name,
            "image": cluster.image(workload.image),
            "imagePullPolicy": "IfNotPresent",
            "command": [files.literal(word) for word in workload.command] or None,
            "args": [files.literal(word) for word in workload.args] or None,
            "env": files.environment(workload, names) or None,
            "ports": [{"name": port_name(port.number), "containerPort": port.number} for port in workload.ports]
            or None,
            "resources": resources(workload, cluster),
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": mounts(workload, cluster) or None,
        },
        probes(workload),
        _leaving(workload),
    )


def with_measured_disks(workload: Workload) -> Workload:
    """The workload with the port of what measures its disks, where it has any."""
    if not keeps_data(workload):
        return workload
    return replace(workload, ports=(*workload.ports, Port(number=disks.PORT)))


def _disk_exporter(workload: Workload, cluster: Cluster) -> list[Manifest]:
    """Beside the process, because no other pod may mount its disks."""
    if not any(port.number == disks.PORT for port in workload.ports):
        return []
    exporter = replace(disks.exporter(cluster.disk_exporter_image), ports=(), readiness=None, liveness=None)
    found = {"data": workload.data_dir, "work": workload.work_dir}
    mounts = [
        {"name": name, "mountPath": f"{disks.FOLDER}/{name}", "readOnly": True} for name, path in found.items() if path
    ]
    return [container(disks.NAME, exporter, cluster, {}) | {"volumeMounts": mounts}]


def pod_security(user: int) -> Manifest:
    """Pod Security `restricted`, and disks that belong to the user."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def resources(workload: Workload, cluster: Cluster) -> Manifest:
    """Memory is reserved whole; of the processor a share, because all are rarely busy at once."""
    asked = workload.resources
    milli = round(asked.cpus * 1000)
    memory = f"{asked.memory_mib}Mi"
    reserved = max(1, milli * cluster.settings.cpu_reserved_percent // 100)
    return {"requests": {"cpu": f"{reserved}m", "memory": memory}, "limits": {"cpu": f"{milli}m", "memory": memory}}


def volumes(workload: Workload, cluster: Cluster, names: Mapping[str, pulumi.Input[str]]) -> list[Manifest]:
    """Files, scratch and room to work, which go with the pod; a disk comes from the controller's claim."""
    scratch = [
        {"name": f"scratch-{index}", "emptyDir": {"sizeLimit": "256Mi"}}
        for index, _ in enumerate(workload.scratch_dirs)
    ]
    return [*files.volumes(names), *scratch, *_work(workload, cluster), *edge.certificate_volumes(workload, cluster)]


def mounts(workload: Workload, cluster: Cluster) -> list[Manifest]:
    """Where the container finds its volumes."""
    data = [{"name": "data", "mountPath": workload.data_dir}] if workload.data_dir else []
    scratch = [{"name": f"scratch-{n}", "mountPath": path} for n, path in enumerate(workload.scratch_dirs)]
    work = [{"name": "work", "mountPath": workload.work_dir}] if workload.work_dir else []
    certificate = [
        {"name": volume["name"], "mountPath": edge.CERTIFICATE_DIR, "readOnly": True}
        for volume in edge.certificate_volumes(workload, cluster)
    ]
    return [*data, *files.mounts(workload), *scratch, *work, *certificate]


def probes(workload: Workload) -> Manifest:
    """Started, then ready; one that is alive to no probe for a minute is restarted where a workload asks for it."""
    if workload.readiness is None:
        return {}
    period_seconds = 2
    started = {"periodSeconds": period_seconds, "failureThreshold": max(1, workload.start_seconds // period_seconds)}
    ready = {"periodSeconds": period_seconds, "failureThreshold": 3}
    found = {
        "startupProbe": {**_probe(workload.readiness), "timeoutSeconds": 5, **started},
        "readinessProbe": {**_probe(workload.traffic or workload.readiness), "timeoutSeconds": 5, **ready},
    }
    if workload.liveness:
        alive = {"periodSeconds": 10, "failureThreshold": 6}
        found["livenessProbe"] = {**_probe(workload.liveness), "timeoutSeconds": 10, **alive}
    return found


def _work(workload: Workload, cluster: Cluster) -> list[Manifest]:
    """A disk that is made with the pod and goes with it, so that its size and class may change with any roll."""
    if not workload.work_dir:
        return []
    claim = {"spec": claim_spec(workload.work_gib, cluster.settings.work_class or cluster.settings.storage_class)}
    return [{"name": "work", "ephemeral": {"volumeClaimTemplate": claim}}]


def port_name(number: int) -> str:
    """Ports have no names of their own in a Workload."""
    return f"tcp-{number}"


def _probe(probe: HttpProbe | CommandProbe) -> Manifest:
    if isinstance(probe, HttpProbe):
        return {"httpGet": {"path": probe.path, "port": probe.port}}
    return {"exec": {"command": list(probe.command)}}


def _leaving(workload: Workload) -> dict[str, Any]:
    """Killed at once, or sent SIGTERM after it was taken out of its Services."""
    if workload.grace_seconds == 0:
        return {"lifecycle": {"preStop": {"exec": {"command": KILL}}}}
    if workload.ports:
        return {"lifecycle": {"preStop": {"sleep": {"seconds": LEAVING_SECONDS}}}}
    return {}


def _peer_names(name: str, cluster: Cluster) -> Manifest:
    """`<name>-<n>` by itself is found among the replicas' own records."""
    return {"searches": [cluster.domain(replicas_service(name))]}

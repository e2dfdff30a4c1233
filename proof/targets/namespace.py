"""A namespace of a Kubernetes cluster and the machines under it, through the API that an operator uses."""

from collections.abc import Mapping, Sequence
from typing import Any

from kubernetes import client
from kubernetes.client import ApiException
from kubernetes.stream import stream

from access.kubernetes import kube
from access.polling import poll, require

NAME = "app.kubernetes.io/name"
MACHINE = "kubernetes.io/hostname"
TIMEOUT_SECONDS = 180


class Namespace:
    """Pods by the name of their workload; machines by their own."""

    def __init__(self, name: str, context: str = "") -> None:
        api, self._context = kube.api_client(context), context
        self.core: Any = client.CoreV1Api(api)
        self._policies: Any = client.NetworkingV1Api(api)
        self.name = name

    def pods(self, workload: str = "") -> list[Any]:
        chosen = f"{NAME}={workload}" if workload else ""
        return list(self.core.list_namespaced_pod(self.name, label_selector=chosen).items)

    def machine_of(self, pod: str) -> str:
        return str(self.core.read_namespaced_pod(pod, self.name).spec.node_name)

    def claim(self, name: str) -> Any:
        return self.core.read_namespaced_persistent_volume_claim(name, self.name)

    def ready_pods(self, workload: str) -> list[Any]:
        """Those that are Ready and not terminating."""
        stay = [pod for pod in self.pods(workload) if pod.metadata.deletion_timestamp is None]
        return [pod for pod in stay if _is(pod.status.conditions, "Ready")]

    def ready(self, workload: str, count: int) -> bool:
        return len(self.ready_pods(workload)) == count

    def machine_ready(self, machine: str) -> bool:
        return _is(self.core.read_node(machine).status.conditions, "Ready")

    def delete(self, pod: str, *, notice_seconds: int) -> None:
        """Terminate it within that time; its controller creates another."""
        self.core.delete_namespaced_pod(pod, self.name, grace_period_seconds=notice_seconds)

    def execute(self, pod: str, command: Sequence[str]) -> None:
        """Run a command in a pod's first container, with a client of its own: the library alters the given one."""
        core = kube.core(self._context)
        container = core.read_namespaced_pod(pod, self.name).spec.containers[0].name
        exec_in_pod = core.connect_get_namespaced_pod_exec
        stream(exec_in_pod, pod, self.name, container=container, command=list(command), stdout=True, stderr=True)

    def drain(self, machine: str, *, but: str = "") -> None:
        """Cordon it, and evict this namespace's pods, `but` for one, as their PodDisruptionBudgets allow."""
        self.core.patch_node(machine, {"spec": {"unschedulable": True}})
        poll(lambda: self._evict_all(machine, but), TIMEOUT_SECONDS, expected=f"{machine} without pods")

    def uncordon(self, machine: str) -> None:
        self.core.patch_node(machine, {"spec": {"unschedulable": None}})

    def takes_pods(self, machine: str) -> bool:
        return not self.core.read_node(machine).spec.unschedulable

    def _evict_all(self, machine: str, but: str) -> None:
        here = [pod.metadata for pod in self.pods() if pod.spec.node_name == machine and pod.metadata.name != but]
        for pod in here:
            try:
                body = client.V1Eviction(metadata=client.V1ObjectMeta(name=pod.name))
                self.core.create_namespaced_pod_eviction(pod.name, self.name, body)
            except ApiException as error:
                if error.status not in (404, 429):  # gone already, or not yet allowed by its budget
                    raise
        require(not here, ", ".join(pod.name for pod in here))

    def allow(self, caller: str, callee: str, port: int) -> None:
        """NetworkPolicies for one connection, at both its ends; the caller's `remove` deletes them."""
        ends = {"to": (caller, callee, "egress"), "from": (callee, caller, "ingress")}
        for word, (owner, other, way) in ends.items():
            rule = {word: [{"podSelector": {"matchLabels": {NAME: other}}}], "ports": [{"port": port}]}
            selected = {"podSelector": {"matchLabels": {NAME: owner}}, "policyTypes": [way.capitalize()], way: [rule]}
            metadata = {"name": f"{caller}-{word}-{callee}", "labels": {NAME: caller}}
            self._policies.create_namespaced_network_policy(self.name, {"metadata": metadata, "spec": selected})

    def remove(self, pod: str) -> None:
        """Delete a pod without a controller at once, and its NetworkPolicies; one that is gone already is no error."""
        kube.or_none(lambda: self.delete(pod, notice_seconds=0))
        self._policies.delete_collection_namespaced_network_policy(self.name, label_selector=f"{NAME}={pod}")
        named = f"metadata.name={pod}"

        def gone() -> None:
            require(not self.core.list_namespaced_pod(self.name, field_selector=named).items, "it still there")

        poll(gone, TIMEOUT_SECONDS, expected=f"pod {pod} gone")


def _is(conditions: Any, kind: str) -> bool:
    return any(one.type == kind and one.status == "True" for one in conditions or ())


def lone_pod(
    name: str,
    image: str,
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    files: Mapping[str, Any] | None = None,
    pull_secret: str = "",
    machine: str = "",
) -> dict[str, Any]:
    """A pod without a controller that Pod Security `restricted` admits; the volume `files` is mounted at /files."""
    container = {
        "name": "it",
        "image": image,
        "command": list(command),
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "files", "mountPath": "/files"}] if files else [],
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "imagePullSecrets": [{"name": pull_secret}] if pull_secret else [],
        "nodeSelector": {MACHINE: machine} if machine else {},
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "files", **files}] if files else [],
    }
    return {"metadata": {"name": name, "labels": {NAME: name}}, "spec": spec}

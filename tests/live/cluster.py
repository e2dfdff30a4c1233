"""The cluster under a live prod stack, as its operator sees it, and a pod in it that reads, writes and counts."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kubernetes import client, config
from kubernetes.client import ApiException

from tests.live import prober

PROBER = "test-prober"
NAME = "app.kubernetes.io/name"


def until(what: str, condition: Callable[[], Any], seconds: float = 180) -> Any:
    """Wait for a condition and return what it returned; fail naming it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.5)
    return found


class Nodes:
    """A namespace of a cluster, and the machines it runs on."""

    def __init__(self, namespace: str) -> None:
        config.load_kube_config()  # type: ignore[no-untyped-call]
        self.core: Any = client.CoreV1Api()
        self.policies: Any = client.NetworkingV1Api()
        self.namespace = namespace

    def pods(self, name: str = "") -> list[Any]:
        chosen = f"{NAME}={name}" if name else ""
        return list(self.core.list_namespaced_pod(self.namespace, label_selector=chosen).items)

    def node_of(self, pod: str) -> str:
        return str(self.core.read_namespaced_pod(pod, self.namespace).spec.node_name)

    def ready(self, name: str, count: int) -> bool:
        """Whether so many pods of a workload are ready, and stay."""
        stay = [pod for pod in self.pods(name) if pod.metadata.deletion_timestamp is None]
        return sum(_is(pod.status.conditions, "Ready") for pod in stay) == count

    def well(self, node: str) -> bool:
        return _is(self.core.read_node(node).status.conditions, "Ready")

    def drain(self, node: str) -> None:
        """Cordon it, and evict what is ours as budgets allow, until nothing is left that can go."""
        self.core.patch_node(node, {"spec": {"unschedulable": True}})
        until(f"{node} to be empty", lambda: self._evicted(node))

    def uncordon(self, node: str) -> None:
        self.core.patch_node(node, {"spec": {"unschedulable": None}})

    def _evicted(self, node: str) -> bool:
        here = [pod.metadata for pod in self.pods() if pod.spec.node_name == node and pod.metadata.name != PROBER]
        for pod in here:
            try:
                body = client.V1Eviction(metadata=client.V1ObjectMeta(name=pod.name))
                self.core.create_namespaced_pod_eviction(pod.name, self.namespace, body)
            except ApiException as error:
                if error.status not in (404, 429):  # gone already; or its budget says: not yet
                    raise
        return not here


def _is(conditions: Any, kind: str) -> bool:
    return any(one.type == kind and one.status == "True" for one in conditions or ())


def befall(what: str, node: str) -> None:
    """Let something happen to a machine of the sandbox: `off`, `on`, `cut`, `join`."""
    subprocess.run([sys.executable, "-m", "sandbox.kubernetes", what, node], check=True)


class Prober:
    """Runs while its block does, on a node of its own choice; its record is what it printed last."""

    def __init__(self, nodes: Nodes, image: str, key: str, collection: str, *, node: str = "") -> None:
        self._nodes, self.first_id = nodes, time.time_ns() // 1000
        said = {"URL": "http://haproxy:6333", "KEY": key, "COLLECTION": collection, "FIRST_ID": str(self.first_id)}
        command = ["python", "-c", Path(prober.__file__).read_text()]
        self._pod = pod(PROBER, image, command, {f"PROBE_{name}": value for name, value in said.items()}, node=node)
        self.record: dict[str, Any] = {}

    def __enter__(self) -> Self:
        allow(self._nodes, PROBER, "haproxy", 6333)
        self._nodes.core.create_namespaced_pod(self._nodes.namespace, self._pod)
        try:
            self.settle_in()
        except BaseException:  # who is not let in is not asked to leave
            remove(self._nodes, PROBER)
            raise
        return self

    def settle_in(self) -> dict[str, Any]:
        """Wait until it has read and written some more than it had; returns what it has seen then."""
        before = self._last()
        enough = {"reads": before.get("reads", 0) + 50, "writes": before.get("writes", 0) + 5}
        try:
            until("the prober to go on", lambda: all(self._last().get(key, 0) >= n for key, n in enough.items()), 60)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self._found()}") from error
        return self._last()

    def _found(self) -> str:
        """Where it is and what it says, or why nobody hears it: the pod is gone when somebody reads this."""
        try:
            pod = self._nodes.core.read_namespaced_pod(PROBER, self._nodes.namespace)
            at = f"found it {pod.status.phase} on {pod.spec.node_name} as {pod.status.pod_ip}"
            return f"{at}, saying {self._log()[-2000:]!r}"
        except ApiException as error:
            return f"found {error.status}: {error.body}"

    @property
    def acknowledged(self) -> list[int]:
        return prober.identifiers(self.first_id, self.record["acknowledged"])

    def _last(self) -> dict[str, Any]:
        try:
            text = self._log()
            return dict(json.loads(text)) if text else {}
        except ApiException:
            return {}  # it has not started yet

    def _log(self) -> str:
        return str(self._nodes.core.read_namespaced_pod_log(PROBER, self._nodes.namespace, tail_lines=1))

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if _type is None:
            self.record = self.settle_in()
        remove(self._nodes, PROBER)


def remove(nodes: Nodes, name: str) -> None:
    """The pod at once, and the wires that were laid for it."""
    nodes.core.delete_namespaced_pod(name, nodes.namespace, grace_period_seconds=0)
    nodes.policies.delete_collection_namespaced_network_policy(nodes.namespace, label_selector=f"{NAME}={name}")
    gone = f"metadata.name={name}"
    until(f"{name} to go", lambda: not nodes.core.list_namespaced_pod(nodes.namespace, field_selector=gone).items)


def allow(nodes: Nodes, caller: str, callee: str, port: int) -> None:
    """Lay a wire between two pods, at both its ends."""
    ends = {"to": (caller, callee, "egress"), "from": (callee, caller, "ingress")}
    for word, (owner, other, way) in ends.items():
        rule = {word: [{"podSelector": {"matchLabels": {NAME: other}}}], "ports": [{"port": port}]}
        selected = {"podSelector": {"matchLabels": {NAME: owner}}, "policyTypes": [way.capitalize()], way: [rule]}
        metadata = {"name": f"{caller}-{word}-{callee}", "labels": {NAME: caller}}
        nodes.policies.create_namespaced_network_policy(nodes.namespace, {"metadata": metadata, "spec": selected})


def pod(name: str, image: str, command: list[str], env: dict[str, str], *, node: str = "") -> dict[str, Any]:
    """A pod that the strictest Pod Security lets in."""
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "it",
        "image": image,
        "command": command,
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "securityContext": restricted,
    }
    spec = {
        "restartPolicy": "Never",
        "nodeSelector": {"kubernetes.io/hostname": node} if node else {},
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {"metadata": {"name": name, "labels": {NAME: name}}, "spec": spec}

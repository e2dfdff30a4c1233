"""One node's pod and claim in a Kubernetes cluster: diagnosed, given up, started."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from kubernetes.client import ApiException

from access.kubernetes import kube
from access.kubernetes.kube import is_gone, or_none, unless_replaced
from access.kubernetes.pod_diagnosis import diagnose, is_ready
from access.polling import SYSTEM_CLOCK, Clock, PollTimeout, poll, require
from components.qdrant.cluster import NODES
from platforms.kubernetes.spread import MACHINE
from platforms.kubernetes.storage import claim_name, replica_name

RESTARTS = 3  # of a node that is not ready after them: its disk is unusable
NOTICE_SECONDS = 1
GONE_SECONDS = 30  # after which a pod whose machine does not confirm its end is taken for ended
RELEASED_SECONDS = 60  # for a claim, behind the last pod that used it
START_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class KubernetesDisk:
    """See `ops.daytwo.node_disk.NodeDisk`.

    The StatefulSet's controller creates pod and claim again as soon as they are gone. A node with an empty disk asks to
    join, is refused while the cluster still has a peer at its address, ends, and is restarted after a while.
    """

    stays_away: ClassVar[bool] = False
    core: Any
    namespace: str
    ordinal: int
    clock: Clock = SYSTEM_CLOCK

    @property
    def name(self) -> str:
        return replica_name(NODES, self.ordinal)

    @property
    def claim_name(self) -> str:
        return claim_name(NODES, self.ordinal)

    def diagnose(self) -> str:
        claim = self._claim()
        if claim is None:
            return f"claim {self.claim_name} is gone"
        if claim.status.phase == "Lost":
            return f"claim {self.claim_name} has lost its volume"
        return self._diagnose_machine(claim) or self._diagnose_restarts()

    def end(self) -> None:
        """Another pod takes its place at once."""
        if pod := self._pod():
            self._delete_pod(pod, NOTICE_SECONDS)
            try:
                self._await_gone(self._pod, pod, self.name, GONE_SECONDS)
            except PollTimeout:  # its machine is off, and does not report its end
                self._delete_pod(pod, 0)

    def give_up(self) -> None:
        """The claim goes, and its volume with it where its class says so; both are made again, and are empty."""
        claim = self._claim()
        if claim is not None:
            self._delete_claim(claim)  # it goes when no pod uses it any more
        self.end()
        if claim is not None:
            self._await_gone(self._claim, claim, f"claim {self.claim_name}", RELEASED_SECONDS)

    def start(self) -> bool:
        """It is restarted again and again already; this ends the pause before the next time."""
        pod = self._pod()
        if pod is not None and _pauses(pod):
            self._delete_pod(pod, NOTICE_SECONDS)
        advice = "Mend it and run the same command again"
        poll(self._require_ready, START_SECONDS, expected=f"{self.name} to be ready", advice=advice, clock=self.clock)
        return True

    def _require_ready(self) -> None:
        pod = kube.pod(self.core, self.name, self.namespace)
        require(is_ready(pod), diagnose(pod) or "that it is not yet; see kubectl logs")

    def _await_gone(self, read: Callable[[], Any | None], old: Any, name: str, seconds: float) -> None:
        def gone() -> None:
            now = read()
            require(now is None or now.metadata.uid != old.metadata.uid, f"{name} still there")

        advice = "See kubectl describe, then run the same command again"
        poll(gone, seconds, expected=f"{name} to go", advice=advice, clock=self.clock)

    def _diagnose_machine(self, claim: Any) -> str:
        """A disk that is part of a machine goes with it; where this user may not list machines, none is missing."""
        if not claim.spec.volume_name:
            return ""
        try:
            needed = _machines_of(self.core.read_persistent_volume(claim.spec.volume_name))
            there = {machine.metadata.labels.get(MACHINE) for machine in self.core.list_node().items}
        except ApiException as error:
            return f"volume {claim.spec.volume_name} is gone" if is_gone(error) else ""
        gone = needed and not needed & there
        return f"the machine of its volume is gone: {', '.join(sorted(needed))}" if gone else ""

    def _diagnose_restarts(self) -> str:
        pod = self._pod()
        containers = (pod.status.container_statuses or []) if pod else []
        for container in containers:
            if container.restart_count >= RESTARTS and not container.ready:
                return f"{self.name} has ended {container.restart_count} times by itself"
        return ""

    def _claim(self) -> Any | None:
        return or_none(lambda: self.core.read_namespaced_persistent_volume_claim(self.claim_name, self.namespace))

    def _pod(self) -> Any | None:
        return or_none(lambda: self.core.read_namespaced_pod(self.name, self.namespace))

    def _delete_claim(self, claim: Any) -> None:
        delete, body = self.core.delete_namespaced_persistent_volume_claim, _this_one(claim)
        unless_replaced(lambda: delete(self.claim_name, self.namespace, body=body))

    def _delete_pod(self, pod: Any, notice_seconds: int) -> None:
        delete, body = self.core.delete_namespaced_pod, _this_one(pod) | {"gracePeriodSeconds": notice_seconds}
        unless_replaced(lambda: delete(self.name, self.namespace, body=body))


def _this_one(found: Any) -> dict[str, Any]:
    return {"preconditions": {"uid": found.metadata.uid}}


def _pauses(pod: Any) -> bool:
    """Whether it is not started for a while, because it has ended too often."""
    return any(one.state.waiting is not None for one in pod.status.container_statuses or ())


def _machines_of(volume: Any) -> set[str]:
    """Names of the machines that alone can use it; empty for one that any can."""
    needed = volume.spec.node_affinity and volume.spec.node_affinity.required
    return {
        name
        for term in (needed.node_selector_terms if needed else ())
        for expression in term.match_expressions or ()
        if expression.key == MACHINE and expression.operator == "In"
        for name in expression.values
    }

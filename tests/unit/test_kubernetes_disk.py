"""A node's pod and claim: what counts as lost, and that nothing but these two is given up."""

from collections.abc import Callable
from types import SimpleNamespace as Object
from typing import Any

import pytest
from kubernetes.client import ApiException

from ops.daytwo.kubernetes_disk import KubernetesDisk
from tests.unit.fake_time import FakeTime

CLAIM, POD = "data-qdrant-1", "qdrant-1"


def metadata(uid: str, **labels: str) -> Any:
    return Object(uid=uid, labels=labels)


def pod(uid: str = "pod", *, restarts: int = 0, ready: bool = True, pauses: bool = False) -> Any:
    state = Object(waiting=Object(reason="CrashLoopBackOff") if pauses else None)
    container = Object(restart_count=restarts, ready=ready, state=state)
    return Object(metadata=metadata(uid), status=Object(container_statuses=[container]), is_ready=ready)


def volume(*machines: str) -> Any:
    expression = Object(key="kubernetes.io/hostname", operator="In", values=list(machines))
    terms = [Object(match_expressions=[expression])] if machines else []
    return Object(spec=Object(node_affinity=Object(required=Object(node_selector_terms=terms)) if machines else None))


class Cluster:
    """What a cluster answers, and what it is asked to delete; its controller creates deleted objects again."""

    def __init__(self) -> None:
        self.claim: Any = Object(
            metadata=metadata("claim"), spec=Object(volume_name="volume"), status=Object(phase="Bound")
        )
        self.pod: Any = pod()
        self.volume: Any = volume("machine-1")
        self.machines = {"machine-1", "machine-2"}
        self.deleted: list[tuple[str, str, int | None]] = []
        self.stuck: set[str] = set()  # what does not go when it is asked to
        self.api_client = Object(sanitize_for_serialization=sent)

    def read_namespaced_persistent_volume_claim(self, name: str, namespace: str) -> Any:
        return found(self.claim, (name, namespace) == (CLAIM, "rag"))

    def read_namespaced_pod(self, name: str, namespace: str) -> Any:
        return found(self.pod, (name, namespace) == (POD, "rag"))

    def read_persistent_volume(self, name: str) -> Any:
        if isinstance(self.volume, int):
            raise ApiException(status=self.volume)
        return found(self.volume, name == "volume")

    def list_node(self) -> Any:
        labelled = [metadata(name, **{"kubernetes.io/hostname": name}) for name in self.machines]
        return Object(items=[Object(metadata=each) for each in labelled])

    def delete_namespaced_persistent_volume_claim(self, name: str, namespace: str, body: Any) -> None:
        self._delete(self.claim, name, body)
        if name not in self.stuck:
            self.claim = Object(**{**vars(self.claim), "metadata": metadata("claim, made again")})

    def delete_namespaced_pod(self, name: str, namespace: str, body: Any) -> None:
        self._delete(self.pod, name, body)
        if name not in self.stuck or body["gracePeriodSeconds"] == 0:
            self.pod = pod("pod, made again")

    def _delete(self, known: Any, name: str, body: Any) -> None:
        assert body["preconditions"] == {"uid": known.metadata.uid}, "another one of its name might be meant"
        self.deleted.append((name, known.metadata.uid, body.get("gracePeriodSeconds")))


def found(known: Any, meant: bool) -> Any:
    if known is None or not meant:
        raise ApiException(status=404)
    return known


def sent(known: Any) -> Any:
    if known is None:
        return None
    ready = {"type": "Ready", "status": str(known.is_ready)}
    return {"metadata": {"name": POD}, "status": {"conditions": [ready]}}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def disk(cluster: Cluster) -> KubernetesDisk:
    return KubernetesDisk(core=cluster, namespace="rag", ordinal=1, clock=FakeTime().clock)


def lose_claim(cluster: Cluster) -> None:
    cluster.claim = None


def lose_phase(cluster: Cluster) -> None:
    cluster.claim.status.phase = "Lost"


def lose_machine(cluster: Cluster) -> None:
    cluster.machines = {"machine-2"}


def lose_volume(cluster: Cluster) -> None:
    cluster.volume = 404


def end_often(cluster: Cluster) -> None:
    cluster.pod = pod(restarts=3, ready=False)


@pytest.mark.parametrize(
    ("lose", "diagnosis"),
    [
        (lose_claim, "claim data-qdrant-1 is gone"),
        (lose_phase, "claim data-qdrant-1 has lost its volume"),
        (lose_machine, "the machine of its volume is gone: machine-1"),
        (lose_volume, "volume volume is gone"),
        (end_often, "qdrant-1 has ended 3 times by itself"),
    ],
)
def test_a_node_that_cannot_come_back_by_itself_has_a_diagnosis(
    cluster: Cluster, lose: Callable[[Cluster], None], diagnosis: str
) -> None:
    lose(cluster)
    assert disk(cluster).diagnose() == diagnosis


def no_pod(cluster: Cluster) -> None:
    cluster.pod = None


def restarted(cluster: Cluster) -> None:
    cluster.pod = pod(restarts=7)


def restarting(cluster: Cluster) -> None:
    cluster.pod = pod(restarts=2, ready=False)


def unasked(cluster: Cluster) -> None:
    cluster.volume, cluster.machines = 403, set()


def movable(cluster: Cluster) -> None:
    cluster.volume, cluster.machines = volume(), set()


@pytest.mark.parametrize("happen", [no_pod, restarted, restarting, unasked, movable])
def test_a_node_that_may_come_back_has_none(cluster: Cluster, happen: Callable[[Cluster], None]) -> None:
    happen(cluster)
    assert disk(cluster).diagnose() == ""


def test_a_disk_is_given_up_with_the_pod_that_uses_it(cluster: Cluster) -> None:
    disk(cluster).give_up()
    assert cluster.deleted == [(CLAIM, "claim", None), (POD, "pod", 1)]


def test_a_pod_whose_machine_is_off_is_taken_for_ended(cluster: Cluster) -> None:
    cluster.stuck = {POD}
    disk(cluster).end()
    assert cluster.deleted == [(POD, "pod", 1), (POD, "pod", 0)]


def test_a_claim_that_is_not_deleted_is_an_error(cluster: Cluster) -> None:
    cluster.stuck = {CLAIM}
    with pytest.raises(TimeoutError, match="expected claim data-qdrant-1 to go within"):
        disk(cluster).give_up()


def test_a_claim_that_is_gone_already_takes_nothing_with_it_but_its_pod(cluster: Cluster) -> None:
    cluster.claim = None
    disk(cluster).give_up()
    assert cluster.deleted == [(POD, "pod", 1)]


def test_the_pause_before_a_restart_is_ended(cluster: Cluster) -> None:
    cluster.pod = pod(ready=False, pauses=True)
    assert disk(cluster).start()
    assert cluster.deleted == [(POD, "pod", 1)]


def test_a_node_that_has_joined_meanwhile_is_not_restarted(cluster: Cluster) -> None:
    assert disk(cluster).start()
    assert cluster.deleted == []


def test_a_node_that_does_not_get_ready_is_an_error(cluster: Cluster) -> None:
    cluster.pod = pod(ready=False)
    with pytest.raises(TimeoutError, match="expected qdrant-1 to be ready within"):
        disk(cluster).start()

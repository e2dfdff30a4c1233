"""The prod stack on a real Kubernetes: what its users and its operator notice when machines and pods go away."""

import os
import time
from collections.abc import Iterator

import pytest
from kubernetes.client import ApiException
from kubernetes.config import ConfigException
from rich.console import Console
from urllib3.exceptions import HTTPError

from ops import gateway
from ops.corpus import Document
from ops.parts import load_parts
from ops.stack import StackFiles, use_parts
from providers.cluster_view import look, unsettled
from providers.node_points import NodePoints
from providers.qdrant_api import QdrantApi
from providers.replica_contents import Entry, check_ledger
from providers.tunnel import local
from tests.live.cluster import Nodes, Prober, allow, befall, pod, remove, until
from tests.live.conftest import SLOT, LiveStack

pytestmark = pytest.mark.live
SPACE = f"rag-k8s-test{SLOT or ''}"
SMALL = {"qdrantMemoryMib": "512", "qdrantStorageGib": "1"}
NOTICED_SECONDS = 30  # a machine that is off: the cluster knows after a few seconds, a hanging call gives up later


@pytest.fixture(scope="module")
def nodes() -> Nodes:
    """The cluster at hand, of three machines or more; without one there is nothing to test here."""
    use_parts(load_parts())
    try:
        found = Nodes(SPACE)
        machines = len(found.core.list_node().items)
    except (ConfigException, ApiException, HTTPError) as error:
        pytest.skip(f"no Kubernetes: {error}; make k8s-up")
    assert machines >= 3, f"three machines were expected, found {machines}"
    return found


@pytest.fixture(scope="module")
def prod(nodes: Nodes) -> Iterator[LiveStack]:
    """The prod stack, smaller and under a name of its own; gone after the last test."""
    files = StackFiles(name="k8s-test", source="prod", parts=load_parts()).with_config(namePrefix=SPACE, **SMALL)
    live = LiveStack(files=files, console=Console(stderr=True, highlight=False, width=150), prefix=SPACE)
    live.down(purge=True)  # whatever an earlier run left
    live.up()
    yield live
    live.down(purge=True)


@pytest.fixture
def ours() -> None:
    """For what only the sandbox's own machines can be made to suffer."""
    if "rag-platform-sandbox" not in os.environ.get("KUBECONFIG", ""):
        pytest.skip("this cluster's machines are not the sandbox's to switch off")


def prober(prod: LiveStack, nodes: Nodes, *, node: str = "") -> Prober:
    image = prod.files.settings().image.rag
    return Prober(nodes, image, prod.outputs["qdrantApiKey"], prod.outputs["collection"], node=node)


def peers(prod: LiveStack) -> list[str]:
    return [local(url) for url in prod.outputs["qdrantNodeUrls"]]


def wait_until_settled(prod: LiveStack) -> None:
    apis = [QdrantApi(url, prod.outputs["qdrantApiKey"]) for url in prod.outputs["qdrantNodeUrls"]]
    until("a settled cluster", lambda: not unsettled(look(apis)))


def nothing_lost(prod: LiveStack, seen: Prober) -> None:
    assert seen.acknowledged, "no write was acknowledged: nothing can have been lost, and nothing was tried"
    wait_until_settled(prod)
    copies = [NodePoints(url, prod.outputs["qdrantApiKey"]) for url in peers(prod)]
    ledger = [Entry(id=point) for point in seen.acknowledged]
    assert check_ledger(copies, prod.outputs["collection"], ledger) == []


def test_a_question_is_answered_through_the_gateway(prod: LiveStack) -> None:
    text = "A pod disruption budget says how many replicas may be away at once."
    prod.ingest().index([Document(source="test", title="budgets", text=text)])
    [first, *_] = gateway.search(prod.outputs["gatewayUrl"], prod.token(), "how many replicas may be away?")
    assert "disruption budget" in str(first)


def test_a_second_up_changes_nothing(prod: LiveStack) -> None:
    progress, _ = prod.up()
    assert progress.changes == []


def test_replicas_stand_on_machines_of_their_own(prod: LiveStack, nodes: Nodes) -> None:
    for name, count in (("qdrant", 3), ("haproxy", 2), ("kong", 2)):
        assert len({one.spec.node_name for one in nodes.pods(name)}) == count, name


def test_only_who_is_wired_reaches_a_service(prod: LiveStack, nodes: Nodes) -> None:
    """The same pod, before and after the wire is laid: it is the policy that lets it through, and that kept it out."""
    ask = (
        "import socket, sys, time\n"
        "while True:\n"
        "    for at in (('haproxy', 6333), ('qdrant-0.qdrant-replicas', 6335)):\n"
        "        try: socket.create_connection(at, timeout=2).close(); said = 'open'\n"
        "        except socket.gaierror: said = 'unknown'\n"
        "        except OSError: said = 'closed'\n"
        "        print(at[1], said, flush=True)\n"
        "    time.sleep(0.2)\n"
    )
    nodes.core.create_namespaced_pod(SPACE, pod("stranger", prod.files.settings().image.rag, ["python", "-c", ask], {}))

    def said() -> set[str]:
        try:
            return set(nodes.core.read_namespaced_pod_log("stranger", SPACE, tail_lines=2).splitlines())
        except ApiException:
            return set()

    try:
        until("both ports to be closed to a stranger", lambda: said() == {"6333 closed", "6335 closed"}, 60)
        allow(nodes, "stranger", "haproxy", 6333)
        until("the wired port to open, and the other not", lambda: said() == {"6333 open", "6335 closed"}, 60)
    finally:
        remove(nodes, "stranger")


def test_a_deleted_pod_comes_back_and_nobody_notices(prod: LiveStack, nodes: Nodes) -> None:
    with prober(prod, nodes) as seen:
        before = nodes.core.read_namespaced_pod("qdrant-1", SPACE).metadata.uid
        nodes.core.delete_namespaced_pod("qdrant-1", SPACE)
        until("another pod", lambda: before not in {one.metadata.uid for one in nodes.pods("qdrant")})
        until("three ready nodes", lambda: nodes.ready("qdrant", 3))
        wait_until_settled(prod)
    assert seen.record["failed"] == []
    nothing_lost(prod, seen)


def test_a_changed_setting_rolls_and_nobody_notices(prod: LiveStack, nodes: Nodes) -> None:
    pods = {one.metadata.name: one.metadata.uid for one in nodes.pods("qdrant")}
    with prober(prod, nodes) as seen:
        prod.up(qdrantLogLevel="WARN")
    after = {one.metadata.name: one.metadata.uid for one in nodes.pods("qdrant")}
    assert pods.keys() == after.keys()
    assert not set(pods.values()) & set(after.values())
    assert seen.record["failed"] == []
    nothing_lost(prod, seen)


def test_a_drained_machine_is_left_by_all_and_nobody_notices(prod: LiveStack, nodes: Nodes) -> None:
    node, elsewhere = nodes.node_of("qdrant-2"), nodes.node_of("qdrant-0")
    with prober(prod, nodes, node=elsewhere) as seen:
        try:
            nodes.drain(node)
            until("the gateway elsewhere", lambda: nodes.ready("kong", 2) and nodes.ready("haproxy", 2))
        finally:
            nodes.uncordon(node)
        until("three ready nodes", lambda: nodes.ready("qdrant", 3))
        wait_until_settled(prod)
    assert seen.record["failed"] == []
    nothing_lost(prod, seen)


@pytest.mark.usefixtures("ours")
def test_a_machine_without_power_costs_seconds_and_no_point(prod: LiveStack, nodes: Nodes) -> None:
    node, elsewhere = nodes.node_of("qdrant-1"), nodes.node_of("qdrant-0")
    with prober(prod, nodes, node=elsewhere) as seen:
        befall("off", node)
        off = time.time()
        try:
            until("the cluster to notice", lambda: not nodes.well(node), 30)
            until("what has no disk to run elsewhere", lambda: nodes.ready("kong", 2) and nodes.ready("haproxy", 2))
            seen.settle_in()
        finally:
            befall("on", node)
        until("three ready nodes", lambda: nodes.well(node) and nodes.ready("qdrant", 3))
        wait_until_settled(prod)
    late = [call for call in seen.record["failed"] if call[0] > off + NOTICED_SECONDS]
    assert late == [], seen.record["failed"]
    nothing_lost(prod, seen)


def test_down_keeps_the_disks_and_up_finds_the_points_again(prod: LiveStack, nodes: Nodes) -> None:
    with prober(prod, nodes) as seen:
        pass
    kept = prod.down(purge=False)
    claims = {claim.metadata.name for claim in nodes.core.list_namespaced_persistent_volume_claim(SPACE).items}
    assert {f"data-qdrant-{ordinal}" for ordinal in range(3)} <= claims & set(kept)
    assert nodes.pods() == []
    prod.up()
    nothing_lost(prod, seen)


def test_a_purge_leaves_nothing(prod: LiveStack, nodes: Nodes) -> None:
    assert prod.down(purge=True) == []
    assert SPACE not in {space.metadata.name for space in nodes.core.list_namespace().items}
    mine = f"app.kubernetes.io/part-of={SPACE}"
    assert nodes.core.list_persistent_volume_claim_for_all_namespaces(label_selector=mine).items == []
    until("their volumes to go", lambda: not _volumes(nodes))


def _volumes(nodes: Nodes) -> list[str]:
    volumes = nodes.core.list_persistent_volume().items
    return [one.metadata.name for one in volumes if one.spec.claim_ref and one.spec.claim_ref.namespace == SPACE]

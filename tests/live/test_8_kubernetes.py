"""The prod stack on a real Kubernetes: what its users and its operator notice when machines and pods go away."""

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from kubernetes.client import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from access.kubernetes.kube import NoCluster
from access.polling import poll, require
from ops import gateway
from ops.balancer import balancers_of
from ops.corpus import Document
from ops.daytwo import steps
from ops.daytwo.node_disk import disk_of
from ops.daytwo.running import Running
from ops.daytwo.scale import Scaling
from ops.parts import load_parts
from ops.stack import open_stack, outputs, use_parts
from proof.experiments.experiment import named
from proof.experiments.pod_changes import POD_CHANGES
from proof.experiments.pod_scenarios import POD_SCENARIOS
from proof.experiments.runner import Runner
from proof.report.judge import Verdict
from proof.report.report import Section
from proof.targets.kubernetes_target import KubernetesTarget, described
from proof.targets.namespace import Namespace, lone_pod
from proof.traffic.endpoints import Pace
from proof.traffic.traffic_pod import NAME as TRAFFIC
from slo.promises import Promises
from tests.live.cluster import Seen, befall, clients, wait_until_settled
from tests.live.conftest import SLOT

pytestmark = pytest.mark.live
SPACE = f"rag-k8s-test{SLOT or ''}"
PACE = Pace(read=15, search=4, ask=1, write=3, connections=10, baseline_seconds=6)
NOTICED_SECONDS = 30  # a machine that is off: the cluster knows after a few seconds, a hanging call gives up later


@pytest.fixture(scope="module")
def space() -> Namespace:
    """A namespace of the cluster at hand, of three machines or more; without one there is nothing to test here."""
    use_parts(load_parts())
    try:
        found = Namespace(SPACE)
        machines = len(found.core.list_node().items)
    except (NoCluster, ConfigException, ApiException, HTTPError) as error:
        pytest.skip(f"no Kubernetes: {error}; make k8s-up")
    assert machines >= 3, f"three machines were expected, found {machines}"
    return found


@pytest.fixture(scope="module")
def prod(space: Namespace) -> Iterator[KubernetesTarget]:
    """The prod stack, smaller and under a name of its own; gone after the last test."""
    live = described("k8s-test", space.name)
    live.stack.down(purge=True)  # whatever an earlier run left
    live.stack.up()
    yield live
    live.stack.down(purge=True)


@pytest.fixture
def ours() -> None:
    """For what only the sandbox's own machines can be made to suffer."""
    if "rag-platform-sandbox" not in os.environ.get("KUBECONFIG", ""):
        pytest.skip("this cluster's machines are not the sandbox's to switch off")


def nothing_lost(prod: KubernetesTarget, seen: Seen) -> None:
    wait_until_settled(prod)
    assert seen.lost(prod) == set()


def test_a_question_is_answered_through_the_gateway(prod: KubernetesTarget) -> None:
    text = "A pod disruption budget says how many replicas may be away at once."
    prod.stack.ingest().index([Document(source="test", title="budgets", text=text)])
    [first, *_] = gateway.search(prod.stack.outputs["gatewayUrl"], prod.stack.token(), "how many replicas may be away?")
    assert "disruption budget" in str(first)


def test_a_second_up_changes_nothing(prod: KubernetesTarget) -> None:
    progress, _ = prod.stack.up()
    assert progress.changes == []


def test_replicas_stand_on_machines_of_their_own(prod: KubernetesTarget, space: Namespace) -> None:
    for name, count in (("qdrant", 3), ("haproxy", 2), ("kong", 2)):
        assert len({one.spec.node_name for one in space.pods(name)}) == count, name


def test_only_who_is_wired_reaches_a_service(prod: KubernetesTarget, space: Namespace) -> None:
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
    space.core.create_namespaced_pod(SPACE, lone_pod("stranger", prod.client_image, ["python", "-c", ask]))

    def said() -> set[str]:
        try:
            return set(space.core.read_namespaced_pod_log("stranger", SPACE, tail_lines=2).splitlines())
        except ApiException:
            return set()

    try:
        until("both ports to be closed to a stranger", lambda: said() == {"6333 closed", "6335 closed"}, 60)
        space.allow("stranger", "haproxy", 6333)
        until("the wired port to open, and the other not", lambda: said() == {"6333 open", "6335 closed"}, 60)
    finally:
        space.remove("stranger")


def test_a_deleted_pod_comes_back_and_nobody_notices(prod: KubernetesTarget, space: Namespace) -> None:
    with clients(prod) as seen:
        before = space.core.read_namespaced_pod("qdrant-1", SPACE).metadata.uid
        space.core.delete_namespaced_pod("qdrant-1", SPACE)
        until("another pod", lambda: before not in {one.metadata.uid for one in space.pods("qdrant")})
        until("three ready nodes", lambda: space.ready("qdrant", 3))
        wait_until_settled(prod)
    assert seen.failed == []
    nothing_lost(prod, seen)


def test_a_changed_setting_rolls_and_nobody_notices(prod: KubernetesTarget, tmp_path: Path) -> None:
    """A change of `make roll STACK=prod`, judged as there but for latency, which a busy machine decides."""
    rolling = Runner(prod, PACE, Promises.read(), tmp_path, print)
    for section in rolling.run(named(POD_CHANGES, "qdrant-setting")):
        assert broken(section) == []


def test_a_drained_machine_is_left_by_all_and_nobody_notices(prod: KubernetesTarget, space: Namespace) -> None:
    machine, elsewhere = space.machine_of("qdrant-2"), space.machine_of("qdrant-0")
    with clients(prod, elsewhere) as seen:
        try:
            space.drain(machine, but=TRAFFIC)
            until("the gateway elsewhere", lambda: space.ready("kong", 2) and space.ready("haproxy", 2))
        finally:
            space.uncordon(machine)
        until("three ready nodes", lambda: space.ready("qdrant", 3))
        wait_until_settled(prod)
    assert seen.failed == []
    nothing_lost(prod, seen)


def test_the_same_harness_that_breaks_docker_breaks_kubernetes(prod: KubernetesTarget, tmp_path: Path) -> None:
    """Some faults of `make chaos STACK=prod`, judged as there but for latency."""
    chaos = Runner(prod, PACE, Promises.read(), tmp_path, print)
    for section in chaos.run(named(POD_SCENARIOS, "kill-leader", "delete-haproxy", "wipe-node-0")):
        assert broken(section) == []


def test_a_claim_that_was_made_again_is_one_of_the_stack(prod: KubernetesTarget, space: Namespace) -> None:
    """Node 0 has lost its own above; the one that its StatefulSet made is found, and kept, as the others are."""
    labels = [space.claim(f"data-qdrant-{ordinal}").metadata.labels for ordinal in range(3)]
    assert labels[0] == labels[1] == labels[2]
    progress, _ = prod.stack.up()
    assert progress.changes == []


def until(expected: str, condition: Callable[[], bool], timeout_seconds: float = 180) -> None:
    poll(lambda: require(condition(), "that it does not hold"), timeout_seconds, expected=expected)


def broken(section: Section) -> list[Verdict]:
    """What was not kept, but for latency."""
    not_kept = [verdict for verdict in section.verdicts if not verdict.kept]
    return [each for each in not_kept if "p99" not in each.promise and each.promise != "worst read"]


@pytest.mark.usefixtures("ours")
def test_a_machine_without_power_costs_seconds_and_no_point(prod: KubernetesTarget, space: Namespace) -> None:
    machine, elsewhere = space.machine_of("qdrant-1"), space.machine_of("qdrant-0")
    with clients(prod, elsewhere) as seen:
        befall("off", machine)
        off = time.monotonic()
        try:
            until("the cluster to notice", lambda: not space.machine_ready(machine), 30)
            until("what has no disk to run elsewhere", lambda: space.ready("kong", 2) and space.ready("haproxy", 2))
            seen.settle_in()
        finally:
            befall("on", machine)
        until("three ready nodes", lambda: space.machine_ready(machine) and space.ready("qdrant", 3))
        wait_until_settled(prod)
    late = [call for call in seen.failed if call.began > off + NOTICED_SECONDS]
    assert late == [], seen.failed
    nothing_lost(prod, seen)


def scale(prod: KubernetesTarget, nodes: int) -> None:
    """As `make scale`."""
    prod.stack.files = prod.stack.files.with_config(qdrantNodes=str(nodes))
    found = outputs(open_stack(prod.stack.files))
    scaling = Scaling(
        files=prod.stack.files,
        running=Running.of(found),
        balancers=balancers_of(found),
        disks=partial(disk_of, prod.stack.files.settings()),
        nodes=nodes,
        console=prod.stack.console,
    )
    steps.take(scaling.steps(), prod.stack.console)
    prod.stack.__dict__.pop("outputs", None)


def test_nodes_come_and_go_with_their_disks_and_nobody_notices(prod: KubernetesTarget, space: Namespace) -> None:
    prod.stack.up(
        kubernetesSpread="soft"
    )  # on three machines five nodes share some; those that run would not let them near
    with clients(prod) as seen:
        for nodes in (5, 3):
            scale(prod, nodes)
            assert disks(space) == {f"data-qdrant-{ordinal}" for ordinal in range(nodes)}
            assert len(Running.of(prod.stack.outputs).views()[0].cluster["peers"]) == nodes  # type: ignore[index]
    assert seen.failed == []
    nothing_lost(prod, seen)


def disks(space: Namespace) -> set[str]:
    claims = space.core.list_namespaced_persistent_volume_claim(SPACE).items
    return {claim.metadata.name for claim in claims if claim.metadata.name.startswith("data-qdrant-")}


def test_down_keeps_the_disks_and_up_finds_the_points_again(prod: KubernetesTarget, space: Namespace) -> None:
    with clients(prod) as seen:
        pass
    kept = prod.stack.down(purge=False)
    assert {f"data-qdrant-{ordinal}" for ordinal in range(3)} <= disks(space) & set(kept)
    assert space.pods() == []
    prod.stack.up()
    nothing_lost(prod, seen)


def test_a_purge_leaves_nothing(prod: KubernetesTarget, space: Namespace) -> None:
    assert prod.stack.down(purge=True) == []
    assert SPACE not in {space.metadata.name for space in space.core.list_namespace().items}
    mine = f"app.kubernetes.io/part-of={SPACE}"
    assert space.core.list_persistent_volume_claim_for_all_namespaces(label_selector=mine).items == []
    until("their volumes to go", lambda: not _volumes(space))


def _volumes(space: Namespace) -> list[str]:
    volumes = space.core.list_persistent_volume().items
    return [one.metadata.name for one in volumes if one.spec.claim_ref and one.spec.claim_ref.namespace == SPACE]

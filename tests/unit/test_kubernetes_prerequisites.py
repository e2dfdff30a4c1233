"""What a cluster lacks is reported before anything is created, all at once, each with what to do."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli import confirm
from ops.cluster_inspection import RIGHTS, ClusterInspection, accepts_pods, rights
from ops.kubernetes_prerequisites import KubernetesPrerequisites, shortcomings
from ops.parts import Parts
from ops.stack import OperatorError
from settings import Settings

OPERATOR = {"kubernetesMonitoringOperator": True, "kubernetesMonitoringNamespace": "monitoring"}
GOOD = ClusterInspection(
    namespace_exists=True,
    machines=3,
    zones=3,
    storage_classes={"fast": "ebs.csi.aws.com", "shared": "nfs.csi.k8s.io"},
    default_storage_class="fast",
)


def prod(**overrides: object) -> Settings:
    return Settings.from_file(Path("Pulumi.prod.yaml"), overrides)


def test_a_cluster_that_has_everything_lacks_nothing() -> None:
    assert shortcomings(prod(), GOOD) == []


@pytest.mark.parametrize(
    ("overrides", "cluster", "message"),
    [
        (
            {},
            replace(GOOD, forbidden=("create secrets in namespace rag-prod", "delete pods")),
            "secrets in namespace rag-prod; ",
        ),
        ({"kubernetesCreateNamespace": False}, replace(GOOD, namespace_exists=False), "its namespace: none exists"),
        ({"kubernetesStorageClass": "slow"}, GOOD, "storage class slow: found fast, shared"),
        ({"kubernetesWorkClass": "slow"}, GOOD, "one of these in rag-platform:kubernetesWorkClass"),
        ({}, replace(GOOD, default_storage_class=""), "a default storage class: found fast, shared"),
        ({"kubernetesStorageClass": "shared"}, GOOD, "a shared file system"),
        (
            {},
            replace(GOOD, immediate_classes=frozenset({"fast"}), zones=3),
            "fast creates the disk for snapshots at once",
        ),
        (
            {},
            replace(GOOD, machines=2),
            "expected 3 that accept pods, so that no two nodes of Qdrant share one, found 2",
        ),
        ({"qdrantNodes": 5}, GOOD, "expected 5 that accept pods"),
        ({}, replace(GOOD, zones=0), "machines with the label topology.kubernetes.io/zone"),
        ({}, replace(GOOD, retaining_classes=frozenset({"fast"})), "fast retains the disk for snapshots"),
        ({}, replace(GOOD, missing_secrets={"kubernetesPullSecret": "pull"}), "Secret pull"),
        (OPERATOR, GOOD, "the kinds ServiceMonitor and PrometheusRule"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(
    overrides: dict[str, object], cluster: ClusterInspection, message: str
) -> None:
    [found] = shortcomings(prod(**overrides), cluster)
    assert message in found


def test_a_cluster_with_the_operator_has_its_kinds() -> None:
    assert shortcomings(prod(**OPERATOR), replace(GOOD, has_monitoring=True)) == []


def test_rights_are_checked_for_what_this_stack_creates_and_reads_and_for_nothing_else() -> None:
    assert rights(prod()) == RIGHTS
    assert ("create", "monitoring.coreos.com", "servicemonitors") in rights(prod(**OPERATOR))
    assert ("get", "", "secrets") in rights(prod(kubernetesSecretName="ours"))
    assert ("get", "", "secrets") in rights(prod(kubernetesEdge="loadbalancer", kubernetesEdgeTlsSecret="rag-tls"))


def test_fewer_machines_are_enough_where_nodes_may_share_one() -> None:
    assert shortcomings(prod(kubernetesSpread="soft"), replace(GOOD, machines=1)) == []


def test_zones_that_do_not_count_and_a_class_of_its_own_for_what_goes_are_good_enough() -> None:
    for overrides in ({"kubernetesZoneKey": ""}, {"kubernetesSpread": "soft"}):
        assert shortcomings(prod(**overrides), replace(GOOD, zones=0)) == []
    retaining = replace(GOOD, retaining_classes=frozenset({"fast"}), storage_classes={"fast": "ebs", "gone": "ebs"})
    assert shortcomings(prod(kubernetesWorkClass="gone"), retaining) == []


def test_a_class_that_binds_at_once_is_good_enough_in_one_zone() -> None:
    assert shortcomings(prod(), replace(GOOD, immediate_classes=frozenset({"fast"}), zones=1)) == []


def test_what_a_user_may_not_read_is_not_reported_as_missing() -> None:
    assert shortcomings(prod(), replace(GOOD, machines=None, storage_classes=None)) == []


def test_a_missing_kubeconfig_is_reported_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(OperatorError, match=r"expected a kubeconfig with a current context, found none.*KUBECONFIG"):
        KubernetesPrerequisites(prod()).check()


def test_a_cluster_that_does_not_answer_is_reported_in_a_sentence(kubeconfig: Path) -> None:
    with pytest.raises(OperatorError, match=r"expected a cluster that answers at https://127\.0\.0\.1:1, found"):
        KubernetesPrerequisites(prod()).check()


@pytest.fixture
def kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """One whose cluster is nowhere."""
    return _kubeconfig(monkeypatch, tmp_path, "https://127.0.0.1:1")


def _kubeconfig(monkeypatch: pytest.MonkeyPatch, folder: Path, server: str) -> Path:
    path = folder / "config"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
        f"clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n"
        "users: [{name: u, user: {token: t}}]\ncontexts: [{name: here, context: {cluster: c, user: u}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def node(**changes: Any) -> Any:
    ready = [SimpleNamespace(type="Ready", status=changes.get("ready", "True"))]
    taints = [SimpleNamespace(effect=effect) for effect in changes.get("taints", [])]
    spec = SimpleNamespace(unschedulable=changes.get("cordoned"), taints=taints)
    return SimpleNamespace(status=SimpleNamespace(conditions=ready), spec=spec)


def test_only_a_machine_that_accepts_pods_counts() -> None:
    assert accepts_pods(node())
    assert accepts_pods(node(taints=["PreferNoSchedule"]))
    for barred in (node(ready="False"), node(cordoned=True), node(taints=["NoSchedule"])):
        assert not accepts_pods(barred)


@pytest.mark.parametrize("server", ["https://127.0.0.1:6443", "https://[::1]:6443", "https://localhost:6443"])
def test_a_cluster_of_this_machine_needs_no_confirmation(
    server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _kubeconfig(monkeypatch, tmp_path, server)
    confirm.ask(prod(), Parts(), "Bring the stack up in", agreed=False)


@pytest.mark.parametrize("server", ["https://10.0.0.1:6443", "https://api.example.com"])
def test_a_cluster_elsewhere_needs_a_confirmation(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = _kubeconfig(monkeypatch, tmp_path, server)
    with pytest.raises(OperatorError, match=f"namespace rag-prod of the cluster at {server}"):
        confirm.ask(prod(), Parts(), "Bring the stack up in", agreed=False)
    confirm.ask(prod(), Parts(), "Bring the stack up in", agreed=True)
    confirm.ask(prod(), Parts(env={"KUBECONFIG": str(path)}), "Bring the stack up in", agreed=False)

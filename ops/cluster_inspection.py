"""What a cluster reports to this user: rights, machines, storage."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kubernetes import client
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from access.kubernetes import kube
from platforms.kubernetes.cluster import Cluster
from settings import Settings

TIMEOUT_SECONDS = 10
# (verb, API group, plural): what the stack creates, and how its providers reach into the cluster.
RIGHTS = (
    *(("create", "", kind) for kind in ("services", "secrets", "configmaps", "serviceaccounts")),
    *(("create", "", kind) for kind in ("persistentvolumeclaims", "pods/portforward")),
    *(("create", "apps", kind) for kind in ("statefulsets", "deployments")),
    *(("create", "batch", "jobs"), ("create", "networking.k8s.io", "networkpolicies")),
    *(("create", "policy", "poddisruptionbudgets"), ("list", "", "pods"), ("delete", "", "pods")),
)
OPERATOR = "monitoring.coreos.com"


@dataclass(frozen=True, kw_only=True)
class ClusterInspection:
    """What the cluster reported at one moment; None where this user may not read it."""

    user: str = "this user"
    forbidden: tuple[str, ...] = ()
    namespace_exists: bool = False
    machines: int | None = None
    storage_classes: dict[str, str] | None = None  # class -> its provisioner
    default_storage_class: str = ""
    immediate_classes: frozenset[str] = frozenset()  # whose volumes are bound before their pod is scheduled
    retaining_classes: frozenset[str] = frozenset()  # whose volumes stay when their claim is deleted
    zones: int = 0
    missing_secrets: dict[str, str] = field(default_factory=dict)  # key of the stack file -> name
    has_monitoring: bool = False  # whether the Prometheus operator's kinds exist


def inspect(settings: Settings) -> ClusterInspection:
    """Read the cluster; NoCluster when there is none, or it does not answer in time."""
    spec = settings.kubernetes
    namespace = Cluster(prefix=settings.stack.name_prefix, settings=spec).namespace
    api = kube.api_client(spec.context)
    server = api.configuration.host
    try:
        client.VersionApi(api).get_code(_request_timeout=TIMEOUT_SECONDS)
    except (HTTPError, ApiException, OSError) as error:
        raise kube.NoCluster(
            f"expected a cluster that answers at {server}, found {type(error).__name__}; see that it runs and that the "
            "kubeconfig's credentials are valid (kubectl version), then run the same command again"
        ) from error
    core = client.CoreV1Api(api)
    exists = read_or_none(lambda: core.read_namespace(namespace)) is not None
    classes = read_or_none(lambda: client.StorageV1Api(api).list_storage_class().items)
    nodes = read_or_none(lambda: core.list_node().items)
    monitoring = read_or_none(lambda: client.CustomObjectsApi(api).get_api_resources(OPERATOR, "v1"))
    return ClusterInspection(
        forbidden=tuple(forbidden(client.AuthorizationV1Api(api), namespace, settings, namespace_exists=exists)),
        namespace_exists=exists,
        machines=None if nodes is None else sum(accepts_pods(node) for node in nodes),
        storage_classes=None if classes is None else {each.metadata.name: each.provisioner for each in classes},
        default_storage_class=next((each.metadata.name for each in classes or [] if _is_default(each)), ""),
        immediate_classes=frozenset(
            each.metadata.name for each in classes or [] if each.volume_binding_mode == "Immediate"
        ),
        retaining_classes=frozenset(each.metadata.name for each in classes or [] if each.reclaim_policy == "Retain"),
        zones=len({(node.metadata.labels or {}).get(spec.zone_key) for node in nodes or []} - {None}),
        missing_secrets=missing_secrets(core, namespace, settings),
        has_monitoring=monitoring is not None,
    )


def rights(settings: Settings) -> tuple[tuple[str, str, str], ...]:
    """What must be allowed in the namespace for this stack."""
    spec = settings.kubernetes
    monitoring = [("create", OPERATOR, kind) for kind in ("servicemonitors", "prometheusrules")]
    return (
        *RIGHTS,
        *(monitoring if spec.monitoring_operator else ()),
        *([("get", "", "secrets")] if spec.secret_name or spec.edge == "loadbalancer" else ()),
    )


def read_or_none(read: Callable[[], Any]) -> Any:
    """The result; None when there is no such object, or this user may not read it."""
    try:
        return read()
    except ApiException as error:
        if error.status in (403, 404):
            return None
        raise


def forbidden(reviews: Any, namespace: str, settings: Settings, *, namespace_exists: bool) -> Iterator[str]:
    """The rights that this user lacks, in words."""
    refused: dict[str, list[str]] = {}
    for verb, group, kind in rights(settings):
        if not _may(reviews, verb, group, kind, namespace):
            refused.setdefault(verb, []).append(kind)
    for verb, kinds in refused.items():
        yield f"{verb} {', '.join(kinds)} in namespace {namespace}"
    spec = settings.kubernetes
    if spec.create_namespace and not namespace_exists and not _may(reviews, "create", "", "namespaces"):
        yield f"create namespace {namespace}"
    if spec.priority_classes and not _may(reviews, "create", "scheduling.k8s.io", "priorityclasses"):
        yield "create priority classes"


def _may(reviews: Any, verb: str, group: str, kind: str, namespace: str = "") -> bool:
    resource, _, sub = kind.partition("/")
    attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace, "subresource": sub}
    review = reviews.create_self_subject_access_review({"spec": {"resourceAttributes": attributes}})
    return bool(review.status.allowed)


def missing_secrets(core: Any, namespace: str, settings: Settings) -> dict[str, str]:
    """Secrets that the stack file names and the namespace lacks; cert-manager creates its certificate later."""
    spec = settings.kubernetes
    named = {"kubernetesPullSecret": spec.pull_secret, "kubernetesSecretName": spec.secret_name}
    if not spec.edge_tls_issuer:
        named["kubernetesEdgeTlsSecret"] = spec.edge_tls_secret
    return {
        key: name
        for key, name in named.items()
        if name and read_or_none(partial(core.read_namespaced_secret, name, namespace)) is None
    }


def accepts_pods(node: Any) -> bool:
    """Ready, not cordoned, and without a taint that ordinary pods do not tolerate."""
    ready = any(each.type == "Ready" and each.status == "True" for each in node.status.conditions or [])
    tainted = any(taint.effect in ("NoSchedule", "NoExecute") for taint in node.spec.taints or [])
    return ready and not node.spec.unschedulable and not tainted


def _is_default(storage_class: Any) -> bool:
    annotations = storage_class.metadata.annotations or {}
    return bool(annotations.get("storageclass.kubernetes.io/is-default-class") == "true")

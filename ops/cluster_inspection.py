"""What a cluster says of itself to who asks: rights, machines, storage."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from access.kubernetes import kube
from platforms.kubernetes.cluster import Cluster
from settings import Settings

TIMEOUT_SECONDS = 10
# (verb, API group, plural): what the stack is made of, and how its providers reach into it.
RIGHTS = (
    *(("create", "", kind) for kind in ("services", "secrets", "configmaps", "serviceaccounts")),
    *(("create", "", kind) for kind in ("persistentvolumeclaims", "pods/portforward")),
    *(("create", "apps", kind) for kind in ("statefulsets", "deployments")),
    *(("create", "batch", "jobs"), ("create", "networking.k8s.io", "networkpolicies")),
    *(("create", "policy", "poddisruptionbudgets"), ("list", "", "pods"), ("delete", "", "pods")),
)
OPERATOR = "monitoring.coreos.com"


@dataclass(frozen=True, kw_only=True)
class ClusterLook:
    """Answers of one moment; None where this user may not ask."""

    user: str = "this user"
    forbidden: tuple[str, ...] = ()
    namespace_exists: bool = False
    machines: int | None = None
    storage_classes: dict[str, str] | None = None  # class -> who makes its volumes
    default_storage_class: str = ""
    hasty_classes: frozenset[str] = frozenset()  # which choose where a disk is before they know of its pod
    zones: int = 0
    missing_secrets: dict[str, str] = field(default_factory=dict)  # key of the stack file -> name
    has_monitoring: bool = False  # whether the kinds of the Prometheus operator are there


def look_at(settings: Settings) -> ClusterLook:
    """Ask the cluster; NoCluster when there is none, or it does not answer in time."""
    wanted = settings.kubernetes
    cluster = Cluster(prefix=settings.stack.name_prefix, settings=wanted)
    api = kube.api_client(wanted.context)
    server = api.configuration.host
    try:
        version = client.VersionApi(api).get_code(_request_timeout=TIMEOUT_SECONDS)
    except (HTTPError, ApiException, OSError) as error:
        raise kube.NoCluster(
            f"expected a cluster that answers at {server}, found {type(error).__name__}; see that it runs and that the "
            "kubeconfig's credentials are valid (kubectl version), then run the same command again"
        ) from error
    assert version
    core, asked = client.CoreV1Api(api), Asked(api)
    exists = asked.or_none(lambda: core.read_namespace(cluster.namespace)) is not None
    classes = asked.or_none(lambda: client.StorageV1Api(api).list_storage_class().items)
    nodes = asked.or_none(lambda: core.list_node().items)
    return ClusterLook(
        forbidden=tuple(asked.forbidden(cluster.namespace, settings, namespace_exists=exists)),
        namespace_exists=exists,
        machines=None if nodes is None else sum(takes_pods(node) for node in nodes),
        storage_classes=None if classes is None else {each.metadata.name: each.provisioner for each in classes},
        default_storage_class=next((each.metadata.name for each in classes or [] if _is_default(each)), ""),
        hasty_classes=frozenset(
            each.metadata.name for each in classes or [] if each.volume_binding_mode == "Immediate"
        ),
        zones=len({(node.metadata.labels or {}).get(wanted.zone_key) for node in nodes or []} - {None}),
        missing_secrets=asked.missing_secrets(core, cluster.namespace, settings),
        has_monitoring=asked.or_none(lambda: client.CustomObjectsApi(api).get_api_resources(OPERATOR, "v1"))
        is not None,
    )


def rights(settings: Settings) -> tuple[tuple[str, str, str], ...]:
    """What must be allowed in the namespace for this stack."""
    wanted = settings.kubernetes
    monitoring = [("create", OPERATOR, kind) for kind in ("servicemonitors", "prometheusrules")]
    return (
        *RIGHTS,
        *(monitoring if wanted.monitoring_operator else ()),
        *([("get", "", "secrets")] if wanted.secret_name else ()),
    )


class Asked:
    """Questions that a user may not be allowed to ask."""

    def __init__(self, api: Any) -> None:
        self._reviews: Any = client.AuthorizationV1Api(api)

    def or_none(self, ask: Any) -> Any:
        """The answer; None when there is no such thing, or it is not for this user."""
        try:
            return ask()
        except ApiException as error:
            if error.status in (403, 404):
                return None
            raise

    def forbidden(self, namespace: str, settings: Settings, *, namespace_exists: bool) -> Iterator[str]:
        """What this user may not do of all that must be done, in words."""
        refused: dict[str, list[str]] = {}
        for verb, group, kind in rights(settings):
            if not self._may(verb, group, kind, namespace):
                refused.setdefault(verb, []).append(kind)
        for verb, kinds in refused.items():
            yield f"{verb} {', '.join(kinds)} in namespace {namespace}"
        if settings.kubernetes.create_namespace and not namespace_exists and not self._may("create", "", "namespaces"):
            yield f"create namespace {namespace}"
        ranks = settings.kubernetes.priority_classes
        if ranks and not self._may("create", "scheduling.k8s.io", "priorityclasses"):
            yield "create priority classes"

    def _may(self, verb: str, group: str, kind: str, namespace: str = "") -> bool:
        resource, _, sub = kind.partition("/")
        attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace, "subresource": sub}
        review = self._reviews.create_self_subject_access_review({"spec": {"resourceAttributes": attributes}})
        return bool(review.status.allowed)

    def missing_secrets(self, core: Any, namespace: str, settings: Settings) -> dict[str, str]:
        """Secrets that the stack file only names. A certificate that cert-manager makes comes later."""
        wanted = settings.kubernetes
        named = {"kubernetesPullSecret": wanted.pull_secret, "kubernetesSecretName": wanted.secret_name}
        if not wanted.edge_tls_issuer:
            named["kubernetesEdgeTlsSecret"] = wanted.edge_tls_secret
        return {
            key: name
            for key, name in named.items()
            if name and self.or_none(lambda name=name: core.read_namespaced_secret(name, namespace)) is None
        }


def takes_pods(node: Any) -> bool:
    """Ready, not cordoned, and without a taint that ordinary pods do not bear."""
    ready = any(each.type == "Ready" and each.status == "True" for each in node.status.conditions or [])
    barred = any(taint.effect in ("NoSchedule", "NoExecute") for taint in node.spec.taints or [])
    return ready and not node.spec.unschedulable and not barred


def _is_default(storage_class: Any) -> bool:
    marked = (storage_class.metadata.annotations or {}).get("storageclass.kubernetes.io/is-default-class")
    return bool(marked == "true")

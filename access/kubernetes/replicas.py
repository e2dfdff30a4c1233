"""From one address that stands for all replicas of a workload to the address of each."""

from urllib.parse import unquote, urlsplit

SCHEME = "kube"
WORKLOAD = "app.kubernetes.io/name"


def every(url: str) -> list[str]:
    """Each running replica behind `kube://context/namespace/workload:port`; any other address is one replica's own."""
    parts = urlsplit(url)
    if parts.scheme != SCHEME:
        return [url]
    namespace, _, name = parts.path.strip("/").partition("/")
    workload, _, port = name.partition(":")
    names = running_pods(unquote(parts.netloc), namespace, workload)
    return [f"{SCHEME}://{parts.netloc}/{namespace}/{pod}:{port}" for pod in names]


def running_pods(context: str, namespace: str, workload: str) -> list[str]:
    """The names of the workload's running pods, sorted; none when there is no such workload yet."""
    from access.kubernetes import kube

    found = kube.core(context).list_namespaced_pod(namespace, label_selector=f"{WORKLOAD}={workload}").items
    return sorted(pod.metadata.name for pod in found if pod.status.phase == "Running" and not _is_deleted(pod))


def _is_deleted(pod: object) -> bool:
    return bool(pod.metadata.deletion_timestamp)  # type: ignore[attr-defined]

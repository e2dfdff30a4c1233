"""The cluster's API by the name of a kubeconfig's context."""

import os
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

from kubernetes import client, config
from kubernetes.client import ApiException
from kubernetes.config import ConfigException

T = TypeVar("T")


class NoCluster(Exception):
    """No kubeconfig, no such context, or no API server that answers."""


def api_client(context: str) -> Any:
    """A client for the context, or for the current one when it is empty; NoCluster when there is none."""
    try:
        # Given by name, because the library reads the environment only once, on import.
        file = os.environ.get("KUBECONFIG") or None
        found = config.new_client_from_config(config_file=file, context=context or None)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError, TypeError) as error:
        wanted = f"context {context}" if context else "a current context"
        raise NoCluster(
            f"expected a kubeconfig with {wanted}, found none ({error}); set KUBECONFIG, or "
            "rag-platform:kubernetesContext"
        ) from error
    return _without_proxy(found) if is_this_machine(found.configuration.host) else found


def _without_proxy(found: Any) -> Any:
    """The same client, by no proxy of the environment: the library would take one for a cluster of this machine too.

    Named as an exception and not as no proxy at all, for which a websocket (exec, port forwarding) looks once more.
    """
    configuration = found.configuration
    exceptions = [configuration.no_proxy, urlsplit(configuration.host).hostname]
    configuration.no_proxy = ",".join(filter(None, exceptions))
    return client.ApiClient(configuration)


def is_this_machine(server: str) -> bool:
    """Whether the URL's host is this machine."""
    host = urlsplit(server).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "kubernetes.docker.internal", "host.docker.internal")


def core(context: str) -> Any:
    """Pods, claims, events."""
    return client.CoreV1Api(api_client(context))


def apps(context: str) -> Any:
    """StatefulSets."""
    return client.AppsV1Api(api_client(context))


def batch(context: str) -> Any:
    """Jobs."""
    return client.BatchV1Api(api_client(context))


def plain(api: Any, found: Any) -> Any:
    """What an API of the client returned, as the cluster spells it: dicts and lists."""
    return api.api_client.sanitize_for_serialization(found)


def pod(core: Any, name: str, namespace: str) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = plain(core, or_none(lambda: core.read_namespaced_pod(name, namespace)))
    return found


def events_on(core: Any, namespace: str, *names: str) -> list[Mapping[str, Any]]:
    """Events on the objects of these names, oldest first."""
    found: list[Mapping[str, Any]] = plain(core, core.list_namespaced_event(namespace).items)
    return [event for event in found if event["involvedObject"].get("name") in names]


def is_gone(error: ApiException) -> bool:
    return bool(error.status == 404)


def or_none(request: Callable[[], T]) -> T | None:
    """What a request for one object returns; None when there is no such object."""
    try:
        return request()
    except ApiException as error:
        if is_gone(error):
            return None
        raise


def unless_replaced(delete: Callable[[], object]) -> None:
    """Delete an object given by its uid; do nothing when it is gone, or another one has its name."""
    try:
        delete()
    except ApiException as error:
        if error.status not in (404, 409):
            raise

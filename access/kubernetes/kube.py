"""The cluster's API as providers use it, by the name of a kubeconfig's context; knows nothing of Pulumi."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

from kubernetes import client, config
from kubernetes.client import ApiException
from kubernetes.config import ConfigException

T = TypeVar("T")


class NoCluster(Exception):
    """No kubeconfig, no such context, or nobody who answers there."""


def api_client(context: str) -> Any:
    """A client for the context, or for the current one when it is empty; NoCluster when there is none."""
    try:
        # Given by name, because the library looks at the environment only once, when it is loaded.
        file = os.environ.get("KUBECONFIG") or None
        return config.new_client_from_config(config_file=file, context=context or None)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError, TypeError) as error:
        wanted = f"context {context}" if context else "a current context"
        raise NoCluster(
            f"expected a kubeconfig with {wanted}, found none ({error}); set KUBECONFIG, or "
            "rag-platform:kubernetesContext"
        ) from error


def core(context: str) -> Any:
    """Pods, claims, events."""
    return client.CoreV1Api(api_client(context))


def apps(context: str) -> Any:
    """StatefulSets."""
    return client.AppsV1Api(api_client(context))


def batch(context: str) -> Any:
    """Jobs."""
    return client.BatchV1Api(api_client(context))


def is_gone(error: ApiException) -> bool:
    return bool(error.status == 404)


def or_none(read: Callable[[], T]) -> T | None:
    """What is read; None when it is not there."""
    try:
        return read()
    except ApiException as error:
        if is_gone(error):
            return None
        raise


def unless_replaced(delete: Callable[[], object]) -> None:
    """Delete what is meant by its uid; nothing when it is gone, or another one of its name is there."""
    try:
        delete()
    except ApiException as error:
        if error.status not in (404, 409):
            raise

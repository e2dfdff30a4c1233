"""A question before a cluster is touched that is not this machine's own."""

import ipaddress
import os
import sys
from typing import Annotated
from urllib.parse import urlsplit

import typer

from access.kubernetes import kube
from ops.parts import Parts
from ops.stack import OperatorError
from settings import Settings

Yes = Annotated[bool, typer.Option("--yes", help="do not ask before a cluster elsewhere is touched")]


def ask(settings: Settings, parts: Parts, what: str, *, agreed: bool) -> None:
    """Return when the operator agrees, or there is nothing to ask; OperatorError when he does not, or cannot be asked.

    `what` is to be done, in words.
    """
    if settings.stack.platform != "kubernetes" or agreed:
        return
    try:
        server = str(kube.api_client(settings.kubernetes.context).configuration.host)
    except kube.NoCluster as error:
        raise OperatorError(str(error)) from error
    if is_local(server) or is_brought(parts):
        return
    namespace = settings.kubernetes.namespace or settings.stack.name_prefix
    question = f"{what} namespace {namespace} of the cluster at {server}?"
    if not sys.stdin.isatty():
        raise OperatorError(f"expected an answer to: {question} Found nobody to ask; say YES=1 if it is meant")
    if not typer.confirm(question):
        raise OperatorError("nothing was touched")


def is_local(server: str) -> bool:
    """Whether the address is this machine's own."""
    host = urlsplit(server).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "kubernetes.docker.internal", "host.docker.internal")


def is_brought(parts: Parts) -> bool:
    """Whether it is the cluster that this machine's parts have brought up."""
    brought = parts.env.get("KUBECONFIG")
    return brought is not None and os.environ.get("KUBECONFIG") == brought

"""A question before a cluster is touched that is not this machine's own."""

import os
import sys
from typing import Annotated

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
    if kube.is_this_machine(server) or is_brought(parts):
        return
    namespace = settings.kubernetes.namespace or settings.stack.name_prefix
    question = f"{what} namespace {namespace} of the cluster at {server}?"
    if not sys.stdin.isatty():
        raise OperatorError(f"expected an answer to: {question} Found nobody to ask; say YES=1 if it is meant")
    if not typer.confirm(question):
        raise OperatorError("nothing was touched")


def is_brought(parts: Parts) -> bool:
    """Whether it is the cluster that this machine's parts have brought up."""
    brought = parts.env.get("KUBECONFIG")
    return brought is not None and os.environ.get("KUBECONFIG") == brought

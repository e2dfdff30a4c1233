"""What must be true before anything is created, checked in one go and said in plain sentences."""

import socket
from collections.abc import Iterable

import docker
from docker.errors import DockerException

from access.docker_engine import docker_client, of_stack
from ops.stack import OperatorError
from settings import Settings


def connect_engine() -> docker.DockerClient:
    """The local Docker engine; OperatorError when none answers."""
    try:
        client = docker_client()
        client.ping()
    except DockerException as error:
        raise OperatorError(
            "expected a Docker engine, found none that answers; start Docker (or set DOCKER_HOST), then run make up"
        ) from error
    return client


def check_ports(settings: Settings, engine: docker.DockerClient) -> None:
    """OperatorError that names every port another program listens on."""
    ours = _published_by(engine, settings.stack.name_prefix)
    taken = [
        f"  - {key}: port {port} is taken by another program; stop it, or set rag-platform:{key.partition(' ')[0]}"
        for key, port in settings.published_ports().items()
        if port not in ours and not _free(port)
    ]
    if taken:
        raise OperatorError("\n".join([f"{len(taken)} port(s) of 127.0.0.1 are not free:", *taken]))


def _published_by(engine: docker.DockerClient, prefix: str) -> set[int]:
    containers: Iterable[docker.models.containers.Container] = engine.containers.list(filters=of_stack(prefix))
    return {
        int(binding["HostPort"])
        for container in containers
        for bindings in container.ports.values()
        for binding in bindings or []
    }


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

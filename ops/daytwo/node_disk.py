"""A node of Qdrant where it runs, and the disk that makes it a member: what the day-two commands do to it."""

from typing import Protocol

from access.kubernetes import kube
from ops.daytwo.docker_disk import DockerDisk
from ops.daytwo.kubernetes_disk import KubernetesDisk
from ops.preflight import connect_engine
from platforms.kubernetes.cluster import Cluster
from settings import Settings


class NodeDisk(Protocol):
    """One node, by its ordinal. Nothing here asks Qdrant: the caller has checked that the node may go."""

    @property
    def name(self) -> str:
        """The name of its container or pod."""

    @property
    def ordinal(self) -> int: ...

    @property
    def stays_away(self) -> bool:
        """Whether a node that is ended stays so until it is started by hand."""

    def diagnose(self) -> str:
        """Why this node cannot come back by itself; empty when it might."""

    def end(self) -> None:
        """End it at once: a gentle stop can lose acknowledged writes."""

    def give_up(self) -> None:
        """End it and give it an empty disk, without the permission to found a cluster; its points are gone."""

    def start(self) -> bool:
        """Have it run again; False when `make up` has to make it first."""


def disk_of(settings: Settings, ordinal: int) -> NodeDisk:
    """By the platform that the stack file names."""
    prefix = settings.stack.name_prefix
    if settings.stack.platform == "docker":
        return DockerDisk(engine=connect_engine(), prefix=prefix, ordinal=ordinal)
    cluster = Cluster(prefix=prefix, settings=settings.kubernetes)
    return KubernetesDisk(core=kube.core(settings.kubernetes.context), namespace=cluster.namespace, ordinal=ordinal)

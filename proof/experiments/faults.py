"""Faults on Docker, and what both platforms share: each breaks one thing and returns how to undo it."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from access.polling import poll, require
from ops.balancer import balancers_of
from ops.daytwo import steps
from ops.daytwo.node_disk import disk_of
from ops.daytwo.replace_node import Replacement
from ops.daytwo.running import Running
from proof.experiments.experiment import Undo
from proof.targets.docker_target import DockerTarget
from proof.targets.target import Target
from qdrant_admin.api import QdrantApi
from qdrant_admin.cluster_view import observe_nodes

Fault = Callable[[DockerTarget], Undo]
LOST_DISK_SECONDS = 180  # on Kubernetes only crashes show it, and restarts back off
Choice = Callable[[Target], int]  # which node


def nodes(target: Target) -> list[QdrantApi]:
    """A client of each node, in order."""
    found = target.stack.outputs
    return [QdrantApi(url, found["qdrantApiKey"], timeout_seconds=3) for url in found["qdrantNodeUrls"]]


def leader(target: Target) -> int:
    """The ordinal of the node that leads, as most nodes report."""
    views = [view.cluster for view in observe_nodes(nodes(target))]
    led_by = [view["raft_info"]["leader"] for view in views if view]
    chosen = max(set(led_by), key=led_by.count)
    return next(n for n, view in enumerate(views) if view and view["peer_id"] == chosen)


def follower(target: Target) -> int:
    """The last node that does not lead, and is not node 0, which has experiments of its own."""
    led_by = leader(target)
    return max(n for n in range(1, len(target.stack.outputs["qdrantNodeUrls"])) if n != led_by)


def node_0(_: object) -> int:
    """The node that founded the cluster."""
    return 0


def killed(*replicas: str) -> Fault:
    """SIGKILL; undone by starting them again, in the order given."""

    def fault(target: DockerTarget) -> Undo:
        containers = [target.container(replica) for replica in replicas]
        for container in containers:
            container.kill()

        def undo() -> None:
            for container in containers:
                container.start()

        return undo

    return fault


def killed_nodes(*choices: Choice) -> Fault:
    """SIGKILL of some nodes; of two of three the quorum is gone."""
    return lambda target: killed(*(f"qdrant-{choose(target)}" for choose in choices))(target)


def frozen(replica: str) -> Fault:
    """Paused: its connections stay open, and it does not respond."""

    def fault(target: DockerTarget) -> Undo:
        container = target.container(replica)
        container.pause()
        return lambda: container.unpause()  # noqa: PLW0108  its result is dropped

    return fault


def frozen_node(choose: Choice) -> Fault:
    """The same of a node."""
    return lambda target: frozen(f"qdrant-{choose(target)}")(target)


@contextmanager
def counted_together(target: DockerTarget) -> Iterator[None]:
    """Calls are counted in a Valkey meanwhile, as several nodes of Kong do it."""
    target.stack.up_in_subprocess(gatewayRateLimitPolicy="redis")
    try:
        yield
    finally:
        target.stack.up_in_subprocess(gatewayRateLimitPolicy="local")


def cut_off_node(choose: Choice) -> Fault:
    """A pulled cable: no packet goes in or out, and no connection is closed."""

    def fault(target: DockerTarget) -> Undo:
        replica = f"qdrant-{choose(target)}"
        network = target.engine.networks.get(target.stack.prefix)
        container = target.container(replica)
        network.disconnect(container)
        return lambda: network.connect(container, aliases=["qdrant", replica])

    return fault


def all_nodes_killed(target: DockerTarget) -> Undo:
    """A power cut; they are started again in a random order."""
    count = len(target.stack.outputs["qdrantNodeUrls"])
    fault = killed(*(f"qdrant-{n}" for n in random.sample(range(count), count)))
    return fault(target)


def wiped_node(choose: Choice) -> Callable[[Target], Undo]:
    """A node and its disk are lost; undone as the operator does it, by `make replace-node`."""

    def fault(target: Target) -> Undo:
        stack = target.stack
        lost = Replacement(
            files=stack.files,
            running=Running.of(stack.outputs),
            balancers=balancers_of(stack.outputs),
            disk=disk_of(stack.settings, choose(target)),
            console=stack.console,
        )
        lost.disk.give_up()

        def undo() -> None:
            expected = f"{lost.disk.name} to report that its disk is lost"
            poll(lambda: require(lost.disk.diagnose(), "no report"), LOST_DISK_SECONDS, expected=expected)
            steps.take(lost.steps(), stack.console)

        return undo

    return fault

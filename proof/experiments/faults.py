"""What can go wrong, on Docker for the most part: each fault breaks one thing and returns how to heal it."""

import random
from collections.abc import Callable

from ops.balancer import balancers_of
from ops.daytwo import steps
from ops.daytwo.node_disk import disk_of
from ops.daytwo.replace_node import Replacement
from ops.daytwo.running import Running
from proof.targets.docker_stack import OwnStack
from proof.timeouts import until
from qdrant_admin.api import QdrantApi
from qdrant_admin.cluster_view import observe_nodes

Heal = Callable[[], None]
Fault = Callable[[OwnStack], Heal]
SHOWN_SECONDS = 180  # on Kubernetes, where only its ends tell: it is started again after longer and longer pauses
Choice = Callable[[OwnStack], int]  # which node


def nodes(stack: OwnStack) -> list[QdrantApi]:
    """A client of each node, in order."""
    found = stack.outputs
    return [QdrantApi(url, found["qdrantApiKey"], timeout_seconds=3) for url in found["qdrantNodeUrls"]]


def leader(stack: OwnStack) -> int:
    """The ordinal of the node that leads, as a majority has it."""
    views = [view.cluster for view in observe_nodes(nodes(stack))]
    led_by = [view["raft_info"]["leader"] for view in views if view]
    chosen = max(set(led_by), key=led_by.count)
    return next(n for n, view in enumerate(views) if view and view["peer_id"] == chosen)


def follower(stack: OwnStack) -> int:
    """The last node that does not lead, and is not node 0, which has a part of its own."""
    led_by = leader(stack)
    return max(n for n in range(1, len(stack.outputs["qdrantNodeUrls"])) if n != led_by)


def killed(*replicas: str) -> Fault:
    """SIGKILL; healed by starting them again, in the order they are given."""

    def fault(stack: OwnStack) -> Heal:
        containers = [stack.container(replica) for replica in replicas]
        for container in containers:
            container.kill()

        def heal() -> None:
            for container in containers:
                container.start()

        return heal

    return fault


def killed_node(choose: Choice) -> Fault:
    """SIGKILL of one node."""
    return lambda stack: killed(f"qdrant-{choose(stack)}")(stack)


def frozen_node(choose: Choice) -> Fault:
    """Neither dead nor alive: connections stay open, and nothing is answered."""

    def fault(stack: OwnStack) -> Heal:
        container = stack.container(f"qdrant-{choose(stack)}")
        container.pause()
        return lambda: container.unpause()  # noqa: PLW0108  says that it returns nothing

    return fault


def cut_off_node(choose: Choice) -> Fault:
    """A pulled cable: no packet goes in or out, and no connection is told."""

    def fault(stack: OwnStack) -> Heal:
        replica = f"qdrant-{choose(stack)}"
        network = stack.engine.networks.get(stack.prefix)
        container = stack.container(replica)
        network.disconnect(container)
        return lambda: network.connect(container, aliases=["qdrant", replica])

    return fault


def two_nodes_killed(stack: OwnStack) -> Heal:
    """The quorum is gone: a follower and the leader."""
    return killed(f"qdrant-{follower(stack)}", f"qdrant-{leader(stack)}")(stack)


def all_nodes_killed(stack: OwnStack) -> Heal:
    """A power cut; they come back in an order that nobody planned."""
    count = len(stack.outputs["qdrantNodeUrls"])
    heal = killed(*(f"qdrant-{n}" for n in random.sample(range(count), count)))
    return heal(stack)


def wiped_node(choose: Choice) -> Fault:
    """A node and its disk are lost; healed as the operator does it, by `make replace-node`."""

    def fault(stack: OwnStack) -> Heal:
        lost = Replacement(
            files=stack.files,
            running=Running.of(stack.outputs),
            balancers=balancers_of(stack.outputs),
            disk=disk_of(stack.files.settings(), choose(stack)),
            console=stack.console,
        )
        lost.disk.give_up()

        def heal() -> None:
            until(f"{lost.disk.name} to show that its disk is lost", lambda: bool(lost.disk.diagnose()), SHOWN_SECONDS)
            steps.take(lost.steps(), stack.console)

        return heal

    return fault

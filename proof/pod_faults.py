"""What can go wrong on Kubernetes: pods that end without a word, machines that are emptied; each with how it heals."""

from collections.abc import Callable
from functools import partial

from proof import faults
from proof.faults import Heal
from proof.own_namespace import OwnNamespace
from proof.own_stack import OwnStack
from proof.pod_crowd import NAME as CROWD

PodFault = Callable[[OwnNamespace], Heal]


def killed(workload: str) -> PodFault:
    """One pod of it ends without a word; whoever manages it makes another, so nobody heals it."""

    def fault(stack: OwnNamespace) -> Heal:
        stack.space.kill(stack.space.pods(workload)[0].metadata.name)
        return by_itself

    return fault


def killed_nodes(*choices: Callable[[OwnStack], int]) -> PodFault:
    """Some nodes of Qdrant at once."""

    def fault(stack: OwnNamespace) -> Heal:
        for pod in [f"qdrant-{choose(stack)}" for choose in choices]:
            stack.space.kill(pod)
        return by_itself

    return fault


def all_nodes_killed(stack: OwnNamespace) -> Heal:
    """A power cut, as far as Qdrant is concerned."""
    for pod in stack.space.pods("qdrant"):
        stack.space.kill(pod.metadata.name)
    return by_itself


def drained_machine(stack: OwnNamespace) -> Heal:
    """The machine of a follower is emptied, as before work on it; healed by letting pods onto it again."""
    machine = stack.space.machine_of(f"qdrant-{faults.follower(stack)}")
    stack.space.drain(machine, but=CROWD)
    return partial(stack.space.uncordon, machine)


def by_itself() -> None:
    """The cluster has it back already, or is about to."""

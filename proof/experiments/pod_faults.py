"""What can go wrong on Kubernetes: killed nodes, deleted pods, an emptied machine; each returns how to heal it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from proof.experiments import faults
from proof.experiments.faults import Heal
from proof.targets.docker_stack import OwnStack
from proof.targets.kubernetes_stack import OwnNamespace
from proof.timeouts import until
from proof.traffic.traffic_pod import NAME as CROWD

PodFault = Callable[[OwnNamespace], Heal]
KILL = ("sh", "-c", "kill -9 -1")  # Qdrant's pods share a process namespace, of which a signal spares the first process
KILLED = 128 + 9
BACK_SECONDS = 180


def killed_nodes(*choices: Callable[[OwnStack], int]) -> PodFault:
    """SIGKILL of some nodes of Qdrant; healed when the kubelet has started them again."""
    return lambda stack: _kill(stack, [f"qdrant-{choose(stack)}" for choose in choices])


def all_nodes_killed(stack: OwnNamespace) -> Heal:
    """A power cut, as far as Qdrant is concerned."""
    return _kill(stack, [pod.metadata.name for pod in stack.space.pods("qdrant")])


def _kill(stack: OwnNamespace, pods: list[str]) -> Heal:
    started = {pod: _container(stack, pod).restart_count for pod in pods}
    for pod in pods:
        stack.space.execute(pod, KILL)

    def back(pod: str) -> bool:
        found = _container(stack, pod)
        return bool(found.ready) and found.restart_count > started[pod]

    def heal() -> None:
        until(f"{', '.join(pods)} to be ready again", lambda: all(map(back, pods)), BACK_SECONDS)
        codes = {pod: _container(stack, pod).last_state.terminated.exit_code for pod in pods}
        if set(codes.values()) != {KILLED}:
            raise RuntimeError(f"expected {KILLED} as the exit code of what was killed, found {codes}")

    return heal


def _container(stack: OwnNamespace, pod: str) -> Any:
    [found] = stack.space.core.read_namespaced_pod(pod, stack.space.name).status.container_statuses
    return found


def deleted(workload: str) -> PodFault:
    """One pod of it is deleted with a second's notice; healed when another is ready in its place."""

    def fault(stack: OwnNamespace) -> Heal:
        before = {pod.metadata.uid: pod.metadata.name for pod in stack.space.ready_pods(workload)}
        lost, name = next(iter(before.items()))
        stack.space.delete(name, notice_seconds=1)

        def back() -> bool:
            now = {pod.metadata.uid for pod in stack.space.ready_pods(workload)}
            return lost not in now and len(now) == len(before)

        def heal() -> None:
            until(f"{len(before)} ready pods of {workload}, another one among them", back, BACK_SECONDS)

        return heal

    return fault


def drained_machine(stack: OwnNamespace) -> Heal:
    """The machine of a follower is emptied, as before work on it; healed by letting pods onto it again."""
    machine = stack.space.machine_of(f"qdrant-{faults.follower(stack)}")
    if not stack.space.takes_pods(machine):
        raise RuntimeError(f"expected {machine} to take pods, found it cordoned: somebody is at work on it")
    let_in = partial(stack.space.uncordon, machine)
    try:
        stack.space.drain(machine, but=CROWD)
    except BaseException:  # whoever has seen enough leaves no machine that takes no pods
        let_in()
        raise
    return let_in

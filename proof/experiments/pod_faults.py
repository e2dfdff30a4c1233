"""Faults on Kubernetes: killed nodes, deleted pods, a drained machine; each returns how to undo it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from access.polling import poll, require
from proof.experiments.experiment import Undo
from proof.experiments.faults import Choice, follower
from proof.targets.kubernetes_target import KubernetesTarget
from proof.traffic.traffic_pod import NAME as TRAFFIC

PodFault = Callable[[KubernetesTarget], Undo]
KILL = ("sh", "-c", "kill -9 -1")  # Qdrant's pods share a process namespace, of which a signal spares the first process
KILLED = 128 + 9
BACK_SECONDS = 180


def killed_nodes(*choices: Choice) -> PodFault:
    """SIGKILL of some nodes of Qdrant; undone when the kubelet has started them again."""
    return lambda target: _kill(target, [f"qdrant-{choose(target)}" for choose in choices])


def all_nodes_killed(target: KubernetesTarget) -> Undo:
    """A power cut, as far as Qdrant is concerned."""
    return _kill(target, [pod.metadata.name for pod in target.namespace.pods("qdrant")])


def _kill(target: KubernetesTarget, pods: list[str]) -> Undo:
    started = {pod: _container(target, pod).restart_count for pod in pods}
    for pod in pods:
        target.namespace.execute(pod, KILL)

    def restarted() -> None:
        for pod in pods:
            found = _container(target, pod)
            require(found.ready and found.restart_count > started[pod], f"{pod} not ready again")

    def undo() -> None:
        poll(restarted, BACK_SECONDS, expected=f"{', '.join(pods)} to be ready again")
        codes = {pod: _container(target, pod).last_state.terminated.exit_code for pod in pods}
        if set(codes.values()) != {KILLED}:
            raise RuntimeError(f"expected {KILLED} as the exit code of what was killed, found {codes}")

    return undo


def _container(target: KubernetesTarget, pod: str) -> Any:
    found = target.namespace.core.read_namespaced_pod(pod, target.namespace.name).status.container_statuses
    return next(status for status in found if pod.startswith(status.name))


def deleted(workload: str) -> PodFault:
    """One pod of it is deleted with a grace period of a second; undone when another is ready in its place."""

    def fault(target: KubernetesTarget) -> Undo:
        before = {pod.metadata.uid: pod.metadata.name for pod in target.namespace.ready_pods(workload)}
        lost, name = next(iter(before.items()))
        target.namespace.delete(name, notice_seconds=1)

        def replaced() -> None:
            now = {pod.metadata.uid for pod in target.namespace.ready_pods(workload)}
            require(lost not in now and len(now) == len(before), f"{len(now)}")

        def undo() -> None:
            poll(replaced, BACK_SECONDS, expected=f"{len(before)} ready pods of {workload}, a new one among them")

        return undo

    return fault


def drained_machine(target: KubernetesTarget) -> Undo:
    """A follower's machine is drained, as before maintenance; undone by uncordoning it."""
    machine = target.namespace.machine_of(f"qdrant-{follower(target)}")
    if not target.namespace.takes_pods(machine):
        raise RuntimeError(f"expected {machine} to take pods, found it cordoned; uncordon it")
    uncordon = partial(target.namespace.uncordon, machine)
    try:
        target.namespace.drain(machine, but=TRAFFIC)
    except BaseException:  # an interrupted run leaves no machine cordoned
        uncordon()
        raise
    return uncordon

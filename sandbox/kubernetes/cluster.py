"""A Kubernetes of three nodes on this machine: up, down, and faults of a node."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import yaml

from sandbox import debian
from sandbox.kubernetes import binaries, control_plane, identities, images, machines, network, node
from sandbox.kubernetes.api import Api, Refused, Unreachable
from sandbox.kubernetes.places import HOME, KUBECONFIG, NAMES, NODES, PLUGINS, VOLUMES, Node
from sandbox.progress import report

MADE = HOME / "made"  # a start that was interrupted left none
ADDONS = Path(__file__).parent / "addons.yaml"


def up(engine: str, wanted: Iterable[str]) -> str:
    """Bring up what does not run, with these images of the engine in it; return the path of the kubeconfig."""
    debian.ensure(**{"etcd": "etcd-server", f"{PLUGINS}/ptp": "containernetworking-plugins", "ip": "iproute2"})
    built = binaries.provide()
    HOME.mkdir(parents=True, exist_ok=True)
    if not running():
        down()  # what an interrupted start or a reboot left
        HOME.mkdir(parents=True, exist_ok=True)
        images.load(engine, built, wanted)
        _start(built)
    else:
        images.load(engine, built, wanted)
    api = Api(str(KUBECONFIG))
    for one in yaml.safe_load_all(ADDONS.read_text()):
        api.apply(one, "sandbox", force=True)
    machines.until("three ready nodes, and names on each", lambda: well(api), 300)
    return str(KUBECONFIG)


def environment() -> dict[str, str]:
    """How the cluster is found while it runs, unless this user has chosen another."""
    ours = running() and os.environ.get("KUBECONFIG", str(KUBECONFIG)) == str(KUBECONFIG)
    return {"KUBECONFIG": str(KUBECONFIG)} if ours else {}


def _start(built: Path) -> None:
    report("starting the control plane and three nodes")
    VOLUMES.mkdir()
    network.lay()
    identities.make()
    machines.start(control_plane.NAME, NAMES, control_plane.programs(built))
    machines.until("an API server", lambda: _answers(Api(str(KUBECONFIG))), 300)
    images.link()
    for one in NODES:
        node.start(one, built)
    MADE.touch()


def running() -> bool:
    """Whether its creation was completed and it is switched on; a node may be off, and comes back with power_on."""
    return MADE.exists() and bool(machines.runs(control_plane.NAME))


def well(api: Api) -> bool:
    """Whether every node is ready and resolves names."""
    try:
        ready = {one["metadata"]["name"] for one in api.list("v1", "Node") if _ready(one)}
        names = api.call("GET", api.path("apps/v1", "DaemonSet", "kube-system", "coredns"))["status"]
        return ready == {one.name for one in NODES} and names.get("numberReady") == len(NODES)
    except (Refused, Unreachable):
        return False


def _ready(one: dict[str, object]) -> bool:
    status: dict[str, list[dict[str, str]]] = one["status"]  # type: ignore[assignment]
    return any(about["type"] == "Ready" and about["status"] == "True" for about in status.get("conditions", ()))


def _answers(api: Api) -> bool:
    try:
        return api.call("GET", "/api/v1/namespaces/default") != {} and api.kind("apps/v1", "DaemonSet") is not None
    except (Refused, Unreachable):
        return False


def power_off(one: Node) -> None:
    """Pull the plug: nothing on it runs, and nothing answers at its addresses."""
    network.cable(one, plugged=False)
    machines.stop(one.name)


def power_on(one: Node) -> None:
    """Switch it on again, with the disk it had."""
    network.cable(one, plugged=True)
    if not machines.runs(one.name):
        node.start(one, binaries.provide())


def down() -> bool:
    """Stop what runs and remove all of it: processes, cgroups, networks, folders. Whether anything ran."""
    names = (*(one.name for one in NODES), control_plane.NAME)
    ran = any(machines.runs(name) for name in names)
    for name in names:
        machines.stop(name)
    machines.forget()
    network.clear()
    shutil.rmtree(HOME, ignore_errors=True)
    for folder in machines.OWN:
        if folder.startswith("/var/lib") and Path(folder).exists() and not any(Path(folder).iterdir()):
            Path(folder).rmdir()
    return ran

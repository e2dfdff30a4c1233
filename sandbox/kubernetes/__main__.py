"""`python -m sandbox.kubernetes up`, `down`, `off node-2`: a cluster to prove the prod stack on."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from sandbox import docker_engine, docker_images
from sandbox.kubernetes import cluster, network
from sandbox.kubernetes.api import Api, Refused, Unreachable
from sandbox.kubernetes.places import HOME, NODES, Node
from sandbox.progress import SetupError, report

ROOT = Path(__file__).parents[2]
PARTS = ROOT / ".state/parts.json"


def main() -> None:
    """Up: a cluster that a kubeconfig of this user points at, else one of our own. Down: our own, and no other."""
    try:
        if sys.argv[1:] == ["up"]:
            up()
        elif sys.argv[1:] == ["down"]:
            report("stopped and removed" if cluster.down() else "no cluster of the sandbox was running")
            remember()
        else:
            fault(sys.argv[1:])
    except SetupError as error:
        sys.exit(str(error))


def up() -> None:
    """Leave a kubeconfig of a cluster that answers."""
    if server := given():
        return report(f"{server} answers, and is used: images must be where it can pull them")
    if os.geteuid() != 0:
        raise SetupError("root was expected, to start a cluster; found another user. Point KUBECONFIG at a cluster.")
    engine = docker_engine.ensure_engine()
    images = docker_images.provide_all(engine, docker_images.of_all(ROOT))
    kubeconfig = cluster.up(engine, [image.used for image in images.values()])
    remember()
    return report(f"three nodes are ready: export KUBECONFIG={kubeconfig}")


def remember() -> None:
    """Write where the cluster is beside the other parts of this machine, or that there is none."""
    if PARTS.exists():
        written = json.loads(PARTS.read_text())
        others = {name: value for name, value in written["env"].items() if name != "KUBECONFIG"}
        PARTS.write_text(json.dumps(written | {"env": others | cluster.environment()}, indent=2) + "\n")


def fault(words: list[str]) -> None:
    """Inject a fault into a node, or end it: `off node-2`, `on`, `cut`, `join`."""
    actions: dict[str, Callable[[Node], None]] = {
        "off": cluster.power_off,
        "on": cluster.power_on,
        "cut": lambda one: network.cable(one, plugged=False),
        "join": lambda one: network.cable(one, plugged=True),
    }
    named = {one.name: one for one in NODES}
    if len(words) != 2 or words[0] not in actions or words[1] not in named:
        wanted = f"up, down, or one of {', '.join(actions)} with one of {', '.join(named)}"
        raise SetupError(f"{wanted} was expected; found {' '.join(words) or 'nothing'}.")
    actions[words[0]](named[words[1]])


def given() -> str:
    """The server of the user's own kubeconfig, if it answers."""
    try:
        api = Api("")
        api.call("GET", "/version")
        return "" if HOME in Path(os.environ.get("KUBECONFIG", "/")).parents else api.server
    except (Refused, Unreachable):
        return ""


if __name__ == "__main__":
    main()

"""`python -m sandbox.kubernetes up` and `down`: a cluster to prove the prod stack on."""

import os
import sys
from pathlib import Path

from sandbox import docker_engine, docker_images
from sandbox.kubernetes import cluster
from sandbox.kubernetes.api import Api, Refused, Unreachable
from sandbox.kubernetes.places import HOME
from sandbox.progress import SetupError, say

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Up: a cluster that a kubeconfig of this user points at, else one of our own. Down: our own, and no other."""
    try:
        if sys.argv[1:] == ["up"]:
            up()
        elif sys.argv[1:] == ["down"]:
            say("stopped, and nothing left" if cluster.down() else "no cluster of the sandbox was running")
        else:
            raise SetupError(f"up or down was expected; found {' '.join(sys.argv[1:]) or 'nothing'}.")
    except SetupError as error:
        sys.exit(str(error))


def up() -> None:
    """Leave a kubeconfig of a cluster that answers."""
    if server := given():
        return say(f"{server} answers, and is used: images must be where it can pull them")
    if os.geteuid() != 0:
        raise SetupError("root was expected, to start a cluster; found another user. Point KUBECONFIG at a cluster.")
    engine = docker_engine.ensure_engine()
    wanted = docker_images.wanted_images(ROOT / "Pulumi.dev.yaml")
    kubeconfig = cluster.up(engine, [docker_images.provide(engine, key, image).used for key, image in wanted.items()])
    return say(f"three nodes are ready: export KUBECONFIG={kubeconfig}")


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

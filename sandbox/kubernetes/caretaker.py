"""The loop that does what a cluster's plugins do elsewhere, as stand-ins: volumes, and NetworkPolicies."""

import subprocess
import sys
import time
from contextlib import suppress

from sandbox.kubernetes import policies, volumes
from sandbox.kubernetes.api import Api, Refused, Unreachable
from sandbox.kubernetes.places import KUBECONFIG, NODES, Node

EVERY_SECONDS = 0.5


def main() -> None:
    """Reconcile twice a second until this process is ended."""
    api, written = Api(str(KUBECONFIG)), dict.fromkeys(NODES, "")
    while True:
        try:
            provide_volumes(api)
            enforce(api, written)
        except (Refused, Unreachable, OSError) as error:
            print(error, file=sys.stderr, flush=True)  # the next round may succeed
        time.sleep(EVERY_SECONDS)


def provide_volumes(api: Api) -> None:
    """Create the volumes that claims wait for, and remove those without a claim."""
    for wanted in volumes.missing(api.list("v1", "PersistentVolumeClaim")):
        volumes.make(wanted)
        with suppress(Refused):  # made the last time, and not bound yet
            api.call("POST", api.path("v1", "PersistentVolume"), body=wanted)
    for name in volumes.released(api.list("v1", "PersistentVolume")):
        with suppress(Refused):
            api.call("DELETE", api.path("v1", "PersistentVolume", name=name))
        volumes.remove(name)


def enforce(api: Api, written: dict[Node, str]) -> None:
    """Write each node's chains where they are not what they should be: nothing else touches them."""
    observed = (
        api.list("networking.k8s.io/v1", "NetworkPolicy"),
        api.list("v1", "Pod"),
        api.list("v1", "Namespace"),
    )
    for node in NODES:
        wanted = policies.chains(*observed, node.name)
        if wanted != written[node]:
            failed = _within(node, "iptables-restore", "--noflush", stdin=wanted)
            if _within(node, "iptables", "-C", "FORWARD", "-j", policies.TOP):
                failed |= _within(node, "iptables", "-I", "FORWARD", "-j", policies.TOP)
            written[node] = "" if failed else wanted  # what failed is tried again in the next round


def _within(node: Node, *command: str, stdin: str = "") -> int:
    """Run a command in the node's network; the reason of a failure goes to the log."""
    there = ["nsenter", f"--net=/run/netns/{node.namespace}", *command]
    return subprocess.run(there, input=stdin, text=True, check=False).returncode


if __name__ == "__main__":
    main()

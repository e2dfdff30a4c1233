"""One network namespace for the control plane, with a bridge, and one for each node; nothing in the host's iptables."""

import subprocess
from pathlib import Path

from sandbox.kubernetes.places import API, GATE, HOST, NAMES, NODE_NET, NODES, POD_NET, SERVICE_NET, Node
from sandbox.progress import run

BRIDGE, NAMESPACES = "br0", Path("/run/netns")


def lay() -> None:
    """Make the namespaces and what joins them: addresses, routes to pods, and a way from the host to all of it."""
    _batch("", f"netns add {NAMES}", *(f"netns add {node.namespace}" for node in NODES))
    _batch("", f"link add {NAMES} type veth peer name up0 netns {NAMES}", f"addr add {HOST}/30 dev {NAMES}",
           f"link set {NAMES} up")  # fmt: skip
    _batch(NAMES, "link set lo up", f"link add {BRIDGE} type bridge", f"addr add {API}/24 dev {BRIDGE}",
           f"link set {BRIDGE} up", f"addr add {GATE}/30 dev up0", "link set up0 up")  # fmt: skip
    for node in NODES:
        _join(node)
    for node in NODES:
        for machine in (NAMES, *(other.namespace for other in NODES if other != node)):
            _batch(machine, f"route add {node.pods} via {node.address}")
    _batch("", *(f"route add {net} via {GATE}" for net in (NODE_NET, POD_NET, SERVICE_NET)))
    for machine in (NAMES, *(node.namespace for node in NODES)):
        run("ip", "netns", "exec", machine, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def _join(node: Node) -> None:
    _batch(NAMES, f"link add {node.name} type veth peer name eth0 netns {node.namespace}",
           f"link set {node.name} master {BRIDGE}", f"link set {node.name} up")  # fmt: skip
    _batch(node.namespace, "link set lo up", f"addr add {node.address}/24 dev eth0", "link set eth0 up",
           f"route add default via {API}")  # fmt: skip


def cable(node: Node, plugged: bool) -> None:
    """Pull the node's cable, or plug it in again: a partition."""
    _batch(NAMES, f"link set {node.name} {'up' if plugged else 'down'}")


def clear() -> None:
    """Remove the namespaces; the links go with them."""
    for machine in (NAMES, *(node.namespace for node in NODES)):
        if (NAMESPACES / machine).exists():
            run("ip", "netns", "del", machine)
    if NAMESPACES.exists() and not any(NAMESPACES.iterdir()):
        run("umount", str(NAMESPACES))  # `ip netns` mounted it
        NAMESPACES.rmdir()
    subprocess.run(["ip", "link", "del", NAMES], capture_output=True, check=False)  # gone already, as a rule


def _batch(namespace: str, *commands: str) -> None:
    """Run several commands of `ip`, in a network namespace or in none."""
    where = ("-netns", namespace) if namespace else ()
    for command in commands:
        run("ip", *where, *command.split())

"""Where the cluster of this machine is: its machines, their addresses, and what belongs to it on disk."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.docker_engine import HOME as SANDBOX

HOME = SANDBOX / "kubernetes"  # outside the clone: two checkouts of one machine share one cluster
LOGS, VOLUMES, KUBECONFIG = HOME / "logs", HOME / "volumes", HOME / "kubeconfig"
NAMES = "rag-k8s"  # how everything begins that the kernel holds for it: namespaces, links, cgroups
PLUGINS = "/usr/lib/cni"  # where Debian puts containernetworking-plugins
POD_NET, SERVICE_NET, NODE_NET = "10.244.0.0/16", "10.96.0.0/16", "10.200.0.0/24"
API, API_SERVICE, DNS, HOST, GATE = "10.200.0.1", "10.96.0.1", "10.96.0.10", "10.200.1.1", "10.200.1.2"
SERVER = f"https://{API}:6443"


@dataclass(frozen=True)
class Node:
    """A node, by its number: 1, 2, 3."""

    number: int

    @property
    def name(self) -> str:
        return f"node-{self.number}"

    @property
    def namespace(self) -> str:
        return f"{NAMES}-{self.name}"

    @property
    def address(self) -> str:
        return f"10.200.0.{10 + self.number}"

    @property
    def pods(self) -> str:
        return f"10.244.{self.number}.0/24"

    @property
    def home(self) -> Path:
        return HOME / self.name


NODES = tuple(Node(number) for number in (1, 2, 3))

"""A node: containerd, kubelet and kube-proxy, on a third of this machine's memory."""

import json
import os
import shlex
from pathlib import Path

import yaml

from sandbox.kubernetes import identities, machines
from sandbox.kubernetes.control_plane import kept, proxy
from sandbox.kubernetes.places import DNS, NODES, PLUGINS, Node

PAUSE = "docker.io/sandbox/pause:1"
SOCKET = "/run/containerd/containerd.sock"


def start(node: Node, binaries: Path) -> None:
    """Write what its programs read, and switch it on."""
    (node.home / "net.d").mkdir(parents=True, exist_ok=True)
    (node.home / "containerd.toml").write_text(runtime(node))
    (node.home / "kubelet.yaml").write_text(yaml.safe_dump(kubelet(node)))
    (node.home / "net.d/pods.conflist").write_text(json.dumps(pod_network(node)))
    machines.start(node.name, node.namespace, programs(node, binaries), machines.OWN)


def programs(node: Node, binaries: Path) -> str:
    """The lines that keep its programs running; kubelet gives up on a socket that is not there yet."""
    options = {
        "config": node.home / "kubelet.yaml",
        "kubeconfig": identities.FOLDER / f"{node.name}.kubeconfig",
        "hostname-override": node.name,
        "node-ip": node.address,
        "node-labels": f"topology.kubernetes.io/zone=zone-{node.number}",
    }
    return "\n".join(
        (
            f"hostname {node.name}",
            shlex.join(["keep", "containerd", "containerd", "--config", str(node.home / "containerd.toml")]),
            f"wait_for {SOCKET}",
            kept(binaries / "kubelet", options),
            kept(binaries / "kube-proxy", proxy(node.name)),
        )
    )


def kubelet(node: Node) -> dict[str, object]:
    """Reports its state every second, and evicts no pod for want of disk."""
    conf = identities.FOLDER
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(identities.CA)}},
        "tlsCertFile": str(conf / f"{node.name}.crt"),
        "tlsPrivateKeyFile": str(conf / f"{node.name}.key"),
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": machines.cgroup(node.name),
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "failSwapOn": False,
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,  # what is loaded here cannot be pulled again
        "systemReserved": {"memory": reserved()},
        "nodeStatusUpdateFrequency": "1s",
        "nodeLeaseDurationSeconds": 4,
        "protectKernelDefaults": False,
    }


def reserved() -> str:
    """All memory but this node's share of it."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return f"{total - (total - 1024) // len(NODES)}Mi"


def pod_network(node: Node) -> dict[str, object]:
    """A link for each pod, routed and not bridged: so what goes between two pods of a node can be forbidden as well."""
    ranges = {"type": "host-local", "subnet": node.pods, "routes": [{"dst": "0.0.0.0/0"}]}
    links = {"type": "ptp", "ipMasq": False, "ipam": ranges}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [links, ports]}


def runtime(node: Node) -> str:
    """containerd's configuration."""
    return f"""\
version = 2
root = "{node.home}/containerd"
state = "/run/containerd"
[grpc]
address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
sandbox_image = "{PAUSE}"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{PLUGINS}"
conf_dir = "{node.home}/net.d"
"""

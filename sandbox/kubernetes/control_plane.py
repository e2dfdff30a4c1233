"""The control plane: etcd, API server, controller manager, scheduler, a proxy through which the host
reaches services, and the caretaker."""

import shlex
import shutil
import sys
from pathlib import Path

from sandbox.debian import PATH
from sandbox.kubernetes import identities
from sandbox.kubernetes.places import API, HOME, NAMES, SERVER, SERVICE_NET

NAME = "control-plane"
ETCD = "http://127.0.0.1:2379"
ROOT, CARETAKER = Path(__file__).parents[2], "sandbox.kubernetes.caretaker"
Options = dict[str, object]


def programs(binaries: Path) -> str:
    """The lines that keep its programs running; what is lost with the machine's power is only what etcd never had."""
    conf = identities.FOLDER
    managers = {
        role: {"kubeconfig": conf / f"{role}.kubeconfig", "leader-elect": "false"}
        for role in ("kube-controller-manager", "kube-scheduler")
    }
    managers["kube-controller-manager"] |= {
        "service-account-private-key-file": conf / "tokens.key",
        "root-ca-file": identities.CA,  # else no pod trusts the API server
        "use-service-account-credentials": "true",
        "node-monitor-period": "500ms",
        "node-monitor-grace-period": "4s",
        "node-eviction-rate": 10,
    }
    return "\n".join(
        (
            kept(Path(shutil.which("etcd", path=PATH) or "etcd"), etcd()),
            kept(binaries / "kube-apiserver", api_server()),
            *(kept(binaries / role, options) for role, options in managers.items()),
            kept(binaries / "kube-proxy", proxy(NAMES)),
            shlex.join(["keep", "caretaker", "env", f"PYTHONPATH={ROOT}", sys.executable, "-m", CARETAKER]),
        )
    )


def kept(program: Path, options: Options) -> str:
    """A line for machine.sh: this program with these options, kept running."""
    return shlex.join(["keep", program.name, str(program), *(f"--{key}={value}" for key, value in options.items())])


def etcd() -> Options:
    return {
        "data-dir": HOME / "etcd",
        "listen-client-urls": ETCD,
        "advertise-client-urls": ETCD,
        "listen-peer-urls": "http://127.0.0.1:2380",
        "unsafe-no-fsync": "true",
    }


def api_server() -> Options:
    conf = identities.FOLDER
    return {
        "etcd-servers": ETCD,
        "advertise-address": API,
        "service-cluster-ip-range": SERVICE_NET,
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "client-ca-file": identities.CA,
        "tls-cert-file": conf / "api.crt",
        "tls-private-key-file": conf / "api.key",
        "kubelet-client-certificate": conf / "admin.crt",
        "kubelet-client-key": conf / "admin.key",
        "kubelet-preferred-address-types": "InternalIP",  # the names of nodes resolve nowhere
        "service-account-issuer": SERVER,
        "service-account-key-file": conf / "tokens.key",
        "service-account-signing-key-file": conf / "tokens.key",
        "default-not-ready-toleration-seconds": 5,
        "default-unreachable-toleration-seconds": 5,
    }


def proxy(host: str) -> Options:
    """kube-proxy of that host, which leaves the machine-wide tables of connections as they are."""
    return {
        "kubeconfig": identities.FOLDER / "kube-proxy.kubeconfig",
        "hostname-override": host,
        "conntrack-max-per-core": 0,
        "conntrack-tcp-timeout-established": 0,
        "conntrack-tcp-timeout-close-wait": 0,
    }

"""Stand-in for a network plugin that enforces NetworkPolicies: three chains in each node's FORWARD.

What it does not do: IPv6, and anything about a pod in the second before the chains know it. What is established stays
so when a policy is made. What a node itself sends, such as a probe, is no business of theirs.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

Thing = dict[str, Any]
TOP, INGRESS, EGRESS = "RAG-POLICY", "RAG-INGRESS", "RAG-EGRESS"


def chains(policies: Iterable[Thing], pods: list[Thing], namespaces: list[Thing], node: str) -> str:
    """What iptables-restore is to read on that node: what the policies select and do not allow is dropped."""
    policies = list(policies)
    labels = {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in namespaces}
    networked = [pod for pod in pods if _address(pod) and not pod["spec"].get("hostNetwork")]
    rules = [
        f"-A {TOP} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN",
        f"-A {TOP} -j {EGRESS}",
        f"-A {TOP} -j {INGRESS}",
    ]
    for pod in networked:
        if pod["spec"].get("nodeName") == node:
            for chain, way in ((INGRESS, "Ingress"), (EGRESS, "Egress")):
                mine = [policy for policy in policies if way in _ways(policy["spec"]) and selects(policy, pod)]
                rules += _of_pod(pod, mine, chain, networked, labels)
    return "\n".join(("*filter", *(f":{chain} - [0:0]" for chain in (TOP, INGRESS, EGRESS)), *rules, "COMMIT", ""))


def selects(policy: Thing, pod: Thing) -> bool:
    """Whether a policy is about that pod."""
    same = policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return same and matches(policy["spec"].get("podSelector", {}), pod["metadata"].get("labels", {}))


def matches(selector: Thing, labels: dict[str, str]) -> bool:
    """Whether labels are what a selector asks for; an empty one asks for nothing."""
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(asked, labels) for asked in selector.get("matchExpressions") or ()
    )


def _holds(asked: Thing, labels: dict[str, str]) -> bool:
    found, values = labels.get(asked["key"]), asked.get("values") or ()
    return {
        "In": found in values,
        "NotIn": found not in values,
        "Exists": found is not None,
        "DoesNotExist": found is None,
    }[asked["operator"]]


def _ways(spec: Thing) -> list[str]:
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]


def _of_pod(pod: Thing, policies: list[Thing], chain: str, pods: list[Thing], labels: dict[str, Any]) -> Iterator[str]:
    """Its allowed traffic returns, and the rest is dropped; a pod that no policy selects has no rule."""
    mine, theirs, key, peers = ("-d", "-s", "ingress", "from") if chain == INGRESS else ("-s", "-d", "egress", "to")
    for policy in policies:
        for rule in policy["spec"].get(key) or ():
            for peer in _peers(rule.get(peers), policy["metadata"]["namespace"], pods, labels):
                targets = [pod] if chain == INGRESS else [at for at in pods if _address(at) == peer]
                for port in _ports(rule.get("ports"), targets):
                    way = f" {theirs} {peer}" if peer else ""
                    yield f"-A {chain} {mine} {_address(pod)}{way}{port} -j RETURN"
    if policies:
        yield f"-A {chain} {mine} {_address(pod)} -j DROP"


def _peers(peers: list[Thing] | None, namespace: str, pods: list[Thing], labels: dict[str, Any]) -> Iterator[str]:
    """Addresses and blocks of addresses; an empty string means all."""
    if not peers:
        yield ""
    for peer in peers or ():
        if block := peer.get("ipBlock"):
            yield from _without(block["cidr"], block.get("except") or [])
            continue
        wanted = peer.get("namespaceSelector")
        for pod in pods:
            home = pod["metadata"]["namespace"]
            near = home == namespace if wanted is None else matches(wanted, labels.get(home, {}))
            if near and matches(peer.get("podSelector") or {}, pod["metadata"].get("labels", {})):
                yield _address(pod)


def _without(block: str, exceptions: list[str]) -> Iterator[str]:
    """The blocks that remain of one without its exceptions."""
    left = [ipaddress.ip_network(block)]
    for exception in map(ipaddress.ip_network, exceptions):
        left = [part for whole in left for part in _cut(whole, exception)]
    yield from (str(part) for part in left if part.version == 4)


def _cut(whole: Any, exception: Any) -> list[Any]:
    if not whole.overlaps(exception):
        return [whole]
    return list(whole.address_exclude(exception)) if exception.subnet_of(whole) else []


def _ports(ports: list[Thing] | None, targets: list[Thing]) -> Iterator[str]:
    """The arguments of iptables for each port; none for all ports."""
    if not ports:
        yield ""
    for port in ports or ():
        protocol, number = port.get("protocol", "TCP").lower(), port.get("port")
        for found in _named(number, targets) if isinstance(number, str) else [number]:
            last = f":{port['endPort']}" if "endPort" in port else ""
            yield f" -p {protocol}" + (f" --dport {found}{last}" if found else "")


def _named(name: str, targets: list[Thing]) -> set[int]:
    """The numbers that the target pods give a port of that name."""
    containers = [container for pod in targets for container in pod["spec"]["containers"]]
    ports = [port for container in containers for port in container.get("ports") or ()]
    return {port["containerPort"] for port in ports if port.get("name") == name}


def _address(pod: Thing) -> str:
    """A pod that is over has an address that may be another's already."""
    over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return "" if over else pod.get("status", {}).get("podIP", "")

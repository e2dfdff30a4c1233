"""NetworkPolicies as network plugins read them: by the standard, as Calico does, and as Cilium does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any, Literal

Reading = Literal["standard", "cilium"]
READINGS: tuple[Reading, ...] = ("standard", "cilium")


@dataclass(frozen=True, kw_only=True)
class End:
    """One end of a connection; without a namespace it is no pod."""

    address: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def allows(
    policies: Iterable[Mapping[str, Any]], source: End, target: End, port: int, *, protocol: str, reading: Reading
) -> bool:
    """Whether both ends let the connection pass; an end that is no pod, or that no policy selects, lets all pass."""
    known = list(policies)
    for own, far, way, key in ((source, target, "Egress", "to"), (target, source, "Ingress", "from")):
        selecting = [each for each in known if way in each["spec"]["policyTypes"] and _is_of(each, own)]
        rules = [rule for each in selecting for rule in each["spec"].get(way.lower(), [])]
        opening = [rule for rule in rules if _opens(rule, port, protocol)]
        if selecting and not any(_names(peer, far, own.namespace, reading) for rule in opening for peer in rule[key]):
            return False
    return True


def _is_of(policy: Mapping[str, Any], pod: End) -> bool:
    return policy["metadata"]["namespace"] == pod.namespace and _selects(policy["spec"]["podSelector"], pod.labels)


def _opens(rule: Mapping[str, Any], port: int, protocol: str) -> bool:
    return any(each["port"] == port and each["protocol"] == protocol for each in rule["ports"])


def _names(peer: Mapping[str, Any], far: End, home: str, reading: Reading) -> bool:
    """Cilium knows pods by their labels only: no block of addresses has one in it."""
    if block := peer.get("ipBlock"):
        inside = _within(far.address, block["cidr"]) and not any(
            _within(far.address, hole) for hole in block.get("except", [])
        )
        return inside and not (reading == "cilium" and far.namespace)
    if not far.namespace:
        return False
    spaces = peer.get("namespaceSelector")
    near = far.namespace == home if spaces is None else _selects(spaces, _labels_of(far.namespace))
    return near and _selects(peer.get("podSelector", {}), far.labels)


def _labels_of(namespace: str) -> dict[str, str]:
    return {"kubernetes.io/metadata.name": namespace}


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}, "this reads matchLabels only"
    wanted: Mapping[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


@cache
def _within(address: str, block: str) -> bool:
    return ip_address(address) in ip_network(block)

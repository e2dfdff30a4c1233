"""The stand-in for a network plugin allows what the policies allow, and nothing else."""

import ipaddress
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kubernetes import policies, volumes

Thing = dict[str, Any]
NAMESPACES = [
    {"metadata": {"name": "rag", "labels": {"team": "rag"}}},
    {"metadata": {"name": "kube-system", "labels": {"kubernetes.io/metadata.name": "kube-system"}}},
]


def pod(name: str, ip: str, namespace: str = "rag", node: str = "node-1", **labels: str) -> Thing:
    ports = [{"name": "rest", "containerPort": 6333}]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name, **labels}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "ports": ports}]},
        "status": {"podIP": ip, "phase": "Running"},
    }


def policy(selector: Thing | None = None, **spec: Any) -> Thing:
    return {"metadata": {"namespace": "rag", "name": "p"}, "spec": {"podSelector": selector or {}, **spec}}


DATABASE, READER, STRANGER, DNS = (
    pod("database", "10.1.0.1"),
    pod("reader", "10.1.0.2"),
    pod("stranger", "10.1.0.3", node="node-2"),
    pod("dns", "10.1.0.4", namespace="kube-system"),
)
PODS = [DATABASE, READER, STRANGER, DNS]
ONLY_DATABASE = {"matchLabels": {"app": "database"}}
FROM_READER = {"from": [{"podSelector": {"matchLabels": {"app": "reader"}}}], "ports": [{"port": 6333}]}


def passes(written: str, source: str, target: str, port: int, protocol: str = "tcp") -> bool:
    """What a new packet meets, rule by rule, as the kernel reads them."""
    for chain in (policies.EGRESS, policies.INGRESS):
        for rule in re.findall(rf"^-A {chain} (.*)$", written, re.MULTILINE):
            if _meets(rule, source, target, port, protocol):
                if rule.endswith("DROP"):
                    return False
                break
    return True


def _meets(rule: str, source: str, target: str, port: int, protocol: str) -> bool:
    options = dict(re.findall(r"(-s|-d|-p|--dport) (\S+)", rule))
    first, _, last = options.get("--dport", "0:65535").partition(":")
    near = {"-s": source, "-d": target}
    homes = all(ipaddress.ip_address(near[way]) in ipaddress.ip_network(options[way]) for way in near if way in options)
    return homes and options.get("-p", protocol) == protocol and int(first) <= port <= int(last or first)


def at(written: str, source: Thing, target: Thing, port: int = 6333, protocol: str = "tcp") -> bool:
    return passes(written, source["status"]["podIP"], target["status"]["podIP"], port, protocol)


def test_a_pod_that_no_policy_selects_is_open() -> None:
    assert at(policies.chains([], PODS, NAMESPACES, "node-1"), STRANGER, DATABASE)


def test_only_named_pods_reach_a_selected_pod_and_only_at_its_port() -> None:
    written = policies.chains([policy(ONLY_DATABASE, ingress=[FROM_READER])], PODS, NAMESPACES, "node-1")
    assert at(written, READER, DATABASE)
    assert not at(written, STRANGER, DATABASE)
    assert not at(written, READER, DATABASE, port=6335)
    assert not at(written, READER, DATABASE, protocol="udp")
    assert at(written, STRANGER, READER)


def test_a_policy_without_rules_denies_everything_its_way_and_nothing_the_other_way() -> None:
    written = policies.chains([policy(ONLY_DATABASE, policyTypes=["Egress"])], PODS, NAMESPACES, "node-1")
    assert not at(written, DATABASE, READER)
    assert at(written, READER, DATABASE)


def test_policies_add_up() -> None:
    deny, allow = policy(policyTypes=["Ingress"]), policy(ONLY_DATABASE, ingress=[FROM_READER])
    written = policies.chains([deny, allow], PODS, NAMESPACES, "node-1")
    assert at(written, READER, DATABASE)
    assert not at(written, DATABASE, READER)


def test_another_namespace_is_reached_only_where_it_is_named() -> None:
    home = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    ask = {"to": [home], "ports": [{"port": 53, "protocol": "UDP"}]}
    near: Thing = {"to": [{"podSelector": {}}]}
    written = policies.chains([policy(egress=[ask])], PODS, NAMESPACES, "node-1")
    assert at(written, DATABASE, DNS, 53, "udp")
    assert not at(written, DATABASE, READER)
    written = policies.chains([policy(policyTypes=["Egress"], egress=[near])], PODS, NAMESPACES, "node-1")
    assert at(written, DATABASE, READER)
    assert not at(written, DATABASE, DNS, 53, "udp")


def test_a_port_may_be_named_and_ports_may_be_a_range() -> None:
    ports = [{"port": "rest"}, {"port": 7000, "endPort": 7010}]
    written = policies.chains([policy(ONLY_DATABASE, ingress=[{"ports": ports}])], PODS, NAMESPACES, "node-1")
    assert [at(written, READER, DATABASE, port) for port in (6333, 7005, 7011)] == [True, True, False]


def test_each_node_has_the_rules_of_its_own_pods_and_a_finished_pod_has_none() -> None:
    denied = policy(policyTypes=["Ingress"])
    assert not at(policies.chains([denied], PODS, NAMESPACES, "node-2"), READER, STRANGER)
    assert at(policies.chains([denied], PODS, NAMESPACES, "node-2"), READER, DATABASE)
    over = {**DATABASE, "status": {"podIP": "10.1.0.1", "phase": "Succeeded"}}
    assert "10.1.0.1 " not in policies.chains([denied], [over, READER], NAMESPACES, "node-1")


@given(st.lists(st.ip_addresses(v=4), min_size=1, max_size=5), st.integers(9, 30), st.data())
def test_a_block_of_addresses_is_open_but_for_its_exceptions(asked: list[Any], bits: int, data: Any) -> None:
    hole = ipaddress.ip_network((int(data.draw(st.ip_addresses(v=4, network="10.0.0.0/8"))), bits), strict=False)
    whole = "10.0.0.0/8"
    block = {"cidr": whole, "except": [str(hole)]}
    written = policies.chains([policy(egress=[{"to": [{"ipBlock": block}]}])], PODS, NAMESPACES, "node-1")
    for address in (*asked, hole.network_address):
        wanted = address in ipaddress.ip_network(whole) and address not in hole
        assert passes(written, "10.1.0.1", str(address), 443) is wanted


@pytest.mark.parametrize(
    ("operator", "values", "holds"),
    [
        ("In", ["a"], True),
        ("In", ["b"], False),
        ("NotIn", ["a"], False),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ],
)
def test_expressions_select_as_they_say(operator: str, values: list[str], holds: bool) -> None:
    asked = {"matchExpressions": [{"key": "tier", "operator": operator, "values": values}]}
    assert policies.matches(asked, {"tier": "a"}) is holds


def claim(**spec: Any) -> Thing:
    resources = {"requests": {"storage": "1Gi"}}
    metadata = {"name": "c", "namespace": "rag", "uid": "u", "annotations": {volumes.CHOSEN: "node-2"}}
    return {"metadata": metadata, "spec": {"accessModes": [], "resources": resources, **spec}}


def test_a_claim_gets_a_volume_on_the_node_of_its_first_pod_and_on_no_other() -> None:
    [made] = volumes.missing([claim(storageClassName=volumes.CLASS)])
    [term] = made["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["node-2"]
    assert made["spec"]["claimRef"]["uid"] == "u"


@pytest.mark.parametrize(
    "spec", [{"storageClassName": "other"}, {"storageClassName": volumes.CLASS, "volumeName": "v"}]
)
def test_a_claim_of_another_class_and_one_that_is_bound_get_none(spec: Thing) -> None:
    assert list(volumes.missing([claim(**spec)])) == []


@pytest.mark.parametrize(
    ("phase", "policy_", "removed"),
    [("Released", "Delete", ["v"]), ("Released", "Retain", []), ("Bound", "Delete", [])],
)
def test_a_volume_goes_with_its_claim_unless_it_is_to_be_retained(phase: str, policy_: str, removed: list[str]) -> None:
    spec = {"persistentVolumeReclaimPolicy": policy_}
    notes = {"pv.kubernetes.io/provisioned-by": volumes.DRIVER}
    one = {"metadata": {"name": "v", "annotations": notes}, "spec": spec, "status": {"phase": phase}}
    assert list(volumes.released([one])) == removed
    assert list(volumes.released([{**one, "metadata": {"name": "v"}}])) == []

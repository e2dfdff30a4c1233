"""What NetworkPolicies allow is the same wherever they are enforced, by the standard reading and by Cilium's."""

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import pytest

from tests.program.engine import Engine, run_program
from tests.program.network_readings import READINGS, End, Reading, allows

OUTSIDE = {
    "ragEmbedder": "ollama",
    "ragOllamaUrl": "http://ollama.models.svc:11434",
    "gatewayRedisAddress": "redis.cache.svc:6380",
    "observabilityTracesUrl": "http://collector.tracing.svc:4318",
    "observabilityPrometheusUrl": "http://prometheus.monitoring.svc:9090",
}
INGRESS = {
    "kubernetesEdge": "ingress",
    "kubernetesEdgeHost": "rag.example.com",
    "kubernetesEdgeTlsSecret": "rag-tls",
    "gatewayTrustedProxies": '["10.244.0.0/16"]',
}
BALANCER = {"kubernetesEdge": "loadbalancer", "kubernetesEdgeTlsSecret": "rag-tls"}
# What a stack is beside: pods of other namespaces, addresses outside, and metadata services.
PODS = {
    "ingress controller": End(address="10.244.9.1", namespace="ingress-nginx", labels={"app": "controller"}),
    "ollama": End(address="10.244.9.2", namespace="models", labels={"app": "ollama"}),
    "stranger": End(address="10.244.9.3", namespace="rag-prod", labels={"app": "stranger"}),
    "dns": End(address="10.244.9.4", namespace="kube-system", labels={"k8s-app": "kube-dns"}),
    "prometheus of the cluster": End(address="10.244.9.5", namespace="monitoring"),
}
WORLD = {"client": End(address="203.0.113.9"), "client by IPv6": End(address="2001:db8::9")}
METADATA = {
    address: End(address=address)
    for address in (
        *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("fd00:ec2::254", "fd20:ce::254", "fe80::1"),
    )
}


def policies(engine: Engine) -> list[Mapping[str, Any]]:
    return [request.inputs for request in engine.of(":NetworkPolicy")]


def own_pods(engine: Engine) -> dict[str, End]:
    """Every workload of the stack, as the pods that its controller makes."""
    kinds = (":Deployment", ":StatefulSet", ":Job")
    found = [request.inputs for kind in kinds for request in engine.of(kind)]
    found += [request.inputs["manifest"] for request in engine.of(":JobOnce")]
    return {
        each["metadata"]["name"]: End(
            address=f"10.244.1.{number}",
            namespace=each["metadata"]["namespace"],
            labels=each["spec"]["template"]["metadata"]["labels"],
        )
        for number, each in enumerate(found, start=1)
    }


def ports_of(rules: list[Mapping[str, Any]]) -> set[tuple[int, str]]:
    """Every port that any of the policies names, and one that none does."""
    ways = [rule for each in rules for way in ("ingress", "egress") for rule in each["spec"].get(way, [])]
    return {(port["port"], port["protocol"]) for rule in ways for port in rule["ports"]} | {(22, "TCP")}


def disagreements(engine: Engine, rules: list[Mapping[str, Any]]) -> Iterator[str]:
    """Connections that one reading allows and the other does not."""
    ends = {**own_pods(engine), **PODS, **WORLD, **METADATA}
    for (source, near), (target, far), (port, protocol) in product(ends.items(), ends.items(), ports_of(rules)):
        found = {reading: allows(rules, near, far, port, protocol=protocol, reading=reading) for reading in READINGS}
        if len(set(found.values())) > 1:
            yield f"{source} to {target}:{port:g}"


@pytest.fixture(
    scope="module", params=[{}, OUTSIDE, INGRESS, BALANCER], ids=["as it is", "outside", "ingress", "balancer"]
)
def variant(request: pytest.FixtureRequest) -> Engine:
    return run_program("prod", **request.param)


def test_the_policies_mean_the_same_by_both_readings(variant: Engine) -> None:
    assert list(disagreements(variant, policies(variant))) == []


def test_a_block_of_addresses_alone_would_not_mean_the_same() -> None:
    engine = run_program("prod", **OUTSIDE)
    blocks_only = json.loads(json.dumps(policies(engine)))
    for rule in (rule for each in blocks_only for rule in each["spec"].get("egress", [])):
        rule["to"] = [peer for peer in rule["to"] if peer != {"namespaceSelector": {}}]
    assert "rag-ingest to ollama:11434" in list(disagreements(engine, blocks_only))


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize(
    ("overrides", "connection", "wanted"),
    [
        (INGRESS, ("ingress controller", "kong", 8000), True),
        (INGRESS | {"kubernetesEdgeNamespace": "ingress-nginx"}, ("ingress controller", "kong", 8000), True),
        (INGRESS | {"kubernetesEdgeNamespace": "ingress-nginx"}, ("ollama", "kong", 8000), False),
        (INGRESS, ("ingress controller", "qdrant", 6333), False),
        (INGRESS, ("ingress controller", "rag-service", 3000), False),
        (BALANCER, ("client", "kong", 8443), True),
        (BALANCER, ("client by IPv6", "kong", 8443), True),
        (BALANCER, ("client", "kong", 8000), False),
        (BALANCER, ("client", "qdrant", 6333), False),
        (OUTSIDE, ("rag-ingest", "ollama", 11434), True),
        (OUTSIDE, ("rag-ingest", "client", 11434), True),
        (OUTSIDE, ("rag-ingest", "ollama", 6333), False),
        (OUTSIDE, ("kong", "ollama", 6380), True),
        (OUTSIDE, ("kong", "ollama", 4318), True),
        (OUTSIDE, ("grafana", "prometheus of the cluster", 9090), True),
        (OUTSIDE, ("qdrant", "client", 11434), False),
        ({}, ("kong", "client", 443), False),
        ({}, ("stranger", "qdrant", 6335), False),
        ({}, ("rag-service", "haproxy", 6333), True),
    ],
)
def test_what_is_declared_is_open_and_nothing_else(
    overrides: dict[str, str], connection: tuple[str, str, int], wanted: bool, reading: Reading
) -> None:
    source, target, port = connection
    engine = run_program("prod", **overrides)
    ends = {**own_pods(engine), **PODS, **WORLD}
    assert allows(policies(engine), ends[source], ends[target], port, protocol="TCP", reading=reading) is wanted


@pytest.mark.parametrize("reading", READINGS)
def test_every_pod_resolves_names(variant: Engine, reading: Reading) -> None:
    for name, pod in own_pods(variant).items():
        assert allows(policies(variant), pod, PODS["dns"], 53, protocol="UDP", reading=reading), name


@pytest.mark.parametrize("reading", READINGS)
def test_no_pod_reaches_a_metadata_service(variant: Engine, reading: Reading) -> None:
    rules = policies(variant)
    for (name, pod), (at, service), (port, protocol) in product(
        own_pods(variant).items(), METADATA.items(), {*ports_of(rules), (80, "TCP"), (443, "TCP")}
    ):
        assert not allows(rules, pod, service, port, protocol=protocol, reading=reading), f"{name} to {at}:{port}"


def test_a_metadata_service_that_is_open_would_be_seen() -> None:
    engine = run_program("prod", **OUTSIDE)
    opened = json.loads(json.dumps(policies(engine)).replace('"169.254.0.0/16"', '"169.254.20.10/32"'))
    at = METADATA["169.254.169.254"]
    assert allows(opened, own_pods(engine)["rag-ingest"], at, 11434, protocol="TCP", reading="cilium")

"""Each predicate by itself: plain data in, advice out, with the edges on both sides."""

from typing import Any

import pytest

from policies import catalogue
from policies.rule import Subject

QDRANT, KONG, COLLECTION = "rag:components:QdrantCluster", "rag:components:KongGateway", "x:ReplicatedCollection"
BOX, DISK, IMAGE = (
    f"docker:index/{kind}" for kind in ("container:Container", "volume:Volume", "remoteImage:RemoteImage")
)
SET, CLAIM = "kubernetes:apps/v1:StatefulSet", "kubernetes:core/v1:PersistentVolumeClaim"
OBSERVABILITY = "rag:components:ObservabilityStack"
JOB, SERVICE = "kubernetes:batch/v1:CronJob", "kubernetes:core/v1:Service"
FENCE = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
INGRESS, NAMESPACE = "kubernetes:networking.k8s.io/v1:Ingress", "kubernetes:core/v1:Namespace"
RULES = {rule.name: rule for rule in catalogue.RULES}
Settings = dict[str, Any]
Row = tuple[str, str, dict[str, Any], Settings, int]


def qdrant(**nodes: Any) -> dict[str, Any]:
    return {"nodes": 3, "workloads": {"qdrant": nodes}}


def kong(*plugins: tuple[str, dict[str, Any]], node: Any = None, upstreams: Any = ()) -> dict[str, Any]:
    """A gateway with one public service and these plugins."""
    listed = [{"name": name, "config": config} for name, config in plugins]
    service = {"name": "api", "routes": [{"name": "r"}], "plugins": listed}
    return {"workloads": {"kong": node or {}}, "description": {"services": [service], "upstreams": list(upstreams)}}


def pods(container: Any = None, replicas: int = 1, labels: Any = None, **spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": labels or {}},
        "spec": {"containers": [{"name": "c", **(container or {})}], **spec},
    }
    return {"spec": {"replicas": replicas, "template": template}}


def egress(block: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"egress": [{"to": [{"ipBlock": block}], "ports": [{"port": 443}]}]}}


def upstream(interval: int, successes: int, failures: int) -> dict[str, Any]:
    active = {"healthy": {"interval": interval, "successes": successes}, "unhealthy": {"interval": 1}}
    return {"name": "u", "healthchecks": {"active": {**active, "unhealthy": {"interval": 1, "tcp_failures": failures}}}}


def jwt(seconds: int) -> tuple[str, dict[str, Any]]:
    return "jwt", {"claims_to_verify": ["exp"], "maximum_expiration": seconds}


def size(most: int, unit: str) -> tuple[str, dict[str, Any]]:
    return "request-size-limiting", {"allowed_payload_size": most, "size_unit": unit}


def redis(fault_tolerant: bool = True, **redis: int) -> tuple[str, dict[str, Any]]:
    return "rate-limiting", {"policy": "redis", "fault_tolerant": fault_tolerant, "redis": redis}


def with_consumer(**limit: Any) -> dict[str, Any]:
    consumer = {"username": "web", "plugins": [{"name": "rate-limiting", "config": limit}]}
    return {"description": {"consumers": [consumer]}}


SAFE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
CHANGED = ("request-transformer", {"remove": {"headers": ["X-A", "X_A"]}, "add": {"headers": ["X-A:${A}"]}})
ON: Settings = {"in_force": True}
ROWS: list[Row] = [
    ("clusters-keep-a-majority", QDRANT, {"nodes": 3}, {}, 0),
    ("clusters-keep-a-majority", QDRANT, {"nodes": 7}, {}, 0),
    ("clusters-keep-a-majority", QDRANT, {"nodes": 6}, {}, 1),
    ("clusters-keep-a-majority", QDRANT, {"nodes": 3}, {"fewest": 5}, 1),
    ("collections-survive-a-lost-node", COLLECTION, {"replication_factor": 2}, {}, 0),
    ("collections-survive-a-lost-node", COLLECTION, {"replication_factor": 2}, {"fewest": 3}, 1),
    ("collections-survive-a-lost-node", COLLECTION, {}, {}, 0),  # not known yet
    ("writes-go-on-without-a-node", COLLECTION, {"replication_factor": 3, "write_consistency_factor": 2}, {}, 0),
    ("writes-go-on-without-a-node", COLLECTION, {"replication_factor": 3, "write_consistency_factor": 3}, {}, 1),
    ("nodes-are-drained-before-they-stop", QDRANT, qdrant(drained_before_stop=True), {}, 0),
    ("nodes-are-drained-before-they-stop", QDRANT, qdrant(image="x"), {}, 1),
    ("nodes-do-not-linger", QDRANT, qdrant(grace_seconds=0), {}, 0),
    ("nodes-do-not-linger", QDRANT, qdrant(grace_seconds=1), {}, 1),
    ("nodes-do-not-linger", QDRANT, qdrant(grace_seconds=1), {"most_seconds": 1}, 0),
    ("peers-draw-their-own-ids", QDRANT, qdrant(env={"QDRANT__CLUSTER__ENABLED": "true"}), {}, 0),
    ("peers-draw-their-own-ids", QDRANT, qdrant(args=["--peer-id", "7"]), {}, 1),
    ("replicas-are-spread", SET, pods(replicas=1), {}, 0),
    ("replicas-are-spread", SET, pods(replicas=3), {}, 1),
    ("replicas-are-spread", SET, pods(replicas=3, affinity={"podAntiAffinity": {"x": []}}), {}, 0),
    ("disruptions-have-a-budget", SET, pods(replicas=1), {}, 0),
    ("disruptions-have-a-budget", SET, pods(replicas=3), {}, 1),
    ("data-is-on-block-storage", DISK, {"driver": "local"}, {}, 0),
    ("data-is-on-block-storage", DISK, {"driver": "s3fs"}, {}, 1),
    ("data-is-on-block-storage", BOX, {"volumes": [{"hostPath": "/etc/x", "readOnly": True}]}, {}, 0),
    ("data-is-on-block-storage", CLAIM, {"spec": {"storageClassName": "standard"}}, {}, 0),
    ("data-is-on-block-storage", SET, pods(volumes=[{"name": "d", "nfs": {}}]), {}, 1),
    ("alerts-reach-somebody", OBSERVABILITY, {}, {}, 0),
    ("alerts-reach-somebody", OBSERVABILITY, {}, ON, 1),
    ("alerts-reach-somebody", OBSERVABILITY, {"alert_slack_url": "true"}, ON, 0),
    ("alerts-reach-somebody", OBSERVABILITY, {"alert_mail_to": ["ops@example.com"]}, ON, 0),
    ("alerts-reach-somebody", OBSERVABILITY, {"prometheus_url": "http://prometheus:9090"}, ON, 0),
    ("data-is-protected", DISK, {}, {}, 0),
    ("data-is-protected", DISK, {}, ON, 1),
    ("data-is-protected", SET, pods(), ON, 0),
    ("routes-ask-for-tokens-that-expire", KONG, kong(jwt(3600)), {}, 0),
    ("routes-ask-for-tokens-that-expire", KONG, kong(jwt(0)), {}, 1),  # Kong's default: any
    ("routes-ask-for-tokens-that-expire", KONG, kong(jwt(2 * 86400)), {"most_days": 1}, 1),
    ("routes-ask-for-tokens-that-expire", KONG, kong(("jwt", {"claims_to_verify": ["nbf"]})), {}, 1),
    ("routes-ask-for-tokens-that-expire", KONG, kong(), {}, 1),
    ("tokens-stay-out-of-urls", KONG, kong(("jwt", {"uri_param_names": []})), {}, 0),
    ("tokens-stay-out-of-urls", KONG, kong(("jwt", {})), {}, 1),  # Kong's default
    ("service-tokens-are-removed-before-they-are-added", KONG, kong(CHANGED), {"header": ""}, 0),
    ("service-tokens-are-removed-before-they-are-added", KONG, kong(CHANGED), {}, 1),
    ("credentials-need-named-origins", KONG, kong(("cors", {"credentials": True, "origins": ["https://a.b"]})), {}, 0),
    ("credentials-need-named-origins", KONG, kong(("cors", {"credentials": False})), {}, 0),
    ("credentials-need-named-origins", KONG, kong(("cors", {"credentials": True})), {}, 1),  # Kong's default is any
    ("health-checks-recover", KONG, kong(upstreams=[upstream(1, 2, 2)]), {}, 0),
    ("health-checks-recover", KONG, kong(upstreams=[upstream(1, 0, 2)]), {}, 1),
    ("health-checks-recover", KONG, kong(upstreams=[upstream(1, 2, 0)]), {}, 1),
    ("routes-are-limited", KONG, with_consumer(minute=6000, limit_by="consumer"), {}, 0),
    ("routes-are-limited", KONG, with_consumer(minute=6001, limit_by="consumer"), {}, 1),
    ("routes-are-limited", KONG, with_consumer(minute=60), {"most_per_consumer": 50}, 1),
    ("limits-count-the-callers-address", KONG, with_consumer(minute=60, limit_by="consumer"), {}, 0),
    ("limits-count-the-callers-address", KONG, with_consumer(minute=60, limit_by="ip"), {}, 1),
    ("counting-holds-up-no-call", KONG, with_consumer(minute=60, fault_tolerant=False), {}, 1),
    ("routes-are-limited", KONG, kong(("rate-limiting", {"minute": 600})), {}, 0),
    ("routes-are-limited", KONG, kong(("rate-limiting", {"second": 11})), {}, 1),
    ("routes-are-limited", KONG, kong(("rate-limiting", {"second": 11, "hour": 60})), {}, 0),  # the tightest counts
    ("bodies-are-limited", KONG, kong(("request-size-limiting", {"allowed_payload_size": 64})), {}, 0),
    ("bodies-are-limited", KONG, kong(("request-size-limiting", {})), {}, 1),  # Kong's default is 128 MiB
    ("bodies-are-limited", KONG, kong(size(2**20, "bytes")), {"most_mib": 1}, 0),
    ("bodies-are-limited", KONG, kong(size(1025, "kilobytes")), {"most_mib": 1}, 1),
    ("counting-holds-up-no-call", KONG, kong(("rate-limiting", {"policy": "local"})), {}, 0),
    ("counting-holds-up-no-call", KONG, kong(redis(timeout=50)), {}, 0),
    ("counting-holds-up-no-call", KONG, kong(redis()), {}, 1),  # Kong's default is 2 s
    ("counting-holds-up-no-call", KONG, kong(redis(fault_tolerant=False, timeout=5)), {}, 1),
    ("limits-are-honest-for-the-number-of-nodes", KONG, kong(("rate-limiting", {"policy": "local"})), {}, 0),
    ("limits-are-honest-for-the-number-of-nodes", KONG, kong(("rate-limiting", {}), node={"replicas": 2}), {}, 1),
    ("limits-count-the-callers-address", KONG, kong(("rate-limiting", {"limit_by": "ip"})), {}, 0),
    ("limits-count-the-callers-address", KONG, kong(("rate-limiting", {})), {}, 1),
    ("limits-count-the-callers-address", KONG, kong(), {"behind_a_proxy": True}, 1),
    ("the-admin-api-is-private", KONG, kong(node={"env": {"KONG_ADMIN_GUI_LISTEN": "off"}}), {}, 0),
    ("the-admin-api-is-private", KONG, kong(node={"ports": []}), {}, 1),
    ("the-admin-api-is-private", SERVICE, {"spec": {"type": "ClusterIP", "ports": [{"port": 8001}]}}, {}, 0),
    ("images-are-pinned", IMAGE, {"name": "registry:5000/kong:3.9.3"}, {}, 0),
    ("images-are-pinned", IMAGE, {"name": "registry:5000/kong"}, {}, 1),  # the colon is the port's
    ("images-are-pinned", IMAGE, {"name": "rag:latest", "build": {"context": "."}}, {}, 0),
    ("images-are-pinned-by-digest", SET, pods({"image": f"kong:3@sha256:{'a' * 64}"}), ON, 0),
    ("images-are-pinned-by-digest", SET, pods({"image": "kong:3.9.3"}), ON, 1),
    ("images-come-from-known-registries", IMAGE, {"name": "kong:3.9.3"}, {}, 0),
    ("images-come-from-known-registries", IMAGE, {"name": "docker.io.evil.example/kong:3"}, {}, 1),
    ("images-come-from-known-registries", IMAGE, {"name": "kong:3"}, {"registries": ["docker.io/qdrant"]}, 1),
    ("secrets-stay-out-of-sight", BOX, {"envs": ["PASSWORD_FILE=/run/secrets/p", "TOKENS=3"]}, {}, 0),
    # pragma: allowlist nextline secret
    ("secrets-stay-out-of-sight", BOX, {"envs": ["DB=postgres://kong:pw@db/kong"]}, {}, 1),
    # pragma: allowlist nextline secret
    ("secrets-stay-out-of-sight", BOX, {"labels": [{"label": "a", "value": "-----BEGIN PRIVATE KEY-----"}]}, {}, 1),
    ("secrets-stay-out-of-sight", KONG, {"jwt_keys": ["rag-client-1"], "secret": "${JWT}"}, {}, 0),
    ("ports-stay-on-this-machine", BOX, {"ports": [{"internal": 1, "external": 1, "ip": "127.0.0.1"}]}, {}, 0),
    ("ports-stay-on-this-machine", BOX, {"ports": [{"internal": 1, "external": 1, "ip": "10.0.0.1"}]}, {}, 1),
    ("the-edge-speaks-tls", SERVICE, {"spec": {"type": "ClusterIP", "ports": [{"port": 80}]}}, {}, 0),
    ("the-edge-speaks-tls", INGRESS, {"spec": {"rules": [{"host": "a"}]}}, {}, 1),
    ("the-peer-port-is-fenced", SET, pods({"ports": [{"containerPort": 6333}]}), {}, 0),
    ("the-peer-port-is-fenced", SET, pods({"ports": [{"containerPort": 6335}]}), {}, 1),
    ("metadata-services-stay-out-of-reach", FENCE, egress({"cidr": "10.0.0.0/8"}), {}, 0),
    ("metadata-services-stay-out-of-reach", FENCE, egress({"cidr": "169.254.20.10/32"}), {}, 0),
    ("metadata-services-stay-out-of-reach", FENCE, egress({"cidr": "0.0.0.0/0"}), {}, 1),
    ("metadata-services-stay-out-of-reach", FENCE, egress({"cidr": "::/0", "except": ["fe80::/10"]}), {}, 1),
    ("metadata-services-stay-out-of-reach", FENCE, {"spec": {"egress": [{"ports": [{"port": 53}]}]}}, {}, 1),
    ("containers-are-unprivileged", BOX, {}, {}, 0),
    ("containers-are-unprivileged", BOX, {"privileged": True}, {}, 1),
    ("containers-have-a-network-of-their-own", BOX, {"networkMode": "bridge"}, {}, 0),
    ("containers-have-a-network-of-their-own", BOX, {"networkMode": "host", "pidMode": "host"}, {}, 2),
    ("processes-do-not-run-as-root", BOX, {}, {}, 0),  # the image's own, which nobody here can see
    ("processes-do-not-run-as-root", BOX, {}, {"named": True}, 1),
    ("processes-do-not-run-as-root", BOX, {"user": "root"}, {}, 1),
    ("processes-do-not-run-as-root", BOX, {"user": "1000:0"}, {"named": True}, 0),
    ("capabilities-are-dropped", BOX, {"capabilities": {"drops": ["ALL"], "adds": ["CAP_CHOWN"]}}, {}, 0),
    ("capabilities-are-dropped", BOX, {"capabilities": {"drops": ["ALL"], "adds": ["CHOWN"]}}, {"may_add": []}, 1),
    ("containers-gain-no-privileges", BOX, {"securityOpts": ["no-new-privileges:true"]}, {}, 0),
    ("containers-gain-no-privileges", BOX, {}, {}, 1),
    ("containers-gain-no-privileges", SET, pods({"securityContext": SAFE}), {}, 0),
    ("pods-are-restricted", JOB, {"spec": {"jobTemplate": {"spec": pods()["spec"]}}}, {}, 1),
    ("pods-are-restricted", SET, pods(securityContext={"seccompProfile": {"type": "RuntimeDefault"}}), {}, 0),
    ("pods-are-restricted", NAMESPACE, {}, {}, 1),
    ("memory-and-cpu-are-bounded", BOX, {"memory": 64}, {}, 0),
    ("memory-and-cpu-are-bounded", SET, pods(), {}, 3),
    ("containers-are-labelled", BOX, {"labels": [{"label": "rag-platform", "value": "dev"}]}, {}, 0),
    ("containers-are-labelled", BOX, {"labels": [{"label": "other", "value": "dev"}]}, {}, 1),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "kind", "inputs", "chosen", "wrong"), ROWS)
def test_the_table(rule: str, kind: str, inputs: dict[str, Any], chosen: Settings, wrong: int) -> None:
    assert len(RULES[rule].judge([Subject(type=kind, name="it", inputs=inputs)], chosen)) == wrong


# Two rules of the whole stack, and the one about exceptions, have tables of their own below.
ELSEWHERE = {"replicas-fit-the-nodes", "shards-spread-over-the-nodes", "exceptions-are-written-and-dated"}


def test_every_rule_has_a_row_that_passes_and_one_that_fails() -> None:
    liked = {row[0] for row in ROWS if not row[4]}
    disliked = {row[0] for row in ROWS if row[4]}
    assert set(RULES) - ELSEWHERE == liked == disliked


@pytest.mark.parametrize(
    ("nodes", "shards", "factor", "fits", "spreads"),
    [
        (3, 6, 2, True, True),
        (3, 3, 3, True, True),
        (5, 6, 2, True, True),  # a cluster that grew
        (3, 2, 2, True, False),
        (3, 5, 1, True, True),
        (5, 6, 1, True, False),
        (3, 61, 3, True, False),
        (3, 6, 4, False, True),
    ],
)
def test_shards_and_replicas_against_the_nodes(nodes: int, shards: int, factor: int, fits: bool, spreads: bool) -> None:
    inputs = {"shard_number": shards, "replication_factor": factor}
    stack = [
        Subject(type=QDRANT, name="q", inputs={"nodes": nodes}),
        Subject(type=COLLECTION, name="c", inputs=inputs),
    ]
    assert bool(RULES["replicas-fit-the-nodes"].judge(stack)) is not fits
    assert bool(RULES["shards-spread-over-the-nodes"].judge(stack)) is not spreads


def test_a_subject_of_another_type_is_ignored() -> None:
    anything = Subject(type="aws:s3/bucket:Bucket", name="b", inputs={"privileged": True})
    assert all(not rule.judge([anything]) for rule in catalogue.RULES)

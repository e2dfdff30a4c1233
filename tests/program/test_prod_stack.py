"""The prod stack as a cluster would see it: what its manifests promise, and that a strict cluster takes them."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import kubernetes_validate.utils
import pytest
import yaml

from platforms.kubernetes.files import digest, keyed_digest
from platforms.workload import HttpProbe, Workload
from tests.program.engine import CERTIFICATE, Engine, free_port, run_again, run_program

VERSION = "1.34"
OPERATORS = "kubernetes:monitoring.coreos.com/"
CONTROLLERS = (":Deployment", ":StatefulSet", ":Job")


def manifests(engine: Engine) -> Iterator[dict[str, Any]]:
    """Every object of Kubernetes' own; the founding Job travels inside its provider's resource."""
    for request in engine.requests:
        if request.type.startswith("kubernetes:") and not request.type.startswith(OPERATORS):
            yield dict(request.inputs)
    for request in engine.of(":JobOnce"):
        yield dict(request.inputs["manifest"])


def pod_specs(engine: Engine) -> dict[str, dict[str, Any]]:
    """Name -> spec of every pod there will be."""
    kinds = ("Deployment", "StatefulSet", "Job")
    found = [each for each in manifests(engine) if each["kind"] in kinds]
    return {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in found}


def policies(engine: Engine) -> dict[str, dict[str, Any]]:
    return {request.name: request.inputs["spec"] for request in engine.of(":NetworkPolicy")}


@pytest.fixture(
    scope="module",
    params=[
        {},
        {"gatewayBackend": "database", "gatewayAdminPort": "a free one"},
        {"kubernetesEdge": "ingress", "kubernetesEdgeHost": "rag.example.com", "kubernetesEdgeTlsSecret": "rag-tls",
         "kubernetesEdgeTlsIssuer": "letsencrypt", "kubernetesEdgeNamespace": "ingress-nginx",
         "gatewayTrustedProxies": '["10.244.0.0/16"]'},
        {"kubernetesEdge": "loadbalancer", "kubernetesEdgeTlsSecret": "rag-tls", "kubernetesPullSecret": "pull",
         "kubernetesRegistryMirror": "mirror.example.com/all", "kubernetesStorageClass": "fast",
         "kubernetesWorkClass": "cheap", "kubernetesSpread": "soft", "kubernetesZoneKey": ""},
        {"kubernetesMonitoringOperator": "true", "kubernetesMonitoringNamespace": "monitoring",
         "kubernetesSecretName": "ours", "observabilityPrometheusUrl": "http://prometheus.monitoring:9090",
         "gatewayRedisAddress": "redis.example.com:6380"},
    ],
    ids=["as it is", "with a database", "behind an ingress", "behind a load balancer", "all of one's own"],
)  # fmt: skip
def variant(request: pytest.FixtureRequest) -> Engine:
    return run_program(
        "prod", **{key: free_port() if given == "a free one" else given for key, given in request.param.items()}
    )


def test_every_manifest_passes_the_strict_schema(variant: Engine) -> None:
    for manifest in manifests(variant):
        validate(json.dumps(manifest))


# It reads megabytes of definitions, the same ones for each manifest.
kubernetes_validate.utils.schema_contents = cache(kubernetes_validate.utils.schema_contents)


@cache
def validate(manifest: str) -> None:
    """ValidationError unless the schema of its kind takes it; variants share most of their manifests."""
    kubernetes_validate.validate(json.loads(manifest), VERSION, strict=True)


def test_a_misspelt_field_would_be_seen(prod: Engine) -> None:
    broken = json.loads(json.dumps(next(each for each in manifests(prod) if each["kind"] == "StatefulSet")))
    broken["spec"]["podManagementPolcy"] = "Parallel"
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(json.dumps(broken))


def test_every_pod_is_restricted_and_writes_only_where_it_was_let(variant: Engine) -> None:
    for name, spec in pod_specs(variant).items():
        security = spec["securityContext"]
        assert security["runAsNonRoot"], name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        for container in spec["containers"]:
            own = container["securityContext"]
            assert own["readOnlyRootFilesystem"], name
            assert not own["allowPrivilegeEscalation"], name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"].keys() == container["resources"]["requests"].keys()


def test_the_namespace_takes_nothing_but_restricted_pods(prod: Engine) -> None:
    [namespace] = prod.of(":Namespace")
    assert namespace.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_pods_connect_only_where_it_is_declared(prod: Engine) -> None:
    assert policies(prod)["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    endpoints = [spec for spec in policies(prod).values() if spec.get("ingress")]
    peers = [
        (spec["podSelector"]["matchLabels"]["app.kubernetes.io/name"], _callers(rule))
        for spec in endpoints
        for rule in spec["ingress"]
        if 6335 in {port["port"] for port in rule["ports"]}
    ]
    assert peers == [("qdrant", {"qdrant"})]


def _callers(rule: dict[str, Any]) -> set[str]:
    return {each["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for each in rule["from"]}


def test_each_connection_is_allowed_at_both_ends(variant: Engine) -> None:
    wires = {way: set(_ends(variant, way)) for way in ("egress", "ingress")}
    assert wires["egress"]
    assert wires["egress"] == wires["ingress"]


def test_a_node_of_qdrant_gets_whole_shards_from_its_peers_rest_api(prod: Engine) -> None:
    """Without that port a copy that is lost is never made again: its snapshot is waited for, in vain."""
    between = {port for caller, callee, port in _ends(prod, "ingress") if caller == callee == "qdrant"}
    assert between == {6333, 6335}


def _ends(engine: Engine, way: str) -> Iterator[tuple[str, str, int]]:
    """(caller, callee, port) of every rule between pods."""
    for spec in policies(engine).values():
        own = spec["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name")
        for rule in spec.get(way, []):
            for other in rule["to" if way == "egress" else "from"]:
                if "podSelector" in other:
                    far = other["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
                    ends = (own, far) if way == "egress" else (far, own)
                    yield from ((*ends, port["port"]) for port in rule["ports"])


def test_without_an_edge_the_world_is_let_in_nowhere(prod: Engine) -> None:
    assert not [r for r in prod.of(":Service") if r.inputs["spec"].get("type") in ("LoadBalancer", "NodePort")]
    assert not prod.of(":Ingress")
    assert "0.0.0.0/0" not in json.dumps(policies(prod))


def test_an_ingress_ends_the_tls_and_is_the_only_way_in() -> None:
    engine = run_program(
        "prod",
        kubernetesEdge="ingress",
        kubernetesEdgeHost="rag.example.com",
        kubernetesEdgeTlsSecret="rag-tls",
        kubernetesEdgeNamespace="ingress-nginx",
        gatewayTrustedProxies='["10.244.0.0/16"]',
    )
    [ingress] = engine.of(":Ingress")
    assert ingress.inputs["spec"]["tls"] == [{"hosts": ["rag.example.com"], "secretName": "rag-tls"}]
    [rule] = policies(engine)["kong-from-outside"]["ingress"]
    assert rule["ports"] == [{"port": 8000, "protocol": "TCP"}]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}]


def test_a_node_that_rolls_is_for_the_gates_to_touch_and_is_stopped_hard(prod: Engine) -> None:
    spec = prod.one("qdrant", ":StatefulSet").inputs["spec"]
    pod = spec["template"]["spec"]
    assert (spec["podManagementPolicy"], spec["updateStrategy"]) == ("Parallel", {"type": "OnDelete"})
    assert pod["shareProcessNamespace"]
    assert pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1] == "kill -9 -1"
    assert pod["containers"][0]["readinessProbe"]["httpGet"]["path"] == "/readyz"
    startup = pod["containers"][0]["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 600


def test_no_disk_is_tied_to_a_machine_before_its_replica_is(prod: Engine) -> None:
    """Placed first, a pod with the disk of replica 0 chooses a machine that another replica may take before it."""
    founding, nodes = prod.one("qdrant-founding"), prod.one("qdrant", ":StatefulSet")
    [required] = pod_specs(prod)["qdrant-founding"]["affinity"]["podAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert required["topologyKey"] == "kubernetes.io/hostname"
    assert required["labelSelector"] == {"matchLabels": {"statefulset.kubernetes.io/pod-name": "qdrant-0"}}
    labels = founding.inputs["manifest"]["spec"]["template"]["metadata"]["labels"]
    apart = nodes.inputs["spec"]["selector"]["matchLabels"]
    assert not apart.items() <= labels.items(), "the nodes would not suffer it beside them"
    assert founding.urn not in nodes.depends_on, "the Job would wait for a pod that waits for it"
    assert nodes.urn not in founding.depends_on, "what stays in the state may not hold what runs"
    assert founding.urn in prod.one("qdrant-rolled-0").depends_on


def test_snapshots_have_room_of_the_size_and_class_that_the_stack_file_names() -> None:
    engine = run_program("prod", qdrantSnapshotGib="70", kubernetesStorageClass="fast", kubernetesWorkClass="cheap")
    node = pod_specs(engine)["qdrant"]
    [mount] = [each for each in node["containers"][0]["volumeMounts"] if each["mountPath"] == "/qdrant/snapshots"]
    [volume] = [each for each in node["volumes"] if each["name"] == mount["name"]]
    claim = volume["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert (claim["resources"]["requests"]["storage"], claim["storageClassName"]) == ("70Gi", "cheap")


def test_every_disk_is_measured_beside_what_it_belongs_to_and_by_nobody_who_could_write_to_it(prod: Engine) -> None:
    for request in prod.of(":StatefulSet"):
        pod = request.inputs["spec"]["template"]["spec"]
        process, exporter = pod["containers"]
        kept = {mount["name"] for mount in process["volumeMounts"]} & {"data", "work"}
        assert "data" in kept
        assert {mount["name"]: mount["readOnly"] for mount in exporter["volumeMounts"]} == dict.fromkeys(kept, True)
        name = request.inputs["metadata"]["name"]
        ports = prod.one(f"{name}-replicas", ":Service").inputs["spec"]["ports"]
        assert 9100 in [port["port"] for port in ports]
        [let_in] = policies(prod)[f"{name}-from-prometheus"]["ingress"]
        assert 9100 in [port["port"] for port in let_in["ports"]]
    assert all(len(request.inputs["spec"]["template"]["spec"]["containers"]) == 1 for request in prod.of(":Deployment"))


def test_a_node_gets_the_processors_that_the_stack_file_names_and_a_share_of_them_for_itself() -> None:
    pods = pod_specs(run_program("prod", qdrantCpus="4", kubernetesCpuReservedPercent="50"))
    node = pods["qdrant"]["containers"][0]
    assert (node["resources"]["limits"]["cpu"], node["resources"]["requests"]["cpu"]) == ("4000m", "2000m")


def test_replicas_stand_apart_and_only_one_of_them_may_be_away(prod: Engine) -> None:
    affinity = pod_specs(prod)["qdrant"]["affinity"]["podAntiAffinity"]
    [rule] = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["topologyKey"] == "kubernetes.io/hostname"
    replicated = {r.name for kind in CONTROLLERS for r in prod.of(kind) if r.inputs["spec"].get("replicas", 1) > 1}
    assert replicated == {request.name for request in prod.of(":PodDisruptionBudget")}
    assert {request.inputs["spec"]["maxUnavailable"] for request in prod.of(":PodDisruptionBudget")} == {1}
    for name in replicated:
        assert pod_specs(prod)[name]["topologySpreadConstraints"]


def test_the_gateway_without_a_database_is_one_file_and_has_no_admin_api(prod: Engine) -> None:
    [container] = pod_specs(prod)["kong"]["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    assert (env["KONG_DATABASE"], env["KONG_ADMIN_LISTEN"]) == ("off", "off")
    assert not [request for request in prod.requests if request.type.startswith("kong:")]
    data = prod.one("kong-secret-files", ":Secret").inputs["stringData"]
    assert "host: valkey" in data["etc__kong__kong.yml"]


def test_another_gateway_is_another_file_and_rolls_its_nodes() -> None:
    kong = [_secret_of(run_program("prod", gatewayRateLimitPerMinute=limit), "kong") for limit in ("100", "101")]
    assert kong[0] != kong[1]


def _secret_of(engine: Engine, name: str) -> str:
    volumes = pod_specs(engine)[name]["volumes"]
    return str(next(volume["secret"]["secretName"] for volume in volumes if "secret" in volume))


def test_the_name_of_a_secret_shows_nothing_by_which_a_guess_could_be_checked(prod: Engine) -> None:
    key = "made-naming-key-"
    for secret in prod.of(":Secret"):
        content, name = secret.inputs["stringData"], secret.inputs["metadata"]["name"]
        assert not name.endswith(digest(content)), "without a key anybody could try contents"
        assert name.endswith(keyed_digest(content, f"{key}{'x' * 40}"[:40]))
        assert not name.endswith(keyed_digest(content, "another key"))
    assert prod.one("naming-key", ":RandomPassword")


def test_a_process_without_data_that_hangs_is_restarted_and_one_with_data_never(variant: Engine) -> None:
    kinds = {":Deployment": True, ":StatefulSet": False}
    for kind, restarted in kinds.items():
        for request in variant.of(kind):
            container = request.inputs["spec"]["template"]["spec"]["containers"][0]
            assert ("livenessProbe" in container) is restarted, request.name
            if restarted:
                alive = container["livenessProbe"]
                assert alive["periodSeconds"] * alive["failureThreshold"] >= 60, request.name


def test_a_liveness_probe_beside_data_is_refused() -> None:
    with pytest.raises(ValueError, match="expected no liveness probe beside data in /data"):
        Workload(image="x", data_dir="/data", liveness=HttpProbe(port=80, path="/"))


def test_with_a_hard_spread_nodes_wait_rather_than_share_a_zone_and_with_a_soft_one_they_do_not(prod: Engine) -> None:
    def wanted(engine: Engine, name: str) -> dict[str, str]:
        found = pod_specs(engine)[name]["topologySpreadConstraints"]
        return {each["topologyKey"]: each["whenUnsatisfiable"] for each in found}

    keys = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    assert wanted(prod, "qdrant") == dict.fromkeys(keys, "DoNotSchedule")
    assert wanted(prod, "kong") == dict.fromkeys(keys, "ScheduleAnyway")
    assert wanted(run_program("prod", kubernetesSpread="soft"), "qdrant") == dict.fromkeys(keys, "ScheduleAnyway")
    for constraint in pod_specs(prod)["qdrant"]["topologySpreadConstraints"]:
        assert constraint["nodeTaintsPolicy"] == "Honor", "a machine of the control plane would count as an empty zone"


def test_a_renewed_certificate_rolls_the_gateway_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"kubernetesEdge": "loadbalancer", "kubernetesEdgeTlsSecret": "rag-tls"}
    old = run_program("prod", **settings)
    same = run_again("prod", **settings)
    monkeypatch.setitem(CERTIFICATE, "now", "cmVuZXdlZA==")
    renewed = run_again("prod", **settings)
    templates = [
        {each.name: each.inputs["spec"]["template"] for kind in CONTROLLERS for each in engine.of(kind)}
        for engine in (old, same, renewed)
    ]
    assert templates[0] == templates[1]
    assert {name for name in templates[0] if templates[0][name] != templates[2][name]} == {"kong"}


def test_another_content_is_another_revision_of_the_pods(prod: Engine) -> None:
    other = run_program("prod", qdrantLogLevel="WARN")
    templates = [engine.one("qdrant-rolled-0", ":PodRolled").inputs["template"] for engine in (prod, other, prod)]
    assert templates[0] != templates[1]
    assert templates[0] == templates[2]


def test_what_scales_by_itself_is_not_scaled_back_by_the_next_up(prod: Engine) -> None:
    scaled = {request.name: request for request in prod.of(":HorizontalPodAutoscaler")}
    assert set(scaled) == {"kong", "rag-service", "rag-llamaindex-query"}
    for name in scaled:
        assert "spec.replicas" in prod.one(name, ":Deployment").wire.ignoreChanges


def test_balancers_and_prometheus_find_every_replica(prod: Engine) -> None:
    config = prod.one("haproxy-secret-files", ":Secret").inputs["stringData"]["usr__local__etc__haproxy__haproxy.cfg"]
    assert "server qdrant-2 qdrant-2.qdrant-replicas.rag-prod.svc.cluster.local:6333" in config
    scrapes = prod.one("prometheus-files", ":ConfigMap").inputs["data"]["etc__prometheus__prometheus.yml"]
    assert "kong-replicas.rag-prod.svc.cluster.local" in scrapes
    assert "qdrant-1.qdrant-replicas.rag-prod.svc.cluster.local:6333" in scrapes


def test_a_mirror_stands_before_every_image() -> None:
    engine = run_program("prod", kubernetesRegistryMirror="mirror.example.com/all")
    images = [container["image"] for spec in pod_specs(engine).values() for container in spec["containers"]]
    assert images
    assert all(image.startswith("mirror.example.com/all/") for image in images)


def test_objects_grow_by_the_same_number_with_each_node(prod: Engine) -> None:
    grown = run_program("prod", qdrantNodes="9")
    more = [sum(request.wire.custom for request in engine.requests) for engine in (prod, grown)]
    assert more[1] - more[0] == (9 - 3) * 3  # a disk, its pod's roll, its gate


@pytest.mark.parametrize(
    ("edge", "target", "reached_by"),
    [
        ({"kubernetesEdge": "loadbalancer"}, "kong:8443", "podSelector"),
        (
            {
                "kubernetesEdge": "ingress",
                "kubernetesEdgeHost": "rag.example.com",
                "gatewayTrustedProxies": '["10.244.0.0/16"]',
            },
            "rag.example.com:443",
            "ipBlock",
        ),
    ],
)
def test_the_end_of_the_edges_certificate_is_watched(edge: dict[str, str], target: str, reached_by: str) -> None:
    engine = run_program("prod", kubernetesEdgeTlsSecret="rag-tls", **edge)
    [config] = engine.one("edge-exporter-files", ":ConfigMap").inputs["data"].values()
    tls = yaml.safe_load(config)["modules"]["edge"]["tcp"]["tls_config"]
    assert tls.get("server_name") == edge.get("kubernetesEdgeHost")
    scraped = engine.one("prometheus-files", ":ConfigMap").inputs["data"]["etc__prometheus__prometheus.yml"]
    [job] = [each for each in yaml.safe_load(scraped)["scrape_configs"] if each["job_name"] == "edge"]
    assert (job["metrics_path"], job["params"]) == ("/probe", {"module": ["edge"], "target": [target]})
    [rule] = policies(engine)["edge-exporter-calls"]["egress"]
    assert any(reached_by in peer for peer in rule["to"])
    assert rule["ports"][0]["port"] == int(target.rpartition(":")[2])


def test_without_an_edge_nothing_watches_one(prod: Engine) -> None:
    assert not [request for request in prod.requests if request.name.startswith("edge-exporter")]

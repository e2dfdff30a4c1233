"""The catalogue of bad stacks: each is a good one with one line changed, and one rule refuses it."""

from tests.policies.stacks import GONE, Bad

QDRANT, KONG = "QdrantCluster::qdrant", "KongGateway::gateway"
COLLECTION, NODE, VOLUME = "ReplicatedCollection::collection", "Container::qdrant-0", "Volume::qdrant-0"
SET, DEPLOYMENT, FENCE = "StatefulSet::qdrant-set", "Deployment::kong-deployment", "NetworkPolicy::qdrant-fence"
SERVICE, POD = "description/services/0", "spec/template/spec"
CORS, JWT, LIMIT, HEADERS = (f"{SERVICE}/plugins/{number}/config" for number in range(4))
CHECKS = "description/upstreams/0/healthchecks"
FIRST = f"{POD}/containers/0"

RELIABILITY = [
    Bad("clusters-keep-a-majority", QDRANT, "nodes", 4, "such as 5"),
    Bad("clusters-keep-a-majority", QDRANT, "nodes", 2, "such as 3"),
    Bad("collections-survive-a-lost-node", COLLECTION, "replication_factor", 1, "write 2 or more"),
    Bad("replicas-fit-the-nodes", COLLECTION, "replication_factor", 4, "lower it, or add nodes"),
    Bad("writes-go-on-without-a-node", COLLECTION, "write_consistency_factor", 2, "write 1"),
    Bad("shards-spread-over-the-nodes", COLLECTION, "shard_number", 1, "such as 6"),
    Bad("shards-spread-over-the-nodes", COLLECTION, "shard_number", 2, "such as 6"),
    Bad("shards-spread-over-the-nodes", COLLECTION, "shard_number", 300, "write at most"),
    Bad("nodes-are-drained-before-they-stop", QDRANT, "workloads/qdrant/drained_before_stop", False, "rollout"),
    Bad("nodes-do-not-linger", QDRANT, "workloads/qdrant/grace_seconds", 30, "write 0"),
    Bad("peers-draw-their-own-ids", QDRANT, "workloads/qdrant/env/QDRANT__CLUSTER__PEER_ID", "1", "leave"),
    Bad("peers-draw-their-own-ids", SET, f"{FIRST}/env/1", {"name": "QDRANT__CLUSTER__PEER_ID", "value": "7"}, "leave"),
    Bad("data-is-on-block-storage", QDRANT, "workloads/qdrant/data_dir", None, "give it a data_dir"),
    Bad("data-is-on-block-storage", NODE, "volumes/0", {"hostPath": "/srv/q", "containerPath": "/q"}, "block storage"),
    Bad("data-is-on-block-storage", NODE, "mounts", [{"type": "bind", "source": "/srv", "target": "/q"}], "/srv"),
    Bad("data-is-on-block-storage", VOLUME, "driverOpts", {"type": "nfs", "o": "addr=10.0.0.1"}, "nfs"),
    Bad("data-is-on-block-storage", VOLUME, "driverOpts", {"o": "bind", "device": "/srv", "type": "none"}, "/srv"),
    Bad("data-is-on-block-storage", SET, "spec/volumeClaimTemplates/0/spec/storageClassName", "efs-sc", "efs-sc"),
    Bad("data-is-on-block-storage", "PersistentVolumeClaim::claim", "spec/storageClassName", "azurefile", "azurefile"),
    Bad("data-is-protected", VOLUME, "protected", False, "protect it"),
    Bad("data-is-protected", "PersistentVolumeClaim::claim", "protected", False, "protect it"),
    Bad("replicas-are-spread", SET, f"{POD}/topologySpreadConstraints", GONE, "spread them"),
    Bad(
        "disruptions-have-a-budget", "PodDisruptionBudget::qdrant-budget", "spec/maxUnavailable", 2, "maxUnavailable: 1"
    ),
    Bad(
        "disruptions-have-a-budget",
        "PodDisruptionBudget::qdrant-budget",
        "spec/selector/matchLabels/app",
        "kong",
        "maxUnavailable: 1",
    ),
    Bad("alerts-reach-somebody", "ObservabilityStack::observability", "alert_webhook", "", "set one"),
]

GATEWAY = [
    Bad("routes-ask-for-tokens-that-expire", KONG, f"{JWT}/claims_to_verify", [], "claims_to_verify=('exp',)"),
    Bad("routes-ask-for-tokens-that-expire", KONG, f"{JWT}/maximum_expiration", 0, "maximum_expiration=31622400"),
    Bad("routes-ask-for-tokens-that-expire", KONG, f"{JWT}/anonymous", "guest", "leave anonymous out"),
    Bad("routes-ask-for-tokens-that-expire", KONG, f"{SERVICE}/plugins/1/enabled", False, "add Jwt"),
    Bad("tokens-stay-out-of-urls", KONG, f"{JWT}/uri_param_names", ["jwt"], "uri_param_names=()"),
    Bad("routes-are-limited", KONG, f"{SERVICE}/plugins/2", GONE, "add RateLimiting"),
    Bad("routes-are-limited", KONG, f"{LIMIT}/minute", 100000, "write 600 or fewer"),
    Bad("bodies-are-limited", KONG, f"{SERVICE}/plugins/4", GONE, "add RequestSizeLimiting"),
    Bad("bodies-are-limited", KONG, f"{SERVICE}/plugins/4/config/allowed_payload_size", 128, "write 64 or fewer"),
    Bad("counting-holds-up-no-call", KONG, f"{LIMIT}/fault_tolerant", False, "write fault_tolerant=True"),
    Bad("limits-are-honest-for-the-number-of-nodes", KONG, "workloads/kong/replicas", 3, "write policy redis"),
    Bad("limits-count-the-callers-address", KONG, f"{LIMIT}/limit_by", "header", "limit_by='ip'"),
    Bad(
        "limits-count-the-callers-address", KONG, "workloads/kong/env/KONG_TRUSTED_IPS", "0.0.0.0/0", "your own proxies"
    ),
    Bad(
        "limits-count-the-callers-address", KONG, "workloads/kong/env/KONG_TRUSTED_IPS", "10.0.0.9/32", "recursive: on"
    ),
    Bad("service-tokens-are-removed-before-they-are-added", KONG, f"{HEADERS}/remove/headers", [], "remove it first"),
    Bad(
        "service-tokens-are-removed-before-they-are-added",
        KONG,
        f"{HEADERS}/remove/headers",
        ["X-Service-Token"],
        "X_Service_Token",
    ),
    Bad("service-tokens-are-removed-before-they-are-added", KONG, f"{SERVICE}/plugins/3", GONE, "add it"),
    Bad("credentials-need-named-origins", KONG, f"{CORS}/origins", ["*"], "name each origin"),
    Bad("credentials-need-named-origins", KONG, f"{CORS}/origins", [r"https://.*\.example"], "name each origin"),
    Bad("health-checks-recover", KONG, f"{CHECKS}/active/healthy/interval", 0, "never takes a target back"),
    Bad("health-checks-recover", KONG, f"{CHECKS}/active/healthy/successes", 0, "never takes a target back"),
    Bad("the-admin-api-is-private", KONG, "workloads/kong/env/KONG_ADMIN_GUI_LISTEN", GONE, "KONG_ADMIN_GUI_LISTEN"),
    Bad("the-admin-api-is-private", KONG, "workloads/kong/env/KONG_NGINX_ADMIN_INCLUDE", GONE, "ask for a token"),
    Bad("the-admin-api-is-private", KONG, "workloads/kong/env/KONG_ADMIN_GUI_URL", GONE, "name one origin"),
    Bad("the-admin-api-is-private", "Service::front", "spec/ports/1", {"port": 8444}, "take it out"),
    Bad("the-admin-api-is-private", "Service::front", "spec/ports/1", {"port": 9, "targetPort": 8002}, "take it out"),
]

SECURITY = [
    Bad("images-are-pinned-by-digest", DEPLOYMENT, f"{FIRST}/image", "kong:3.9.3", "kong:3.9.3@sha256:"),
    Bad("processes-do-not-run-as-root", QDRANT, "workloads/qdrant/user", 0, "such as 1000"),
    Bad("images-are-pinned", KONG, "workloads/kong/image", "kong", "kong:1.2.3"),
    Bad("images-are-pinned", QDRANT, "workloads/qdrant/image", "qdrant/qdrant:latest", "write a version"),
    Bad("images-are-pinned", DEPLOYMENT, f"{FIRST}/image", f"kong:latest@sha256:{64 * 'a'}", "write a version"),
    Bad("images-are-pinned", "RemoteImage::kong:3.9.3", "name", "kong:latest", "write a version"),
    Bad(
        "images-come-from-known-registries",
        KONG,
        "workloads/kong/image",
        f"evil.example/kong:3.9.3@sha256:{64 * 'a'}",
        "evil.example",
    ),
    Bad("secrets-stay-out-of-sight", QDRANT, "workloads/qdrant/env/QDRANT__SERVICE__API_KEY", "s3cr3t", "secret file"),
    Bad("secrets-stay-out-of-sight", KONG, f"{HEADERS}/add/headers", ["X-Service-Token:s3cr3t"], "X-Service-Token"),
    # pragma: allowlist nextline secret
    Bad("secrets-stay-out-of-sight", KONG, "redis_address", "redis://operator:hunter2@redis:6379", "password"),
    Bad("secrets-stay-out-of-sight", QDRANT, "workloads/qdrant/secret_env", ["OPENAI_API_KEY"], "give it as a file"),
    Bad("secrets-stay-out-of-sight", NODE, "envs/0", "POSTGRES_PASSWORD=hunter2", "POSTGRES_PASSWORD"),
    Bad("secrets-stay-out-of-sight", NODE, "command", ["--api-key=hunter2"], "api-key"),
    Bad("secrets-stay-out-of-sight", DEPLOYMENT, f"{FIRST}/env/0", {"name": "API_TOKEN", "value": "x9"}, "API_TOKEN"),
    Bad("secrets-stay-out-of-sight", "ConfigMap::settings", "data/db.password", "hunter2", "secret file"),
    Bad("ports-stay-on-this-machine", NODE, "ports/0/ip", "0.0.0.0", "ip='127.0.0.1'"),
    Bad("ports-stay-on-this-machine", NODE, "ports/0/ip", GONE, "ip='127.0.0.1'"),
    Bad("ports-stay-on-this-machine", NODE, "publishAllPorts", True, "name the ports"),
    Bad("the-edge-speaks-tls", "Service::front", "spec/ports/1", {"port": 80, "targetPort": 8000}, "443 alone"),
    Bad("the-edge-speaks-tls", "Ingress::edge", "spec/tls", [], "under tls"),
    Bad("the-edge-speaks-tls", "Ingress::edge", "spec/rules/1", {"host": "other.example"}, "under tls"),
    Bad("the-peer-port-is-fenced", FENCE, "spec/podSelector/matchLabels/app", "kong", "add one"),
    Bad("the-peer-port-is-fenced", FENCE, "spec/ingress/1/from", GONE, "lets others"),
    Bad("the-peer-port-is-fenced", FENCE, "spec/ingress/0/ports", GONE, "lets others"),
    Bad("the-peer-port-is-fenced", FENCE, "spec/ingress/1/from/0/podSelector", {}, "lets others"),
    Bad("metadata-services-stay-out-of-reach", FENCE, "spec/egress/0/to", GONE, "name the peers"),
    Bad("metadata-services-stay-out-of-reach", FENCE, "spec/egress/0/to/0/ipBlock/except", GONE, "169.254.169.254"),
    Bad("metadata-services-stay-out-of-reach", FENCE, "spec/egress/0/to/0/ipBlock/except/0", "169.254.0.0/17", "add"),
    Bad("containers-are-unprivileged", NODE, "privileged", True, "one capability"),
    Bad("containers-are-unprivileged", SET, f"{FIRST}/securityContext/privileged", True, "leave it out"),
    Bad("containers-have-a-network-of-their-own", NODE, "networkMode", "host", "publish the port"),
    Bad("containers-have-a-network-of-their-own", SET, f"{POD}/hostNetwork", True, "hostNetwork"),
    Bad("containers-have-a-network-of-their-own", DEPLOYMENT, f"{FIRST}/ports/0/hostPort", 80, "use a Service"),
    Bad("processes-do-not-run-as-root", NODE, "user", "0:0", "user='1000:1000'"),
    Bad("processes-do-not-run-as-root", SET, f"{POD}/securityContext/runAsUser", 0, "above 0"),
    Bad("processes-do-not-run-as-root", SET, f"{POD}/securityContext/runAsNonRoot", GONE, "runAsNonRoot: true"),
    Bad("capabilities-are-dropped", NODE, "capabilities", GONE, "drop ALL"),
    Bad("capabilities-are-dropped", NODE, "capabilities/adds", ["SYS_ADMIN"], "SYS_ADMIN"),
    Bad("capabilities-are-dropped", SET, f"{FIRST}/securityContext/capabilities", GONE, "drop ALL"),
    Bad("containers-gain-no-privileges", NODE, "securityOpts", GONE, "add it"),
    Bad("containers-gain-no-privileges", SET, f"{FIRST}/securityContext/allowPrivilegeEscalation", True, "write false"),
    Bad("pods-are-restricted", "Namespace::namespace", "metadata/labels", {}, "add the label"),
    Bad("pods-are-restricted", SET, f"{POD}/securityContext/seccompProfile", GONE, "RuntimeDefault"),
    Bad("pods-are-restricted", SET, f"{POD}/volumes/0", {"name": "x", "flexVolume": {}}, "claim a persistent volume"),
    Bad("memory-and-cpu-are-bounded", KONG, "workloads/kong/resources/memory_mib", 0, "above 0"),
    Bad("memory-and-cpu-are-bounded", NODE, "memory", GONE, "memory is not bounded"),
    Bad("memory-and-cpu-are-bounded", SET, f"{FIRST}/resources/limits", GONE, "set it"),
    Bad("containers-are-labelled", NODE, "labels", [], "add it"),
    Bad(
        "exceptions-are-written-and-dated",
        "Stack::rag-platform-dev",
        "policyExceptions",
        [{"rule": "images-are-pinned", "resource": "x", "reason": "the vendor has no tags", "expires": "2026-11-24"}],
        "expired on 2026-11-24",
    ),
    Bad(
        "exceptions-are-written-and-dated",
        "Stack::rag-platform-dev",
        "policyExceptions",
        [{"rule": "images-are-pinned", "resource": "x", "expires": "2027-01-01"}],
        "expected the keys",
    ),
]

BAD_STACKS = [*RELIABILITY, *GATEWAY, *SECURITY]

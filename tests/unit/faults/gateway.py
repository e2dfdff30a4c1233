"""Kong, its targets, its callers."""

from tests.unit.faults.fault import Fault, Series, kong, requests

KONG = {"job": "kong", "instance": "kong:8100"}
MIB = 2**20


def target_health(state: str, value: int = 1) -> Series:
    target = {"upstream": "rag", "target": "rag-service:3000", "address": "10.0.0.2:3000"}
    return kong("kong_upstream_target_health", f"{value}x60", **target, state=state)


def dictionary(used_mib: int) -> Series:
    where = {"node_id": "n", "shared_dict": "kong_db_cache", "kong_subsystem": "http"}
    used = kong("kong_memory_lua_shared_dict_bytes", f"{used_mib * MIB}x60", **where)
    return used | kong("kong_memory_lua_shared_dict_total_bytes", f"{100 * MIB}x60", **where)


GATEWAY = (
    Fault(
        alert="KongDown",
        series=kong("up", "0x60"),
        says="kong:8100 has failed every scrape for a minute (up is 0).",
        labels=KONG,
        nearly=kong("up", "1x20 0x2 1x40"),
    ),
    Fault(
        alert="KongMetricsMissing",
        series=kong("up", "1x60"),
        says="kong:8100 sends no kong_nginx_requests_total: its alerts are silent (up is 1).",
        labels=KONG,
        nearly=kong("up", "1x60") | kong("kong_nginx_requests_total", "1x60", node_id="n", subsystem="http"),
    ),
    Fault(  # every third scrape fails as well
        alert="KongDatastoreUnreachable",
        series=kong("kong_datastore_reachable", "0 0 stale " * 20),
        says="kong:8100 has lost PostgreSQL (reachable is 0).",
        labels=KONG,
        nearly=kong("kong_datastore_reachable", "1 1 stale " * 20),
    ),
    Fault(
        alert="KongSharedMemoryFull",
        series=dictionary(95),
        says="kong_db_cache of kong:8100 is 95% full.",
        labels=KONG | {"node_id": "n", "shared_dict": "kong_db_cache", "kong_subsystem": "http"},
        nearly=dictionary(89),
    ),
    Fault(
        alert="KongTargetUnhealthy",
        series=target_health("unhealthy"),
        says="rag-service:3000 of rag fails its health checks (1).",
        labels={"upstream": "rag", "target": "rag-service:3000"},
        nearly=target_health("healthy"),
    ),
    Fault(  # a target whose checks are off takes part
        alert="KongNoTarget",
        series=target_health("healthy", 0) | target_health("unhealthy"),
        says="rag has 0 healthy targets: its callers get 503.",
        labels={"upstream": "rag"},
        nearly=target_health("healthy", 0) | target_health("healthchecks_off"),
    ),
    Fault(  # without a request Kong has told nothing yet
        alert="KongTargetHealthMissing",
        series=requests(_200=15),
        says="kong:8100 serves 1 requests a second and sends no kong_upstream_target_health: an unhealthy target would"
        " go unseen.",
        labels={"instance": "kong:8100"},
        nearly=requests(_200=0),
    ),
    Fault(
        alert="GatewayCallersLimited",
        series=requests(_200=40, _429=60),
        says="60% of the calls were answered with 429.",
        nearly=requests(_200=51, _429=49),
    ),
)

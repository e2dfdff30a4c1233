"""Do requests pass Kong, and does HAProxy have somewhere to send them?"""

from components.monitoring.promises import Promises
from components.monitoring.rules.rule import Alert, Recording, Rules


def gateway_rules(promises: Promises) -> Rules:
    """Return what must hold of Kong's answers, of Kong, of its targets and of HAProxy's servers."""
    failed = 'sum(rate(kong_http_requests_total{code=~"5.."}[5m]))'
    return (
        # There is no 5xx series before the first 5xx, hence `or vector(0)`; without traffic there is no ratio at all.
        Recording(
            "gateway:errors:ratio_rate5m",
            f"({failed} or vector(0)) / (sum(rate(kong_http_requests_total[5m])) > 0)",
        ),
        Alert(
            name="GatewayErrorRateHigh",
            expr=f"gateway:errors:ratio_rate5m > {promises.error_ratio}",
            wait="2m",
            severity="page",
            summary="Kong answers too many requests with 5xx",
            description=f"{{{{ $value | humanizePercentage }}}} of requests fail, {promises.error_ratio:.0%} may.",
        ),
        Alert(
            name="KongDown",
            expr='up{job="kong"} == 0',
            severity="page",
            summary="A Kong node does not answer",
            description="{{ $labels.instance }} has failed every scrape for a minute (up is {{ $value }}).",
        ),
        Alert(
            name="KongTargetUnhealthy",
            expr='max by (upstream, target) (kong_upstream_target_health{state=~"unhealthy|dns_error"}) == 1',
            wait="30s",
            summary="Kong has taken a target out of an upstream",
            description="{{ $labels.target }} of {{ $labels.upstream }} fails its health checks ({{ $value }}).",
        ),
        # With its database away Kong answers some scrapes with 500: the last value must outlive such a gap.
        Alert(
            name="KongDatastoreUnreachable",
            expr="last_over_time(kong_datastore_reachable[1m]) == 0",
            summary="Kong cannot reach its database: traffic flows, changes and tokens not yet seen do not",
            description="{{ $labels.instance }} has lost PostgreSQL (reachable is {{ $value }}).",
        ),
        # A backend without servers of its own, such as one for statistics, counts 0 as well and is no fault.
        Alert(
            name="HAProxyNoServer",
            expr="haproxy_backend_active_servers + haproxy_backend_backup_servers == 0"
            " and on (instance, proxy) haproxy_server_status",
            wait="30s",
            severity="page",
            summary="HAProxy has no server left for a backend",
            description="{{ $labels.proxy }} has {{ $value }} usable servers; every request to it gets a 503.",
        ),
    )

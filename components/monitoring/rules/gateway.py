"""Do requests pass Kong?"""

from components.monitoring.promises import Promises
from components.monitoring.rules.rule import Alert, Recording, Rules, metrics_missing, target_down

IN_USE = 'kong_upstream_target_health{state=~"healthy|healthchecks_off"}'


def gateway_rules(promises: Promises) -> Rules:
    """Return what must hold of Kong, of its targets and of its callers; its errors are judged by the SLO."""
    return (*_kong(), *_targets(), *_callers())


def _kong() -> Rules:
    return (
        target_down("KongDown", job="kong", summary="A Kong node does not answer"),
        metrics_missing("Kong", job="kong", metric="kong_nginx_requests_total"),
        # With its database away Kong answers some scrapes with 500: the last value must outlive such a gap.
        Alert(
            name="KongDatastoreUnreachable",
            expr="last_over_time(kong_datastore_reachable[1m]) == 0",
            summary="Kong cannot reach its database: traffic flows, changes and tokens not yet seen do not",
            description="{{ $labels.instance }} has lost PostgreSQL (reachable is {{ $value }}).",
        ),
        Alert(
            name="KongSharedMemoryFull",
            expr="kong_memory_lua_shared_dict_bytes / kong_memory_lua_shared_dict_total_bytes > 0.9",
            wait="5m",
            summary="A shared dictionary of Kong is nearly full: it forgets what it should keep",
            description="{{ $labels.shared_dict }} of {{ $labels.instance }} is"
            " {{ $value | humanizePercentage }} full.",
        ),
    )


def _targets() -> Rules:
    return (
        Alert(
            name="KongTargetUnhealthy",
            expr='max by (upstream, target) (kong_upstream_target_health{state=~"unhealthy|dns_error"}) == 1',
            wait="30s",
            summary="Kong has taken a target out of an upstream",
            description="{{ $labels.target }} of {{ $labels.upstream }} fails its health checks ({{ $value }}).",
        ),
        Alert(
            name="KongNoTarget",
            expr=f"sum by (upstream) ({IN_USE}) == 0",
            wait="30s",
            severity="page",
            summary="Kong has no healthy target left for an upstream",
            description="{{ $labels.upstream }} has {{ $value }} healthy targets: its callers get 503.",
        ),
        # A worker of Kong exports target health only after it has logged a request with the plugin's switch on.
        Alert(
            name="KongTargetHealthMissing",
            expr="sum by (instance) (rate(kong_http_requests_total[5m])) > 0"
            " unless on (instance) kong_upstream_target_health",
            wait="5m",
            summary="Kong serves requests and tells nothing of its targets",
            description="{{ $labels.instance }} serves {{ $value | humanize }} requests a second and sends no"
            " kong_upstream_target_health: an unhealthy target would go unseen.",
        ),
    )


def _callers() -> Rules:
    answered = "sum(rate(kong_http_requests_total[5m]))"
    limited = 'sum(rate(kong_http_requests_total{code="429"}[5m]))'
    return (
        Recording("gateway:requests:rate5m", answered),
        # There is no 5xx series before the first 5xx, hence `or vector(0)`; without traffic there is no ratio at all.
        Recording(
            "gateway:errors:ratio_rate5m",
            f'(sum(rate(kong_http_requests_total{{code=~"5.."}}[5m])) or vector(0)) / ({answered} > 0)',
        ),
        Recording("gateway:limited:ratio_rate5m", f"({limited} or vector(0)) / ({answered} > 0)"),
        Alert(
            name="GatewayCallersLimited",
            expr="gateway:limited:ratio_rate5m > 0.5",
            wait="10m",
            summary="Most calls are refused by the rate limit: a client in a loop, or a limit that is too low",
            description="{{ $value | humanizePercentage }} of the calls were answered with 429.",
        ),
    )

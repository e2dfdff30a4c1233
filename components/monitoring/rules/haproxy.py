"""Does HAProxy have somewhere to send a request, and does what it sends arrive?"""

from components.monitoring.rules.rule import Alert, Rules, metrics_missing, target_down


def haproxy_rules() -> Rules:
    """Return what must hold of HAProxy and of its servers, the Qdrant nodes."""
    return (*_servers(), *_requests())


def _servers() -> Rules:
    return (
        target_down("HAProxyDown", job="haproxy", summary="HAProxy does not answer: nothing reaches Qdrant"),
        metrics_missing("HAProxy", job="haproxy", metric="haproxy_backend_active_servers"),
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
        Alert(
            name="HAProxyServerDown",
            expr='max by (server) (haproxy_server_status{state=~"DOWN|MAINT"}) == 1',
            wait="2m",
            summary="HAProxy sends a Qdrant node no traffic",
            description="{{ $labels.server }} is down or drained for a backend ({{ $value }}).",
        ),
        Alert(
            name="HAProxyServerFlaps",
            expr="max by (server) (increase(haproxy_server_check_up_down_total[10m])) > 4",
            summary="A Qdrant node goes out of traffic and comes back, again and again",
            description="{{ $labels.server }} went down {{ $value | humanize }} times in ten minutes.",
        ),
    )


def _requests() -> Rules:
    return (
        Alert(
            name="HAProxyRetries",
            expr="sum by (proxy) (rate(haproxy_backend_retry_warnings_total[5m]))"
            " / (sum by (proxy) (rate(haproxy_backend_http_requests_total[5m])) > 0) > 0.1",
            wait="5m",
            summary="HAProxy must ask often again: what clients do not notice yet costs them time",
            description="{{ $value | humanizePercentage }} of the requests to {{ $labels.proxy }} were sent again.",
        ),
        Alert(
            name="HAProxyQueue",
            expr="min_over_time(haproxy_backend_current_queue[1m]) > 0",
            summary="Requests wait in HAProxy for a Qdrant node that takes them",
            description="{{ $value }} requests have waited for {{ $labels.proxy }} for a minute.",
        ),
        Alert(
            name="HAProxyConnectionsRunOut",
            expr="haproxy_process_current_connections / haproxy_process_max_connections > 0.8",
            wait="2m",
            summary="HAProxy has few connections left",
            description="{{ $labels.instance }} uses {{ $value | humanizePercentage }} of its connections.",
        ),
    )

"""HAProxy and its servers."""

from tests.unit.faults.fault import Fault, Series, of_job

HAPROXY_LABELS = {"job": "haproxy", "instance": "haproxy:8404"}


def haproxy(metric: str, values: str, **labels: str) -> Series:
    return of_job(**HAPROXY_LABELS, metric=metric, values=values, **labels)


def backend(active: int, name: str = "qdrant_http", *, with_servers: bool = True) -> Series:
    server = haproxy("haproxy_server_status", "1x60", proxy=name, server="qdrant-0", state="UP") if with_servers else {}
    counts = haproxy("haproxy_backend_active_servers", f"{active}x60", proxy=name)
    return counts | haproxy("haproxy_backend_backup_servers", "0x60", proxy=name) | server


def traffic(retries: int) -> Series:
    sent = haproxy("haproxy_backend_http_requests_total", "0+100x60", proxy="qdrant_http")
    return sent | haproxy("haproxy_backend_retry_warnings_total", f"0+{retries}x60", proxy="qdrant_http")


def status(state: str, values: str) -> Series:
    return haproxy("haproxy_server_status", values, proxy="qdrant_http", server="qdrant-0", state=state)


HAPROXY = (
    Fault(
        alert="HAProxyDown",
        series=haproxy("up", "0x60"),
        says="haproxy:8404 has failed every scrape for a minute (up is 0).",
        labels=HAPROXY_LABELS,
        nearly=haproxy("up", "1x20 0x2 1x40"),
    ),
    Fault(
        alert="HAProxyMetricsMissing",
        series=haproxy("up", "1x60"),
        says="haproxy:8404 sends no haproxy_backend_active_servers: its alerts are silent (up is 1).",
        labels=HAPROXY_LABELS,
        nearly=haproxy("up", "1x60") | backend(1),
    ),
    Fault(  # a backend that never had a server is no fault
        alert="HAProxyNoServer",
        series=backend(0),
        says="qdrant_http has 0 usable servers; every request to it gets a 503.",
        labels=HAPROXY_LABELS | {"proxy": "qdrant_http"},
        nearly=backend(1) | backend(0, "stats", with_servers=False),
    ),
    Fault(  # a node that is replaced is drained for less than two minutes
        alert="HAProxyServerDown",
        series=status("MAINT", "1x60"),
        says="qdrant-0 is down or drained for a backend (1).",
        labels={"server": "qdrant-0"},
        nearly=status("MAINT", "0x5 1x6 0x60") | status("UP", "1x60"),
    ),
    Fault(
        alert="HAProxyServerFlaps",
        series=haproxy("haproxy_server_check_up_down_total", "0+1x60", proxy="qdrant_http", server="qdrant-0"),
        says="qdrant-0 went down 40 times in ten minutes.",
        labels={"server": "qdrant-0"},
        nearly=haproxy("haproxy_server_check_up_down_total", "0x20 3x40", proxy="qdrant_http", server="qdrant-0"),
    ),
    Fault(
        alert="HAProxyRetries",
        series=traffic(retries=20),
        says="20% of the requests to qdrant_http were sent again.",
        labels={"proxy": "qdrant_http"},
        nearly=traffic(retries=9),
    ),
    Fault(
        alert="HAProxyQueue",
        series=haproxy("haproxy_backend_current_queue", "7x60", proxy="qdrant_http"),
        says="7 requests have waited for qdrant_http for a minute.",
        labels=HAPROXY_LABELS | {"proxy": "qdrant_http"},
        nearly=haproxy("haproxy_backend_current_queue", "7x3 0 7x3 0 7x3 0 7x3 0 7x3 0 0x60", proxy="qdrant_http"),
    ),
    Fault(
        alert="HAProxyConnectionsRunOut",
        series=haproxy("haproxy_process_current_connections", "900x60")
        | haproxy("haproxy_process_max_connections", "1000x60"),
        says="haproxy:8404 uses 90% of its connections.",
        labels=HAPROXY_LABELS,
        nearly=haproxy("haproxy_process_current_connections", "800x60")
        | haproxy("haproxy_process_max_connections", "1000x60"),
    ),
)

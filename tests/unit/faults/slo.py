"""Error budgets: 0.1 % of the requests may fail, 1 % may take longer than 400 ms, in 30 days."""

from tests.unit.faults.fault import Fault, Series, kong, requests

AVAILABILITY, LATENCY = {"slo": "availability"}, {"slo": "latency"}
LONG = 90  # steps of a minute


def answered(in_time: int, late: int, length: int = 60, bound: str = "400") -> Series:
    total = f"0+{in_time + late}x{length}"
    found = kong("kong_upstream_latency_ms_count", total, service="rag-service")
    return found | kong("kong_upstream_latency_ms_bucket", f"0+{in_time}x{length}", service="rag-service", le=bound)


SLO = (
    Fault(  # 2 % fail: twenty times more than promised
        alert="AvailabilityBudgetBurnsFast",
        series=requests(_200=98, _503=2),
        says="2% of the requests break the promise that 99.90% are answered without a 5xx.",
        labels=AVAILABILITY,
        nearly=requests(_200=199, _503=1),
    ),
    Fault(  # refused calls are the caller's: neither do they break the promise, nor hide who breaks it
        alert="AvailabilityBudgetBurnsFast",
        series=requests(_500=1, _200=1, _401=500),
        says="50% of the requests break the promise that 99.90% are answered without a 5xx.",
        labels=AVAILABILITY,
        nearly=requests(_200=10, _401=50, _429=50),
    ),
    Fault(  # one unlucky request of a quiet night wakes nobody
        alert="AvailabilityBudgetBurnsFast",
        series=requests(_503=1),
        says="100% of the requests break the promise that 99.90% are answered without a 5xx.",
        labels=AVAILABILITY,
        nearly=kong("kong_http_requests_total", "0x20 1x40", code="503")
        | kong("kong_http_requests_total", "0x20 2x40", code="200"),
    ),
    Fault(  # 0.4 % for a day: nothing to get up for, and no budget at the end of the month
        alert="AvailabilityBudgetBurnsSlow",
        series=requests(LONG, _200=996, _503=4),
        says="0.4% of the requests break the promise that 99.90% are answered without a 5xx.",
        labels=AVAILABILITY,
        nearly=requests(LONG, _200=9991, _503=9),
        at="80m",
        step="1m",
    ),
    Fault(  # every response is slow: Kong has no bucket for those in time
        alert="LatencyBudgetBurnsFast",
        series=kong("kong_upstream_latency_ms_count", "0+20x60", service="rag-service"),
        says="100% of the requests break the promise that 99.00% that reach the service are answered within 400 ms.",
        labels=LATENCY,
        nearly=answered(in_time=20, late=0),
    ),
    Fault(  # as Prometheus 3 writes the bound
        alert="LatencyBudgetBurnsFast",
        series=answered(in_time=80, late=20, bound="400.0"),
        says="20% of the requests break the promise that 99.00% that reach the service are answered within 400 ms.",
        labels=LATENCY,
        nearly=answered(in_time=95, late=5),
    ),
    Fault(
        alert="LatencyBudgetBurnsSlow",
        series=answered(in_time=96, late=4, length=LONG),
        says="4% of the requests break the promise that 99.00% that reach the service are answered within 400 ms.",
        labels=LATENCY,
        nearly=answered(in_time=995, late=5, length=LONG),
        at="80m",
        step="1m",
    ),
)

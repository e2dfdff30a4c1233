"""How fast the error budgets of slo/promises.yaml burn, over several windows at once.

Each SLO is two rates, of what broke the promise and of what was promised; every window is the quotient of their sums,
so that a quiet hour weighs as little as it should.
"""

from dataclasses import dataclass

from components.monitoring.promises import Promises
from components.monitoring.rules.rule import Alert, Recording, Rules, Severity

FEWEST = 10  # broken promises in the long window: one unlucky request of a quiet night pages no one
HOURS = {"5m": 1 / 12, "30m": 0.5, "1h": 1, "2h": 2, "6h": 6, "1d": 24, "3d": 72}


@dataclass(frozen=True, kw_only=True)
class Burn:
    """Fires when `share` of the whole window's budget is used up within `long`, and `short` shows that it goes on."""

    long: str
    short: str
    share: float
    wait: str
    severity: Severity
    pace: str

    def factor(self, window_days: int) -> float:
        """How many times faster than promised the budget burns then."""
        return round(self.share * window_days * 24 / HOURS[self.long], 4)


FAST = (
    Burn(long="1h", short="5m", share=0.02, wait="2m", severity="page", pace="Fast"),
    Burn(long="6h", short="30m", share=0.05, wait="15m", severity="page", pace="Fast"),
)
SLOW = (
    Burn(long="1d", short="2h", share=0.10, wait="1h", severity="ticket", pace="Slow"),
    Burn(long="3d", short="6h", share=0.10, wait="3h", severity="ticket", pace="Slow"),
)


@dataclass(frozen=True, kw_only=True)
class Slo:
    """One promise as Prometheus can count it."""

    name: str
    broken: str  # expression: promises broken a second
    valid: str  # expression: promises made a second
    objective: float
    window_days: int
    promise: str  # in words, after "of the requests "

    @property
    def where(self) -> str:
        """The matchers of its series."""
        return f'{{slo="{self.name}"}}'

    @property
    def error_budget(self) -> float:
        """The share that may break the promise."""
        return round(1 - self.objective, 12)


def slos(promises: Promises) -> tuple[Slo, ...]:
    """Return what the gateway's clients are promised; a refused call (4xx) is the caller's doing and counts nowhere."""
    available, quick = promises.budget.slo.availability, promises.budget.slo.latency
    answered = 'sum(rate(kong_http_requests_total{code!~"4.."}[5m]))'
    forwarded = "sum(rate(kong_upstream_latency_ms_count[5m]))"
    # Prometheus 3 writes this bound as 400.0, whatever Kong writes.
    in_time = f'sum(rate(kong_upstream_latency_ms_bucket{{le=~"{quick.threshold_ms}([.]0)?"}}[5m]))'
    return (
        Slo(
            name="availability",
            broken='sum(rate(kong_http_requests_total{code=~"5.."}[5m])) or vector(0)',
            valid=f"{answered} or vector(0)",
            objective=available.objective,
            window_days=available.window_days,
            promise="are answered without a 5xx",
        ),
        Slo(
            name="latency",
            # Kong has no bucket before its first observation: where every response is slow, `in_time` is no series.
            broken=f"{forwarded} - ({in_time} or vector(0)) or vector(0)",
            valid=f"{forwarded} or vector(0)",
            objective=quick.objective,
            window_days=quick.window_days,
            promise=f"that reach the service are answered within {quick.threshold_ms} ms",
        ),
    )


def slo_rules(promises: Promises) -> Rules:
    """Return the rates, the ratio of each window, the budget left, and the alerts on how fast it burns."""
    return tuple(rule for slo in slos(promises) for rule in (*_recordings(slo), *_alerts(slo, promises.scrape_seconds)))


def _recordings(slo: Slo) -> Rules:
    labels = {"slo": slo.name}
    windows = {f"ratio_{window}": window for window in HOURS} | {"ratio_window": f"{slo.window_days}d"}
    return (
        Recording("slo:broken:rate5m", slo.broken, labels),
        Recording("slo:valid:rate5m", slo.valid, labels),
        Recording("slo:objective", f"vector({slo.objective})", labels),
        *(Recording(f"slo:broken:{name}", _ratio(slo, window), labels) for name, window in windows.items()),
        Recording("slo:budget_left:ratio", f"1 - slo:broken:ratio_window{slo.where} / {slo.error_budget}", labels),
    )


def _ratio(slo: Slo, window: str) -> str:
    where = f"{slo.where}[{window}]"
    return f"sum_over_time(slo:broken:rate5m{where}) / (sum_over_time(slo:valid:rate5m{where}) > 0)"


def _alerts(slo: Slo, scrape_seconds: int) -> Rules:
    title = slo.name.capitalize()
    return tuple(
        Alert(
            name=f"{title}BudgetBurns{burns[0].pace}",
            expr="\nor ".join(_burning(slo, burn, scrape_seconds) for burn in burns),
            wait=burns[0].wait,
            severity=burns[0].severity,
            summary=f"The error budget for {slo.name} burns {'too fast to wait' if burns is FAST else 'too fast'}",
            description=f"{{{{ $value | humanizePercentage }}}} of the requests break the promise that"
            f" {slo.objective:.2%} {slo.promise}.",
        )
        for burns in (FAST, SLOW)
    )


def _burning(slo: Slo, burn: Burn, scrape_seconds: int) -> str:
    """Both windows over the limit, and at least `FEWEST` promises broken: the sum of their rates times the pace."""
    limit = f"{burn.factor(slo.window_days) * slo.error_budget:.6g}"
    enough = f"sum_over_time(slo:broken:rate5m{slo.where}[{burn.long}]) * {scrape_seconds} >= {FEWEST}"
    both = f"slo:broken:ratio_{burn.long}{slo.where} > {limit} and slo:broken:ratio_{burn.short}{slo.where} > {limit}"
    return f"({both} and {enough})"

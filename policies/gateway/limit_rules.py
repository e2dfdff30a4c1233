"""How much of the service one caller gets, and whether the count is honest."""

from collections.abc import Mapping
from typing import Any

from policies.declared import KONG, environment, workload
from policies.gateway.reading import NODES, every_plugin, nodes, plugins, services
from policies.invariants import limit_holds, names_a_proxy
from policies.rule import Setting, Subject, Violation, Violations, rule

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "month": 2592000, "year": 31536000}


@rule(
    on=KONG,
    reason="One caller without a limit is an outage for all the others.",
    remedy="Give every service with routes a `RateLimiting` plugin; `rag-platform:gatewayRateLimitPerMinute` sets it.",
    most_per_minute=Setting(600, "the highest limit for one address"),
)
def routes_are_limited(subject: Subject, *, most_per_minute: int) -> Violations:
    """Every public route has a rate limit within the bound."""
    for where, service in services(subject):
        found = [_per_minute(config) for config in plugins(subject, service, "rate-limiting")]
        if not found:
            yield Violation(where, "has public routes and no rate limit; add RateLimiting(minute=…, limit_by='ip')")
        for rate in found:
            if rate > most_per_minute:
                yield Violation(where, f"lets {rate:g} calls a minute through; write {most_per_minute} or fewer")


@rule(
    on=KONG,
    reason="With the policy `local` every node of Kong counts for itself: three let three times the limit through.",
    remedy="Set `rag-platform:gatewayRateLimitPolicy` to `redis`, or run one node.",
)
def limits_are_honest_for_the_number_of_nodes(subject: Subject) -> Violations:
    """A limit is a limit however many nodes of Kong there are."""
    for where, config in every_plugin(subject, "rate-limiting"):
        if not limit_holds(config.get("policy", "local"), nodes(subject)):
            yield Violation(where, f"counts locally on each of {nodes(subject)} nodes; write policy redis")


@rule(
    on=KONG,
    reason="Counted by what a caller can choose (a header, a path), or by a proxy's address, a limit is either none, "
    "or one for all callers together.",
    remedy="Write `limit_by='ip'`; behind a balancer or an ingress name its addresses in "
    "`rag-platform:gatewayTrustedProxies`, and never 0.0.0.0/0.",
    behind_a_proxy=Setting(False, "whether something stands before Kong that hides the caller's address"),
)
def limits_count_the_callers_address(subject: Subject, *, behind_a_proxy: bool) -> Violations:
    """Limits are counted on a client address that the client cannot choose."""
    for where, config in every_plugin(subject, "rate-limiting"):
        if config.get("limit_by", "consumer") != "ip":
            yield Violation(where, f"counts by {config.get('limit_by', 'consumer')}; write limit_by='ip'")
    env = environment(workload(subject, NODES))
    trusted = [address for address in env.get("KONG_TRUSTED_IPS", "").split(",") if address]
    where = subject.at(NODES)
    if anywhere := [address for address in trusted if not names_a_proxy(address)]:
        yield Violation(where, f"believes X-Forwarded-For from {anywhere[0]}; name your own proxies only")
    if trusted and env.get("KONG_REAL_IP_RECURSIVE") != "on":
        yield Violation(where, "believes the last address alone, which a caller can forge; write recursive: on")
    if behind_a_proxy and not trusted:
        yield Violation(
            where, "counts all callers under the proxy's address; name it in rag-platform:gatewayTrustedProxies"
        )


def _per_minute(config: Mapping[str, Any]) -> float:
    """The tightest of its limits, in calls a minute; without one, no limit at all."""
    rates = [config[unit] * 60 / seconds for unit, seconds in SECONDS.items() if config.get(unit)]
    return min(rates, default=float("inf"))

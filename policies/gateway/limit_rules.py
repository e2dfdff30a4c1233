"""How much of the service one caller gets, and whether the count is honest."""

from collections.abc import Mapping
from typing import Any

from policies.declared import KONG, environment, mapping, workload
from policies.gateway.reading import NODES, consumers_plugins, every_plugin, nodes, plugins, services
from policies.invariants import limit_holds, names_a_proxy
from policies.rule import Setting, Subject, Violation, Violations, rule

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "month": 2592000, "year": 31536000}


@rule(
    on=KONG,
    reason="One caller without a limit is an outage for all the others.",
    remedy="Give every service with routes a `RateLimiting` plugin; `rag-platform:gatewayRateLimitPerMinute` sets it.",
    most_per_minute=Setting(600, "the highest limit for one address"),
    most_per_consumer=Setting(6000, "the highest limit of a consumer's own, for all its calls together"),
)
def routes_are_limited(subject: Subject, *, most_per_minute: int, most_per_consumer: int) -> Violations:
    """Every public route has a rate limit within the bound, and so has a consumer with a limit of its own."""
    for where, config in consumers_plugins(subject, "rate-limiting"):
        if (rate := _per_minute(config)) > most_per_consumer:
            yield Violation(where, f"lets {rate:g} calls a minute through; write {most_per_consumer} or fewer")
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
    remedy="Write `limit_by='ip'`, or 'consumer' for a consumer's own; behind a balancer or an ingress name its "
    "addresses in `rag-platform:gatewayTrustedProxies`, and never 0.0.0.0/0.",
    behind_a_proxy=Setting(False, "whether something stands before Kong that hides the caller's address"),
)
def limits_count_the_callers_address(subject: Subject, *, behind_a_proxy: bool) -> Violations:
    """Limits are counted on a client address that the client cannot choose, or on the consumer whose limit it is."""
    own = {where for where, _ in consumers_plugins(subject, "rate-limiting")}
    for where, config in every_plugin(subject, "rate-limiting"):
        counted, wanted = config.get("limit_by", "consumer"), "consumer" if where in own else "ip"
        if counted != wanted:
            yield Violation(where, f"counts by {counted}; write limit_by='{wanted}'")
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


@rule(
    on=KONG,
    reason="Kong takes a body of any size by default: one of some hundred MB is the end of the service's memory.",
    remedy="Give every service with routes a `RequestSizeLimiting` plugin; `rag-platform:gatewayMaxBodyMib` sets it.",
    most_mib=Setting(64, "the largest body, MiB"),
)
def bodies_are_limited(subject: Subject, *, most_mib: int) -> Violations:
    """Every public route refuses a body above a bound."""
    for where, service in services(subject):
        found = [_mib(config) for config in plugins(subject, service, "request-size-limiting")]
        if not found:
            yield Violation(where, "takes bodies of any size; add RequestSizeLimiting(allowed_payload_size=…)")
        for size in found:
            if size > most_mib:
                yield Violation(where, f"takes bodies of {size:g} MiB; write {most_mib} or fewer")


@rule(
    on=KONG,
    reason="Kong asks its Redis before it forwards a call, and waits 2 s by default for one that does not answer.",
    remedy="Write `fault_tolerant=True` and a short `redis.timeout`; `rag-platform:gatewayRedisTimeoutMs` sets it.",
    most_ms=Setting(50, "the longest wait, milliseconds"),
)
def counting_holds_up_no_call(subject: Subject, *, most_ms: int) -> Violations:
    """A Redis that is frozen or away costs a call little time, and never the call."""
    for where, config in every_plugin(subject, "rate-limiting"):
        if not config.get("fault_tolerant", True):
            yield Violation(where, "answers 500 while it cannot count; write fault_tolerant=True")
        waits = mapping(config.get("redis")).get("timeout", 2000)
        if config.get("policy") == "redis" and waits > most_ms:
            yield Violation(where, f"waits {waits:g} ms for a Redis that is frozen; write {most_ms} or fewer")


def _mib(config: Mapping[str, Any]) -> float:
    per_mib = {"megabytes": 1, "kilobytes": 2**10, "bytes": 2**20}[config.get("size_unit", "megabytes")]
    return float(config.get("allowed_payload_size", 128) / per_mib)


def _per_minute(config: Mapping[str, Any]) -> float:
    """The tightest of its limits, in calls a minute; without one, no limit at all."""
    rates = [config[unit] * 60 / seconds for unit, seconds in SECONDS.items() if config.get(unit)]
    return min(rates, default=float("inf"))

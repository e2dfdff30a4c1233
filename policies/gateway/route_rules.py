"""Which calls are let through, and what reaches the service behind."""

from collections.abc import Iterator, Mapping
from typing import Any

from policies.declared import KONG, items, mapping, mappings
from policies.gateway.reading import description, every_plugin, plugins, services
from policies.invariants import WITHOUT_TOKEN, brings_back, header_variants, tokens_expire
from policies.rule import Setting, Subject, Violation, Violations, rule


@rule(
    on=KONG,
    reason="Kong's jwt plugin verifies no expiry unless `exp` is named: without it a leaked token is good for ever. "
    "With an `anonymous` consumer no token at all is good enough.",
    remedy="Give every service with routes a `Jwt` plugin with `claims_to_verify=('exp',)`, a `maximum_expiration` "
    "(`rag-platform:gatewayTokenHours` sets it) and no `anonymous`.",
    most_days=Setting(366, "how long a token may be valid at most"),
)
def routes_ask_for_tokens_that_expire(subject: Subject, *, most_days: int) -> Violations:
    """Every public route asks for a token, and verifies that it has not expired and will soon."""
    for where, service in services(subject):
        found = list(plugins(subject, service, "jwt"))
        if not found:
            yield Violation(where, "has public routes and no jwt plugin; add Jwt(claims_to_verify=('exp',))")
        for config in found:
            if not tokens_expire(items(config.get("claims_to_verify"))):
                yield Violation(where, "its tokens are good for ever; write claims_to_verify=('exp',)")
            elif not 0 < config.get("maximum_expiration", 0) <= most_days * 86400:
                yield Violation(
                    where, f"takes tokens for any time; write maximum_expiration={most_days * 86400} or less"
                )
            if config.get("anonymous"):
                yield Violation(where, f"lets callers without a token in as {config['anonymous']}; leave anonymous out")


@rule(
    on=KONG,
    reason="A token in a URL stands in every log and history on the way.",
    remedy="Write `uri_param_names=()`: Kong's default takes `?jwt=…`.",
)
def tokens_stay_out_of_urls(subject: Subject) -> Violations:
    """A token is taken from a header, never from a URL."""
    for where, config in every_plugin(subject, "jwt"):
        if names := items(config.get("uri_param_names", ["jwt"])):
            yield Violation(where, f"takes tokens from the URL (?{names[0]}=…); write uri_param_names=()")


@rule(
    on=KONG,
    reason="`add` leaves a header alone that is there already: a caller that sends the service's token header itself "
    "chooses what the service believes. Some servers read `_` as `-`.",
    remedy="Name the header under `remove` in every variant (`header_variants()` lists them), then `add` it.",
    header=Setting("X-Service-Token", "the header by which the service knows the gateway; empty: none is asked for"),
)
def service_tokens_are_removed_before_they_are_added(subject: Subject, *, header: str) -> Violations:
    """What the gateway adds for the service, no caller can send in its place."""
    for where, service in services(subject):
        transformers = list(plugins(subject, service, "request-transformer"))
        added = {name for config in transformers for name in _names(config, "add")}
        removed = {name.lower() for config in transformers for name in _names(config, "remove")}
        tagged = WITHOUT_TOKEN in items(service.get("tags"))
        if header and not tagged and header.lower() not in {name.lower() for name in added}:
            yield Violation(where, f"is reached without {header}; add it, or any neighbour passes for the gateway")
        for name in sorted(added):
            if missing := [variant for variant in header_variants(name) if variant.lower() not in removed]:
                yield Violation(where, f"adds {name} and lets a caller's {', '.join(missing)} through; remove it first")


@rule(
    on=KONG,
    reason="With credentials and any origin, every page that a user opens can call the API as that user.",
    remedy="Name the origins in `rag-platform:gatewayCorsOrigins`: scheme, host and port.",
)
def credentials_need_named_origins(subject: Subject) -> Violations:
    """Browsers send credentials only from origins that are named."""
    for where, config in every_plugin(subject, "cors"):
        origins = items(config.get("origins")) or ["*"]
        wild = [str(origin) for origin in origins if set("*+([\\^$") & set(str(origin))]
        if config.get("credentials") and wild:
            yield Violation(where, f"allows credentials from {', '.join(wild)}; name each origin, https://app.example")


@rule(
    on=KONG,
    reason="A target that passive checks took out is never tried again: only active checks bring one back. Without any "
    "check, every caller waits for the dead one in turn.",
    remedy="Set `active.unhealthy.interval` and failures to take a target out, `active.healthy.interval` and "
    "`.successes` to bring it back.",
)
def health_checks_recover(subject: Subject) -> Violations:
    """A target that fails is taken out, and comes back when it is healthy."""
    for upstream in mappings(description(subject).get("upstreams")):
        checks = mapping(upstream.get("healthchecks"))
        where = subject.at(str(upstream.get("name")))
        if not any(_thresholds(checks)):
            yield Violation(where, "takes no failing target out; set active.unhealthy.interval and http_failures")
        back = mapping(mapping(checks.get("active")).get("healthy"))
        if not brings_back(back.get("interval", 0), back.get("successes", 0)):
            yield Violation(where, "never takes a target back; set active.healthy.interval and successes above 0")


def _thresholds(checks: Mapping[str, Any]) -> Iterator[bool]:
    """For active and passive checks: whether they take anything out."""
    for kind in ("active", "passive"):
        unhealthy = mapping(mapping(checks.get(kind)).get("unhealthy"))
        counts = any(unhealthy.get(count) for count in ("tcp_failures", "timeouts", "http_failures"))
        yield bool(counts and (kind == "passive" or unhealthy.get("interval")))


def _names(config: Mapping[str, Any], step: str) -> Iterator[str]:
    for header in items(mapping(config.get(step)).get("headers")):
        yield str(header).partition(":")[0]

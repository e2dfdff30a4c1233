"""Our gateway: the routes of every service, each behind its plugins."""

from collections.abc import Mapping

from components.gateway import description, plugins
from components.gateway.consumers import Jwks, consumers_of
from components.gateway.references import REDIS_PASSWORD, SERVICE_TOKEN, reference
from components.gateway.settings import GatewaySettings
from components.services.entry import RouteEntry, ServiceEntry
from policies.invariants import WITHOUT_TOKEN, header_variants

SERVICE_HEADER = "X-Service-Token"
TRACE_HEADER = "X-Trace-ID"
LIMIT_HEADERS = (
    *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
    *("X-RateLimit-Limit-Minute", "X-RateLimit-Remaining-Minute", "Retry-After", TRACE_HEADER),
)


def gateway_of(
    settings: GatewaySettings, entries: Mapping[str, ServiceEntry], traces_url: str = "", jwks: Jwks | None = None
) -> description.Gateway:
    """Every route of every service, for holders of a token, balanced over the service's replicas.

    With the address of a collector each call begins a trace, or continues its caller's, and returns its id. `jwks` are
    the keys that issuers publish.
    """
    services = tuple(
        _service(settings, name, entry, route, number)
        for name, entry in entries.items()
        for number, route in enumerate(entry.routes)
    )
    consumers = consumers_of(
        settings.consumers,
        jwks or {},
        made_keys=settings.jwt_keys,
        groups=sorted(groups_of(entries)),
        limit=_rate_limit(settings, settings.rate_limit_per_minute),
    )
    return description.Gateway(services=services, consumers=consumers, plugins=(_metrics(), *_traces(traces_url)))


def groups_of(entries: Mapping[str, ServiceEntry]) -> set[str]:
    """The groups that routes name."""
    return {group for entry in entries.values() for route in entry.routes for group in route.groups}


def _service(
    settings: GatewaySettings, name: str, entry: ServiceEntry, route: RouteEntry, number: int
) -> description.Service:
    """A Kong service for each route, because its time-outs and plugins are the route's; they share an upstream."""
    own = f"{name}-{number}" if number else name
    return description.Service(
        name=own,
        upstream=_upstream(name, entry),
        protocol="https" if entry.tls else "http",
        tls_verify=True if entry.tls else None,
        tags=None if route.service_token else (WITHOUT_TOKEN,),
        retries=2,
        connect_timeout=2000,
        read_timeout=route.read_timeout_seconds * 1000,
        plugins=_plugins(settings, route),
        routes=(
            description.Route(
                name=route.name or own,
                paths=route.paths,
                methods=(*route.methods, "OPTIONS"),
                strip_path=route.strip,
                response_buffering=not route.streaming,
            ),
        ),
    )


def _upstream(name: str, entry: ServiceEntry) -> description.Upstream:
    """Out of use within two failed checks, back within two good ones, whatever the responses to calls are meanwhile.

    A successful call does not count: for Kong it would undo a failed check, and a rag-service that is shutting down,
    which fails checks while it still answers calls, would get calls until it is gone.
    503 and 429 do not count as failures: with them a working rag-service reports, with Retry-After, that something
    behind it is down or busy; Kong's own 503 without a target would report less.
    """
    healthy = description.ActiveHealthy(interval=1, http_statuses=(200, 204), successes=2)
    unhealthy = description.ActiveUnhealthy(interval=1, tcp_failures=2, timeouts=2, http_failures=2)
    failing = description.PassiveUnhealthy(http_statuses=(500, 502, 504), tcp_failures=2, timeouts=3, http_failures=5)
    checks = description.HealthChecks(
        active=description.ActiveChecks(
            type="https" if entry.tls else "http", http_path=entry.health, healthy=healthy, unhealthy=unhealthy
        ),
        passive=description.PassiveChecks(unhealthy=failing),
    )
    addresses = entry.at or (f"{name}:{entry.port}",)
    targets = tuple(description.Target(address=address) for address in addresses)
    return description.Upstream(name=f"{name}.upstream", targets=targets, healthchecks=checks)


def _plugins(settings: GatewaySettings, route: RouteEntry) -> tuple[plugins.AnyPlugin, ...]:
    token = (f"{SERVICE_HEADER}:{reference(SERVICE_TOKEN)}",) if route.service_token else ()
    authorization = () if route.passes_token else ("Authorization",)
    return (
        plugins.Cors(
            origins=settings.cors_origins if route.cors_origins is None else route.cors_origins,
            methods=route.methods,
            headers=("Authorization", "Content-Type", *route.cors_headers),
            exposed_headers=LIMIT_HEADERS,
            credentials=True,
            max_age=3600,
        ),
        plugins.Jwt(
            key_claim_name=settings.key_claim,
            claims_to_verify=("exp",),
            maximum_expiration=settings.token_hours * 3600,
            uri_param_names=(),
            cookie_names=(),
        ),
        *((plugins.Acl(allow=route.groups),) if route.groups else ()),
        _rate_limit(settings, route.rate_limit_per_minute or settings.rate_limit_per_minute),
        plugins.RequestTransformer(
            remove=plugins.Names(headers=(*header_variants(SERVICE_HEADER), *authorization)),
            add=plugins.Values(headers=token),
        ),
        plugins.RequestSizeLimiting(allowed_payload_size=route.max_body_mib or settings.max_body_mib),
    )


def _rate_limit(settings: GatewaySettings, per_minute: int) -> plugins.RateLimiting:
    host, _, port = settings.counter_address.rpartition(":")
    redis = plugins.Redis()
    if host:
        timeout, password = settings.redis_timeout_ms, reference(REDIS_PASSWORD)
        redis = plugins.Redis(host=host, port=int(port), timeout=timeout, password=password)
    return plugins.RateLimiting(minute=per_minute, limit_by="ip", policy=settings.rate_limit_policy, redis=redis)


def _metrics() -> plugins.Prometheus:
    return plugins.Prometheus(
        per_consumer=True,
        status_code_metrics=True,
        latency_metrics=True,
        bandwidth_metrics=True,
        upstream_health_metrics=True,
        ai_metrics=False,  # no AI plugin is used
    )


def _traces(collector_url: str) -> tuple[plugins.OpenTelemetry, ...]:
    if not collector_url:
        return ()
    tracing = plugins.OpenTelemetry(
        traces_endpoint=f"{collector_url}/v1/traces",
        resource_attributes={"service.name": "kong", "service.namespace": "rag-platform"},
        http_response_header_for_traceid=TRACE_HEADER,
    )
    return (tracing,)

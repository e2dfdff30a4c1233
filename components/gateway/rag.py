"""Our gateway: one service, one public route, and its plugins."""

from components.gateway import description, plugins
from components.gateway.references import reference
from components.gateway.settings import GatewaySettings
from policies.invariants import header_variants

SERVICE_TOKEN, REDIS_PASSWORD = "service-token", "redis-password"  # names of secrets
SERVICE_HEADER = "X-Service-Token"
TRACE_HEADER = "X-Trace-ID"
PATH = "/api/v1/rag"
CONSUMER = "rag-client"
LIMIT_HEADERS = (
    *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
    *("X-RateLimit-Limit-Minute", "X-RateLimit-Remaining-Minute", "Retry-After", TRACE_HEADER),
)


def jwt_secret(key: str) -> str:
    """The name of the secret that signs tokens with this `kid`."""
    return f"jwt-{key}"


def rag_gateway(settings: GatewaySettings, targets: tuple[str, ...], traces_url: str = "") -> description.Gateway:
    """`POST /api/v1/rag/...` for holders of a token, balanced over the targets (`host:port` of rag-service).

    With the address of a collector each call begins a trace, or continues its caller's, and returns its id.
    """
    route = description.Route(name="rag-api", paths=(PATH,), methods=("GET", "POST", "OPTIONS"), strip_path=False)
    service = description.Service(
        name="rag-service",
        upstream=_upstream(targets),
        retries=2,
        connect_timeout=2000,
        plugins=_plugins(settings),
        routes=(route,),
    )
    keys = tuple(description.JwtCredential(key=key, secret=reference(jwt_secret(key))) for key in settings.jwt_keys)
    consumer = description.Consumer(username=CONSUMER, jwt_credentials=keys)
    return description.Gateway(services=(service,), consumers=(consumer,), plugins=(_metrics(), *_traces(traces_url)))


def _upstream(targets: tuple[str, ...]) -> description.Upstream:
    """Out of use within two failed checks, back within two good ones, whatever the responses to calls are meanwhile.

    A successful call does not count: for Kong it would undo a failed check, and a rag-service that is shutting down,
    which fails checks while it still answers calls, would get calls until it is gone.
    503 and 429 do not count as failures: with them a working rag-service reports, with Retry-After, that something
    behind it is down or busy; Kong's own 503 without a target would report less.
    """
    healthy = description.ActiveHealthy(interval=1, http_statuses=(200,), successes=2)
    unhealthy = description.ActiveUnhealthy(interval=1, tcp_failures=2, timeouts=2, http_failures=2)
    failing = description.PassiveUnhealthy(http_statuses=(500, 502, 504), tcp_failures=2, timeouts=3, http_failures=5)
    checks = description.HealthChecks(
        active=description.ActiveChecks(http_path="/health", healthy=healthy, unhealthy=unhealthy),
        passive=description.PassiveChecks(unhealthy=failing),
    )
    addresses = tuple(description.Target(address=target) for target in targets)
    return description.Upstream(name="rag-service.upstream", targets=addresses, healthchecks=checks)


def _plugins(settings: GatewaySettings) -> tuple[plugins.AnyPlugin, ...]:
    return (
        plugins.Cors(
            origins=settings.cors_origins,
            methods=("GET", "POST"),
            headers=("Authorization", "Content-Type"),
            exposed_headers=LIMIT_HEADERS,
            credentials=True,
            max_age=3600,
        ),
        plugins.Jwt(
            key_claim_name="kid",
            claims_to_verify=("exp",),
            maximum_expiration=settings.token_hours * 3600,
            uri_param_names=(),
            cookie_names=(),
        ),
        _rate_limit(settings),
        plugins.RequestTransformer(
            remove=plugins.Names(headers=(*header_variants(SERVICE_HEADER), "Authorization")),
            add=plugins.Values(headers=(f"{SERVICE_HEADER}:{reference(SERVICE_TOKEN)}",)),
        ),
        plugins.RequestSizeLimiting(allowed_payload_size=settings.max_body_mib),
    )


def _rate_limit(settings: GatewaySettings) -> plugins.RateLimiting:
    host, _, port = settings.counter_address.rpartition(":")
    redis = plugins.Redis()
    if host:
        timeout, password = settings.redis_timeout_ms, reference(REDIS_PASSWORD)
        redis = plugins.Redis(host=host, port=int(port), timeout=timeout, password=password)
    return plugins.RateLimiting(
        minute=settings.rate_limit_per_minute, limit_by="ip", policy=settings.rate_limit_policy, redis=redis
    )


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

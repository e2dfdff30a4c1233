"""Our gateway: one service, one public route, and its plugins."""

from components.gateway.description import (
    ActiveChecks,
    ActiveHealthy,
    ActiveUnhealthy,
    AnyPlugin,
    Consumer,
    Gateway,
    HealthChecks,
    JwtCredential,
    PassiveChecks,
    PassiveUnhealthy,
    Route,
    Service,
    Target,
    Upstream,
)
from components.gateway.plugins import (
    Cors,
    Jwt,
    Names,
    OpenTelemetry,
    Prometheus,
    RateLimiting,
    Redis,
    RequestTransformer,
    Values,
)
from components.gateway.references import reference
from components.gateway.settings import GatewaySettings
from policies.invariants import header_variants

SERVICE_TOKEN, REDIS_PASSWORD = "service-token", "redis-password"  # names of secrets
SERVICE_HEADER = "X-Service-Token"
TRACE_HEADER = "X-Trace-ID"
PATH = "/api/v1/rag"
CONSUMER = "rag-client"
LIMIT_HEADERS = (
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "X-RateLimit-Limit-Minute",
    "X-RateLimit-Remaining-Minute",
    "Retry-After",
    TRACE_HEADER,
)


def jwt_secret(key: str) -> str:
    """The name of the secret that signs tokens with this `kid`."""
    return f"jwt-{key}"


def rag_gateway(settings: GatewaySettings, targets: tuple[str, ...], traces_url: str = "") -> Gateway:
    """`POST /api/v1/rag/...` for holders of a token, balanced over the targets (`host:port` of rag-service).

    With the address of a collector each call begins a trace, or continues its caller's, and returns its id.
    """
    service = Service(
        name="rag-service",
        upstream=_upstream(targets),
        retries=2,
        connect_timeout=2000,
        plugins=_plugins(settings),
        routes=(Route(name="rag-api", paths=(PATH,), methods=("GET", "POST", "OPTIONS"), strip_path=False),),
    )
    keys = tuple(JwtCredential(key=key, secret=reference(jwt_secret(key))) for key in settings.jwt_keys)
    consumer = Consumer(username=CONSUMER, jwt_credentials=keys)
    return Gateway(services=(service,), consumers=(consumer,), plugins=(_metrics(), *_traces(traces_url)))


def _upstream(targets: tuple[str, ...]) -> Upstream:
    """Out of use within two failed checks, back within two good ones, whatever the responses to calls are meanwhile.

    A successful call does not count: for Kong it would undo a failed check, and a rag-service that is shutting down,
    which fails checks while it still answers calls, would get calls until it is gone.
    503 and 429 do not count as failures: with them a working rag-service reports, with Retry-After, that something
    behind it is down or busy; Kong's own 503 without a target would report less.
    """
    checks = HealthChecks(
        active=ActiveChecks(
            http_path="/health",
            healthy=ActiveHealthy(interval=1, http_statuses=(200,), successes=2),
            unhealthy=ActiveUnhealthy(interval=1, tcp_failures=2, timeouts=2, http_failures=2),
        ),
        passive=PassiveChecks(
            unhealthy=PassiveUnhealthy(http_statuses=(500, 502, 504), tcp_failures=2, timeouts=3, http_failures=5)
        ),
    )
    addresses = tuple(Target(address=target) for target in targets)
    return Upstream(name="rag-service.upstream", targets=addresses, healthchecks=checks)


def _plugins(settings: GatewaySettings) -> tuple[AnyPlugin, ...]:
    return (
        Cors(
            origins=settings.cors_origins,
            methods=("GET", "POST"),
            headers=("Authorization", "Content-Type"),
            exposed_headers=LIMIT_HEADERS,
            credentials=True,
            max_age=3600,
        ),
        Jwt(key_claim_name="kid", claims_to_verify=("exp",), uri_param_names=(), cookie_names=()),
        _rate_limit(settings),
        RequestTransformer(
            remove=Names(headers=(*header_variants(SERVICE_HEADER), "Authorization")),
            add=Values(headers=(f"{SERVICE_HEADER}:{reference(SERVICE_TOKEN)}",)),
        ),
    )


def _rate_limit(settings: GatewaySettings) -> RateLimiting:
    host, _, port = settings.counter_address.rpartition(":")
    redis = Redis(host=host, port=int(port), password=reference(REDIS_PASSWORD)) if host else Redis()
    return RateLimiting(
        minute=settings.rate_limit_per_minute, limit_by="ip", policy=settings.rate_limit_policy, redis=redis
    )


def _metrics() -> Prometheus:
    return Prometheus(
        per_consumer=True,
        status_code_metrics=True,
        latency_metrics=True,
        bandwidth_metrics=True,
        upstream_health_metrics=True,
        ai_metrics=False,  # no AI plugin is used
    )


def _traces(collector_url: str) -> tuple[OpenTelemetry, ...]:
    if not collector_url:
        return ()
    endpoint = f"{collector_url}/v1/traces"
    named = {"service.name": "kong", "service.namespace": "rag-platform"}
    return (
        OpenTelemetry(
            traces_endpoint=endpoint, resource_attributes=named, http_response_header_for_traceid=TRACE_HEADER
        ),
    )

"""A gateway that would be unsafe, or that Kong would refuse, cannot be described."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from components.gateway.description import (
    ActiveChecks,
    ActiveHealthy,
    ActiveUnhealthy,
    Consumer,
    Gateway,
    HealthChecks,
    JwtCredential,
    PassiveChecks,
    PassiveHealthy,
    PassiveUnhealthy,
    Route,
    Service,
    Target,
    Upstream,
)
from components.gateway.plugins import Jwt, Prometheus, RateLimiting, RequestSizeLimiting
from components.gateway.references import reference

UPSTREAM = Upstream(name="search.upstream", targets=(Target(address="search:3000"),))
OTHER = Upstream(name="search.upstream", targets=(Target(address="other:3000"),))  # its name, and another target
ROUTE = Route(name="search", paths=("/search",))
JWT, LIMIT, SIZE = Jwt(claims_to_verify=("exp",)), RateLimiting(minute=100), RequestSizeLimiting()


def service(name: str = "search", route: Route = ROUTE, upstream: Upstream = UPSTREAM, **changes: object) -> Service:
    given = {"plugins": (JWT, LIMIT, SIZE), "routes": (route,)} | changes
    return Service.model_validate({"name": name, "upstream": upstream, **given})


def test_a_guarded_route_is_accepted_and_balanced_over_its_upstream() -> None:
    assert service().host == UPSTREAM.name
    assert service() == service()


def test_a_service_without_routes_needs_no_guard() -> None:
    assert service(plugins=(), routes=()).plugins == ()


@pytest.mark.parametrize(
    ("plugins", "reason"),
    [
        ((LIMIT,), "Jwt plugin"),
        ((Jwt(), LIMIT), "Jwt plugin"),
        ((Jwt(claims_to_verify=("nbf",)), LIMIT), "Jwt plugin"),
        ((Jwt(claims_to_verify=("exp",), anonymous="guest"), LIMIT), "Jwt plugin"),
        ((JWT, SIZE), "RateLimiting plugin"),
        ((JWT, LIMIT), "RequestSizeLimiting plugin"),
        ((JWT, LIMIT, RateLimiting(hour=1)), "found rate-limiting more often"),
    ],
)
def test_a_public_route_without_its_guards_is_refused(plugins: tuple[object, ...], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        service(plugins=plugins)


def other(**changes: object) -> Service:
    """A second service that clashes with the first in nothing but the changes."""
    upstream = Upstream(name="other.upstream", targets=UPSTREAM.targets)
    given: dict[str, object] = {"name": "other", "route": Route(name="other", paths=("/other",)), "upstream": upstream}
    return service(**(given | changes))  # type: ignore[arg-type]


KEY = JwtCredential(key="k-1", secret=reference("jwt-k-1"))


@pytest.mark.parametrize(
    ("mistake", "reason"),
    [
        (lambda: Gateway(services=(service(), other(name="search"))), "services: .* search"),
        (lambda: Gateway(services=(service(), other(route=ROUTE))), "routes: .* search"),
        (lambda: Gateway(services=(service(), other(upstream=OTHER))), "upstreams: .* search.upstream"),
        (lambda: Gateway(services=(), plugins=(Prometheus(), Prometheus())), "global plugins: .* prometheus"),
        (lambda: Gateway(services=(), consumers=(Consumer(username="a"), Consumer(username="a"))), "consumers: .* a"),
        (lambda: Gateway(services=(), consumers=(Consumer(username="a", jwt_credentials=(KEY, KEY)),)), "keys: .* k-1"),
    ],
)
def test_a_name_stands_for_one_thing(mistake: Callable[[], Gateway], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        mistake()


def test_different_names_live_together() -> None:
    assert len(Gateway(services=(service(), other())).services) == 2


def test_a_jwt_secret_in_plain_text_is_refused() -> None:
    with pytest.raises(ValidationError, match="expected a reference to a secret"):
        JwtCredential(key="k-1", secret="s3cret-in-the-repository")
    assert KEY.secret == "${JWT_K_1}"


def test_a_target_taken_out_by_traffic_alone_would_never_come_back() -> None:
    passive = PassiveChecks(unhealthy=PassiveUnhealthy(http_failures=3))
    with pytest.raises(ValidationError, match="never use the target again"):
        HealthChecks(passive=passive)
    HealthChecks(passive=passive, active=ActiveChecks(healthy=ActiveHealthy(interval=1, successes=1)))


def test_a_check_that_answered_calls_undo_would_take_nothing_out() -> None:
    active = ActiveChecks(unhealthy=ActiveUnhealthy(interval=1, http_failures=2))
    with pytest.raises(ValidationError, match="used until it is gone"):
        HealthChecks(active=active, passive=PassiveChecks(healthy=PassiveHealthy(successes=2)))
    HealthChecks(active=active)


@pytest.mark.parametrize("target", [{"address": "search"}, {"address": "search:3000", "weight": 0}])
def test_a_target_pulumi_kong_would_change_silently_is_refused(target: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Target.model_validate(target)

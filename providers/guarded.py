"""The gate before a public route: done when every worker of Kong refuses a call without a token."""

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

KEPT = ("service", "proxy_urls", "public_paths", "span_seconds", "guards")


class GuardedProvider(ResourceProvider):
    """Observes the canary route before public routes are made, and the public routes after they are deleted."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """The service is new: no public route of it exists yet."""
        return CreateResult(id_=f"guarded-{props['service']}", outs=self._guarded(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Its guards changed: no further route is made or changed before they refuse."""
        return UpdateResult(outs=self._guarded(news))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Another canary secret changes nothing; any other change is observed again."""
        return DiffResult(changes=any(olds.get(key) != news.get(key) for key in KEPT))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """The public routes are deleted and the plugins are next: wait until no worker serves the routes any more."""
        from access.kong import await_unrouted

        try:
            await_unrouted(props)
        except TimeoutError:
            return  # another route answers there: no reason to refuse a destroy

    def _guarded(self, props: dict[str, Any]) -> dict[str, Any]:
        from access.kong import await_refused

        await_refused(props)
        return {key: props[key] for key in KEPT}


class RouteGuard(Resource, module="providers", name="Guarded"):
    """A gate: a public route that depends on it is never served without its jwt plugin.

    Creating a plugin before a route is not enough: each worker of Kong loads routes and plugins on separate timers, and
    one that has the route but not yet the plugin lets every call through. The canary is a route of the same service,
    reached only with a secret header; a plugin that refuses there refuses on every route of the service.
    """

    def __init__(
        self,
        name: str,
        *,
        service: str,
        proxy_urls: list[pulumi.Input[str]],
        canary_host: str,
        canary_header: str,
        canary_secret: pulumi.Input[str],
        public_paths: list[str],
        span_seconds: float,
        guards: pulumi.Input[dict[str, Any]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props: dict[str, Any] = {
            "service": service,
            "proxy_urls": proxy_urls,
            "canary_host": canary_host,
            "canary_header": canary_header,
            "canary_secret": pulumi.Output.secret(canary_secret),
            "public_paths": public_paths,
            "span_seconds": span_seconds,
            "guards": guards,
        }
        super().__init__(GuardedProvider(), name, props, opts)

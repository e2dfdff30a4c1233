"""A Job that is run once in the life of a stack, and never again, whatever changes."""

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider


class JobOnceProvider(ResourceProvider):
    """Runs it and removes it; a failure leaves nothing in the state, so that the next `up` runs it again.

    It is no Job resource of the cluster: one that a refresh finds gone would be created, and run, a second time.
    """

    def create(self, props: dict[str, Any]) -> CreateResult:
        from access.kubernetes.job_running import run_to_end
        from access.kubernetes.job_source import ClusterJob
        from providers.wire import with_integers

        manifest = with_integers(props["manifest"])
        source = ClusterJob(props["context"], manifest, follows=props["follows"])
        run_to_end(source, props["timeout_seconds"])
        return CreateResult(id_=manifest["metadata"]["name"], outs=props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=False)


class JobOnce(Resource, module="providers", name="JobOnce"):
    """`manifest` as Kubernetes spells it, in the cluster of `context` (empty: the current one).

    `follows` is the pod whose machine it goes to; when that one is ready, there is nothing to run.
    """

    def __init__(
        self,
        name: str,
        *,
        context: str,
        manifest: dict[str, Any],
        follows: str,
        timeout_seconds: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"context": context, "manifest": manifest, "follows": follows, "timeout_seconds": timeout_seconds}
        super().__init__(JobOnceProvider(), name, props, opts)

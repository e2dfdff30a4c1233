"""A replicated collection as a resource; `qdrant_admin.collection` does the work, without Pulumi."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from qdrant_admin.collection.settings import CollectionSettings
from qdrant_admin.collection.spec import CHANGEABLE, FIXED, OPTIONAL

if TYPE_CHECKING:
    from qdrant_admin.collection.lifecycle import Lifecycle

DECLARED = ("name", "alias", *FIXED, *CHANGEABLE, *OPTIONAL)
# A later refresh or update reaches the cluster by what the state has.
CONNECTION_FIELDS = ("node_urls", "api_key", "ingest_url", "ingest_token")
OBSERVED = ("physical_name", "physical_replication_factor", "previous", "draining", "adopted", "python")
DELETION_PROTECTED = "guarded"  # its name in the state
RACING = "racing"  # the name of `draining` in an earlier release's state


class CollectionProvider(ResourceProvider):
    """Create or adopt, verify, report, change, replace behind the alias, repair, drop."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        from providers.wire import python_minor, report

        observed = _lifecycle(props).reconcile()
        if observed["adopted"]:
            report(f"adopted the collection {observed['physical_name']}, which was there already and fits")
        return CreateResult(id_=props["name"], outs={**props, **observed, "python": python_minor()})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """What is really there, as it would be declared, physical replication included; gone when the collection is."""
        from providers.wire import reachable, with_integers

        known = {**reachable(with_integers(props)), "name": id_}
        known.pop(RACING, None)
        observed = _lifecycle(known).observe()
        if observed is None:
            return ReadResult(id_="", outs={})
        found = {**known, **observed}
        return ReadResult(
            id_=id_, outs=found, inputs={key: value for key, value in found.items() if key not in OBSERVED}
        )

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """What is declared against what was observed; the provider's own code and its time-outs are no difference."""
        changed = any(olds.get(key) != news.get(key) for key in (*DECLARED, *CONNECTION_FIELDS, DELETION_PROTECTED))
        drifted = olds.get("physical_replication_factor") != news["replication_factor"]
        draining = bool(olds.get("draining", olds.get(RACING)))
        superseded = bool(olds.get("previous")) and not news["keep_previous"]
        return DiffResult(
            changes=changed or drifted or draining or superseded,
            replaces=["name"] if olds.get("name") != news["name"] else [],
        )

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        from providers.wire import python_minor

        forget = frozenset(olds.get("payload_indexes") or ()) - frozenset(news["payload_indexes"])
        observed = _lifecycle(news).reconcile(forget_indexes=forget)
        return UpdateResult(outs={**news, **observed, "adopted": olds.get("adopted", False), "python": python_minor()})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """RuntimeError while the state protects its data: protection is lifted by an `up` of its own before."""

        if props.get(DELETION_PROTECTED):
            raise RuntimeError(
                f"expected the data of {props['name']} to be given up before it is deleted, found it protected; set "
                "protectData to false, run make up, and then delete again. Nothing was deleted"
            )
        _lifecycle(props).drop()


def _lifecycle(props: Mapping[str, Any]) -> "Lifecycle":
    """Typed, from the inputs as the engine hands them over, with floats for whole numbers."""
    from providers.wire import report, with_integers
    from qdrant_admin.cluster_access import ClusterAccess
    from qdrant_admin.collection.lifecycle import Lifecycle
    from qdrant_admin.collection.spec import CollectionSpec

    given = with_integers(props)
    spec, access = CollectionSpec.from_props(given), ClusterAccess.from_props(given)
    return Lifecycle(spec=spec, access=access, on_progress=report)


class ReplicatedCollection(Resource, module="providers", name="ReplicatedCollection"):
    """A collection, served by its alias, each of whose shards is Active on as many peers as it declares."""

    physical_name: pulumi.Output[str]
    physical_replication_factor: pulumi.Output[int]
    previous: pulumi.Output[list[str]]
    adopted: pulumi.Output[bool]

    def __init__(
        self,
        name: str,
        settings: CollectionSettings,
        *,
        node_urls: list[str],
        api_key: pulumi.Input[str],
        ingest_url: str = "",
        ingest_token: pulumi.Input[str] = "",
        embedder: str = "",
        deletion_protected: bool = False,
        timeout_seconds: int = 3600,
        stalled_seconds: int = 60,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = settings.declared() | dict.fromkeys(OBSERVED)
        props |= {
            "node_urls": node_urls,
            "api_key": pulumi.Output.secret(api_key),
            "ingest_url": ingest_url,
            "ingest_token": pulumi.Output.secret(ingest_token),
            "embedder": embedder,
            DELETION_PROTECTED: deletion_protected,
            "timeout_seconds": timeout_seconds,
            "stalled_seconds": stalled_seconds,
        }
        secrets = pulumi.ResourceOptions(additional_secret_outputs=["api_key", "ingest_token"])
        super().__init__(CollectionProvider(), name, props, pulumi.ResourceOptions.merge(opts, secrets))

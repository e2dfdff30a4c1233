"""A replicated collection as a resource; `qdrant_admin.collection` does the work, without Pulumi."""

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from qdrant_admin.collection.params import CHANGEABLE, FIXED
from qdrant_admin.collection.settings import CollectionSettings

DECLARED = ("name", "alias", *FIXED, *CHANGEABLE)
CONNECTION_FIELDS = (
    "node_urls",
    "api_key",
    "ingest_url",
    "ingest_token",
)  # a later refresh or update goes by what the state has
OBSERVED = ("physical_name", "physical_replication_factor", "previous", "draining", "adopted", "python")


class CollectionProvider(ResourceProvider):
    """Create or adopt, verify, report, change, replace behind the alias, repair, drop."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        from providers.wire import python_minor, report, with_integers
        from qdrant_admin.collection.lifecycle import bring

        seen = bring(with_integers(props), report)
        if seen["adopted"]:
            report(f"adopted the collection {seen['physical_name']}, which was there already and fits")
        return CreateResult(id_=props["name"], outs={**props, **seen, "python": python_minor()})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """What is really there, as it would be declared, physical replication included; gone when the collection is."""
        from providers.wire import reachable, with_integers
        from qdrant_admin.collection.lifecycle import observe

        known = {**reachable(with_integers(props)), "name": id_}
        seen = observe(known)
        if seen is None:
            return ReadResult(id_="", outs={})
        found = {**known, **seen}
        return ReadResult(
            id_=id_, outs=found, inputs={key: value for key, value in found.items() if key not in OBSERVED}
        )

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """What is declared against what was seen; the provider's own code, and its patience, are no difference."""
        changed = any(olds.get(key) != news.get(key) for key in (*DECLARED, *CONNECTION_FIELDS))
        bool(olds.get("draining", olds.get("racing")))  # an earlier release's name
        drifted = olds.get("physical_replication_factor") != news["replication_factor"] or bool(
            olds.get("draining", olds.get("racing"))
        )
        confirmed = bool(olds.get("previous")) and not news["keep_previous"]
        return DiffResult(
            changes=changed or drifted or confirmed or olds.get("guarded") != news.get("guarded"),
            replaces=["name"] if olds.get("name") != news["name"] else [],
        )

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        from providers.wire import python_minor, report, with_integers
        from qdrant_admin.collection.lifecycle import bring

        forget = frozenset(olds.get("payload_indexes") or ()) - frozenset(news["payload_indexes"])
        seen = bring(with_integers(news), report, forget_indexes=forget)
        return UpdateResult(outs={**news, **seen, "adopted": olds.get("adopted", False), "python": python_minor()})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """RuntimeError while the state says that its data is guarded: who means it has to say so twice."""
        from providers.wire import with_integers
        from qdrant_admin.collection.lifecycle import drop

        if props.get("guarded"):
            raise RuntimeError(
                f"expected the data of {props['name']} to be given up before it is deleted, found it protected; set "
                "protectData to false, run make up, and then delete again. Nothing was deleted"
            )
        drop(with_integers(props))


class ReplicatedCollection(Resource, module="providers", name="ReplicatedCollection"):
    """A collection, served by its alias, whose shards are known to stand, Active, on as many peers as it declares."""

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
        guarded: bool = False,
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
            "guarded": guarded,
            "timeout_seconds": timeout_seconds,
            "stalled_seconds": stalled_seconds,
        }
        secrets = pulumi.ResourceOptions(additional_secret_outputs=["api_key", "ingest_token"])
        super().__init__(CollectionProvider(), name, props, pulumi.ResourceOptions.merge(opts, secrets))

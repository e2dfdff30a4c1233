"""A replicated collection as a resource: created once, adopted if it fits, done only when physically replicated."""

from typing import Any, Literal

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult
from pydantic import BaseModel, ConfigDict, Field, model_validator

from providers.replication import FIXED

DECLARED = (*FIXED, "replication_factor", "write_consistency_factor")


class CollectionSettings(BaseModel):
    """The collection that the stack serves; defaults stand in Pulumi.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")
    vector_size: int = Field(ge=1, le=65536)
    distance: Literal["Cosine", "Dot", "Euclid", "Manhattan"]
    shard_number: int = Field(ge=1)
    replication_factor: int = Field(ge=1)
    write_consistency_factor: int = Field(ge=1)

    @model_validator(mode="after")
    def consistent(self) -> "CollectionSettings":
        if self.write_consistency_factor > self.replication_factor:
            raise ValueError(
                f"expected a write consistency factor of at most the replication factor "
                f"({self.replication_factor}), found {self.write_consistency_factor}"
            )
        return self


class CollectionProvider(ResourceProvider):
    """Create or adopt, verify, report; the work is in `providers.replication`, which knows nothing of Pulumi."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        from providers.replication import create_or_adopt
        from providers.wire import whole

        return CreateResult(id_=props["name"], outs={**props, **create_or_adopt(whole(props))})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """What is really there, physical replication included; gone when the collection is."""
        from providers.replication import observe
        from providers.wire import whole

        seen = observe({**whole(props), "name": id_})
        return ReadResult(id_=id_, outs={**props, **seen}) if seen else ReadResult(id_="", outs={})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """What is declared against what was seen; and an address or key that a later refresh would go by."""
        different = [key for key in (*DECLARED, "node_urls", "api_key") if olds.get(key) != news.get(key)]
        under_replicated = olds.get("physical_replication_factor", 0) < news["replication_factor"]
        another = ["name"] if "name" in different else []
        return DiffResult(changes=bool(different) or under_replicated, replaces=another)

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        from providers.replication import change
        from providers.wire import whole

        return UpdateResult(outs={**news, **change(whole(olds), whole(news))})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        from providers.replication import drop
        from providers.wire import whole

        drop(whole(props))


class ReplicatedCollection(Resource, module="providers", name="ReplicatedCollection"):
    """A collection whose shards are known to stand, Active, on as many peers as it declares."""

    physical_replication_factor: pulumi.Output[int]
    adopted: pulumi.Output[bool]

    def __init__(
        self,
        name: str,
        settings: CollectionSettings,
        *,
        node_urls: list[str],
        api_key: pulumi.Input[str],
        timeout_seconds: int = 120,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = settings.model_dump() | {
            "node_urls": node_urls,
            "api_key": pulumi.Output.secret(api_key),
            "timeout_seconds": timeout_seconds,
            "physical_replication_factor": None,
            "adopted": None,
        }
        secrets = pulumi.ResourceOptions(additional_secret_outputs=["api_key"])
        super().__init__(CollectionProvider(), name, props, pulumi.ResourceOptions.merge(opts, secrets))

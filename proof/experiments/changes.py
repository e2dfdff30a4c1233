"""The changes that are rolled, of an image and of a setting of each component, and what each may cost."""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proof.experiments.scenarios import ONE_BALANCER, ONE_GATEWAY, no
from proof.targets.docker_stack import OwnStack
from proof.traffic.clients import ASK, READ, SEARCH

REBUILT = "rag-proof"  # the repository of images that were rebuilt to be another one


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change: the keys of the stack file that it sets, and the replicas that it must replace, in that order.

    Replicas that have no names of their own share one. A change that replaces none must still change something.
    """

    name: str
    title: str
    keys: Callable[[OwnStack], Mapping[str, Any]]
    replaces: tuple[str, ...]
    may_fail: Mapping[str, str] = field(default_factory=dict)
    slow: str = ""


def rebuilt(key: str, replica: str) -> Callable[[OwnStack], Mapping[str, Any]]:
    """The same image with one more label: for the engine it is another one, and nothing that runs has changed."""

    def keys(stack: OwnStack) -> Mapping[str, Any]:
        tag = f"{REBUILT}/{key.lower()}:{time.strftime('%Y%m%d-%H%M%S')}"
        recipe = f"FROM {stack.container(replica).image.id}\nLABEL rag-proof.rebuilt={tag}\n"
        stack.engine.images.build(fileobj=io.BytesIO(recipe.encode()), tag=tag, rm=True)
        return {key: tag}

    return keys


def other(key: str, one: Any, another: Any) -> Callable[[OwnStack], Mapping[str, Any]]:
    """A setting that has one of two values, set to the one that it has not."""
    return lambda stack: {key: another if stack.files.overrides.get(key, one) == one else one}


RAG = ("rag-service-0", "rag-service-1", "rag-llamaindex-query-0", "rag-llamaindex-query-1", "rag-ingest-0")
QDRANT = ("qdrant-0", "qdrant-1", "qdrant-2")

CHANGES = (
    Change(
        name="qdrant-setting",
        title="A setting of all Qdrant nodes",
        keys=other("qdrantLogLevel", "INFO", "WARN"),
        replaces=QDRANT,
    ),
    Change(
        name="qdrant-image",
        title="Another image for all Qdrant nodes",
        keys=rebuilt("imageQdrant", "qdrant-0"),
        replaces=QDRANT,
    ),
    Change(
        name="rag-setting",
        title="A setting of all RAG roles",
        keys=other("ragOllamaUrl", "http://host.docker.internal:11434", "http://host.docker.internal:11435"),
        replaces=RAG,
    ),
    Change(
        name="rag-image",
        title="Another image for all RAG roles",
        keys=rebuilt("imageRag", "rag-service-0"),
        replaces=RAG,
    ),
    Change(
        name="gateway-setting",
        title="A setting of the gateway's routes, through its Admin API",
        keys=other("gatewayRateLimitPerMinute", 100, 101),
        replaces=(),
    ),
    Change(
        name="postgres-image",
        title="Another image for the gateway's database",
        keys=rebuilt("imagePostgres", "postgres-0"),
        replaces=("postgres-0",),
    ),
    Change(
        name="haproxy-setting",
        title="A setting of the balancer",
        keys=other("qdrantQueryTimeoutMs", 800, 801),
        replaces=("haproxy-0",),
        may_fail=no(READ, SEARCH, ASK, because=ONE_BALANCER),
        slow=ONE_BALANCER,
    ),
    Change(
        name="haproxy-image",
        title="Another image for the balancer",
        keys=rebuilt("imageHaproxy", "haproxy-0"),
        replaces=("haproxy-0",),
        may_fail=no(READ, SEARCH, ASK, because=ONE_BALANCER),
        slow=ONE_BALANCER,
    ),
    Change(
        name="kong-setting",
        title="A setting of the gateway itself",
        keys=other("gatewayFloodBurst", 200, 201),
        replaces=("kong-0",),
        may_fail=no(SEARCH, ASK, because=ONE_GATEWAY),
        slow=ONE_GATEWAY,
    ),
    Change(
        name="kong-image",
        title="Another image for the gateway",
        keys=rebuilt("imageKong", "kong-0"),
        replaces=("kong-0",),
        may_fail=no(SEARCH, ASK, because=ONE_GATEWAY),
        slow=ONE_GATEWAY,
    ),
)


def named(*names: str, among: Sequence[Change] = CHANGES) -> tuple[Change, ...]:
    """The changes of these names, in the order in which they are made; all of them for none. ValueError else."""
    if unknown := sorted(set(names) - {change.name for change in among}):
        known = ", ".join(change.name for change in among)
        raise ValueError(f"expected changes out of {known}; found {', '.join(unknown)}")
    return tuple(change for change in among if not names or change.name in names)


def forget_rebuilt(stack: OwnStack) -> None:
    """Remove the images that were rebuilt; what they share with the ones they came from stays."""
    for image in stack.engine.images.list():
        for tag in image.tags:
            if tag.startswith(f"{REBUILT}/"):
                stack.engine.images.remove(tag)

"""The changes that `make roll` makes on Docker, of an image and of a setting of each component."""

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from proof.experiments.experiment import Changes, Experiment, may_fail
from proof.experiments.scenarios import ONE_BALANCER, ONE_GATEWAY
from proof.targets.docker_target import DockerTarget
from proof.targets.proof_stack import ProofStack
from proof.targets.target import Target
from proof.traffic.clients import ASK, READ, SEARCH

REBUILT = "rag-proof"  # the repository of rebuilt images


def up_with(settings: Callable[[ProofStack], Mapping[str, Any]]) -> Callable[[Target], Changes]:
    """`up` with these keys of the stack file set."""
    return lambda target: target.stack.up_in_subprocess(**settings(target.stack))


def up_with_other(key: str, one: Any, another: Any) -> Callable[[Target], Changes]:
    """`up` with a setting of two values set to the other one."""
    return up_with(lambda stack: {key: another if stack.files.overrides.get(key, one) == one else one})


def image_rebuilt(key: str, replica: str) -> Callable[[DockerTarget], AbstractContextManager[None]]:
    """The replica's image with one more label: another image for the engine, with the same content."""

    @contextmanager
    def build(target: DockerTarget) -> Iterator[None]:
        tag = f"{_repository(key)}:{time.strftime('%Y%m%d-%H%M%S')}"
        recipe = f"FROM {target.container(replica).image.id}\nLABEL rag-proof.rebuilt={tag}\n"
        target.engine.images.build(fileobj=io.BytesIO(recipe.encode()), tag=tag, rm=True)
        yield

    return build


def up_with_rebuilt(key: str) -> Callable[[DockerTarget], Changes]:
    """`up` with the image that was rebuilt last for this key."""

    def change(target: DockerTarget) -> Changes:
        tags = [tag for image in target.engine.images.list(name=_repository(key)) for tag in image.tags]
        return target.stack.up_in_subprocess(**{key: max(tag for tag in tags if tag.startswith(_repository(key)))})

    return change


def _repository(key: str) -> str:
    return f"{REBUILT}/{key.lower()}"


RAG = ("rag-service-0", "rag-service-1", "rag-llamaindex-query-0", "rag-llamaindex-query-1", "rag-ingest-0")
QDRANT = ("qdrant-0", "qdrant-1", "qdrant-2")

# fmt: off
CHANGES: tuple[Experiment[DockerTarget], ...] = (
    Experiment("qdrant-setting", "A setting of all Qdrant nodes", up_with_other("qdrantLogLevel", "INFO", "WARN"),
               replaces=QDRANT),
    Experiment("qdrant-image", "Another image for all Qdrant nodes", up_with_rebuilt("imageQdrant"),
               prerequisites=image_rebuilt("imageQdrant", "qdrant-0"), replaces=QDRANT),
    Experiment("rag-setting", "A setting of all RAG roles",
               up_with_other("ragOllamaUrl", "http://host.docker.internal:11434", "http://host.docker.internal:11435"),
               replaces=RAG),
    Experiment("rag-image", "Another image for all RAG roles", up_with_rebuilt("imageRag"),
               prerequisites=image_rebuilt("imageRag", "rag-service-0"), replaces=RAG),
    Experiment("gateway-setting", "A setting of the gateway's routes, through its Admin API",
               up_with_other("gatewayRateLimitPerMinute", 100, 101)),
    Experiment("postgres-image", "Another image for the gateway's database", up_with_rebuilt("imagePostgres"),
               prerequisites=image_rebuilt("imagePostgres", "postgres-0"), replaces=("postgres-0",)),
    Experiment("haproxy-setting", "A setting of the balancer", up_with_other("qdrantQueryTimeoutMs", 800, 801),
               replaces=("haproxy-0",), may_fail=may_fail(READ, SEARCH, ASK, because=ONE_BALANCER),
               slow=ONE_BALANCER),
    Experiment("haproxy-image", "Another image for the balancer", up_with_rebuilt("imageHaproxy"),
               prerequisites=image_rebuilt("imageHaproxy", "haproxy-0"), replaces=("haproxy-0",),
               may_fail=may_fail(READ, SEARCH, ASK, because=ONE_BALANCER), slow=ONE_BALANCER),
    Experiment("kong-setting", "A setting of the gateway itself", up_with_other("gatewayFloodBurst", 200, 201),
               replaces=("kong-0",), may_fail=may_fail(SEARCH, ASK, because=ONE_GATEWAY), slow=ONE_GATEWAY),
    Experiment("kong-image", "Another image for the gateway", up_with_rebuilt("imageKong"),
               prerequisites=image_rebuilt("imageKong", "kong-0"), replaces=("kong-0",),
               may_fail=may_fail(SEARCH, ASK, because=ONE_GATEWAY), slow=ONE_GATEWAY),
)
# fmt: on


def remove_rebuilt(target: DockerTarget) -> None:
    """Remove the rebuilt images; the layers that they share with the originals stay."""
    for image in target.engine.images.list():
        for tag in image.tags:
            if tag.startswith(f"{REBUILT}/"):
                target.engine.images.remove(tag)

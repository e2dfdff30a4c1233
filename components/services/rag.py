"""The reference RAG service: one image in three roles, so that the whole path can be exercised."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pulumi
from pulumi import ResourceOptions
from pydantic import Field

from platforms.base import Platform
from platforms.policy_inputs import policy_inputs
from platforms.settings import FrozenSettings, PortNumber
from platforms.workload import AllowedConnection, HttpProbe, ImageBuild, Port, Resources, Workload, port_of

API, QUERY, INGEST = "rag-service", "rag-llamaindex-query", "rag-ingest"
PORTS = {API: 3000, QUERY: 8000, INGEST: 8201}
ROLES = {API: "api", QUERY: "query", INGEST: "ingest"}
SECRETS = "/run/secrets"


class RagSettings(FrozenSettings):
    """Models and sizes of the service; defaults stand in Pulumi.yaml."""

    embedder: Literal["minilm", "ollama"]
    llm: Literal["extractive", "ollama"]
    ollama_url: str
    memory_mib: int = Field(ge=384)
    cpus: int = Field(ge=1)
    replicas: int = Field(ge=1, description="of each role that answers")
    most_replicas: int = Field(ge=1)
    ingest_max_body_mib: int = Field(ge=1, le=64, description="the largest body that the ingest role takes")
    ingest_port: PortNumber


@dataclass(frozen=True, kw_only=True)
class RagServiceArgs:
    """Where it runs, what it is, and what it talks to."""

    platform: Platform
    settings: RagSettings
    image: str | ImageBuild
    collection: str
    qdrant_url: str
    qdrant: AllowedConnection
    qdrant_api_key: pulumi.Input[str]
    qdrant_read_only_api_key: pulumi.Input[str]
    service_token: pulumi.Input[str]
    max_body_mib: int  # of a call through the gateway
    traces_url: str = ""

    @cached_property
    def workloads(self) -> dict[str, Workload]:
        """Each role, by its name."""
        return {role: role_workload(role, self) for role in ROLES}

    @property
    def ingest_url(self) -> str:
        """Address of the ingest role, for the operator on this machine; known before it runs."""
        return self.platform.locate(INGEST, self.workloads[INGEST]).public_url(PORTS[INGEST])


class RagService(pulumi.ComponentResource):
    """Answers searches and questions, and takes documents in; only for callers with the service token."""

    def __init__(self, name: str, args: RagServiceArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("rag:components:RagService", name, policy_inputs(args.settings, args.workloads), opts)
        child = ResourceOptions(parent=self)
        self.services = {role: args.platform.run(role, workload, child) for role, workload in args.workloads.items()}
        self.ready = [resource for service in self.services.values() for resource in service.ready]
        self.register_outputs({"url": self.url})

    @property
    def url(self) -> str:
        """Address of the API role, for neighbours."""
        return self.services[API].url(PORTS[API])


def rag_image(reference: str, *, base: str) -> str | ImageBuild:
    """The image that is named, else one built from the service's folder on `base`."""
    return reference or ImageBuild(name="rag-platform/rag", context="services/rag", build_args={"BASE": base})


def role_workload(name: str, args: RagServiceArgs) -> Workload:
    """One role; only the one that writes gets the key that may."""
    key = args.qdrant_api_key if name == INGEST else args.qdrant_read_only_api_key
    port = PORTS[name]
    return Workload(
        image=args.image,
        env=role_env(name, args),
        ports=(Port(number=port, published=args.settings.ingest_port if name == INGEST else None),),
        secret_files={f"{SECRETS}/qdrant-api-key": key, f"{SECRETS}/service-token": args.service_token},
        # One that writes: its jobs are its own, and a second one would not know of them.
        replicas=1 if name == INGEST else args.settings.replicas,
        most_replicas=None if name == INGEST else args.settings.most_replicas,
        connects_to=(args.qdrant, AllowedConnection(name=QUERY, port=PORTS[QUERY])) if name == API else (args.qdrant,),
        reaches_out=outside_ports(args),
        scratch_dirs=("/tmp",),  # noqa: S108  the container's own
        readiness=HttpProbe(port=port, path="/health"),
        grace_seconds=30,
        resources=Resources(memory_mib=args.settings.memory_mib, cpus=args.settings.cpus),
    )


def outside_ports(args: RagServiceArgs) -> tuple[int, ...]:
    """Those of Ollama and of the collector of traces, where they are used."""
    asks_ollama = "ollama" in (args.settings.embedder, args.settings.llm)
    return (*port_of(args.settings.ollama_url if asks_ollama else ""), *port_of(args.traces_url))


def role_env(name: str, args: RagServiceArgs) -> Mapping[str, str]:
    """The plain settings of a role."""
    settings = args.settings
    max_body_mib = settings.ingest_max_body_mib if name == INGEST else args.max_body_mib
    return {
        "ROLE": ROLES[name],
        "MAX_BODY_BYTES": str(max_body_mib * 2**20),
        "QDRANT_URL": args.qdrant_url,
        "COLLECTION": args.collection,
        "QDRANT_API_KEY_FILE": f"{SECRETS}/qdrant-api-key",
        "SERVICE_TOKEN_FILE": f"{SECRETS}/service-token",
        "QUERY_URL": f"http://{QUERY}:{PORTS[QUERY]}",
        "EMBEDDER": settings.embedder,
        "LLM": settings.llm,
        "OLLAMA_URL": settings.ollama_url,
        **({"TRACES_URL": args.traces_url} if args.traces_url else {}),
    }

"""The reference RAG service as three entries, one image in three roles; nothing else knows that it is not yours."""

from typing import Literal

from pydantic import Field

from components.gateway.plugins import BodyMib
from components.services.entry import RouteEntry, ServiceEntry
from platforms.settings import FrozenSettings, PortNumber
from platforms.workload import port_of

API, QUERY, INGEST = "rag-service", "rag-llamaindex-query", "rag-ingest"
PORTS = {API: 3000, QUERY: 8000, INGEST: 8201}
ROLES = {API: "api", QUERY: "query", INGEST: "ingest"}
PATH = "/api/v1/rag"
SECRETS = "/run/secrets"
SOURCES = "/sources"


class RagSettings(FrozenSettings):
    """Whether it runs, its models and sizes; defaults stand in Pulumi.yaml."""

    enabled: bool
    embedder: Literal["minilm", "ollama"]
    llm: Literal["extractive", "ollama"]
    ollama_url: str
    memory_mib: int = Field(ge=384)
    cpus: int = Field(ge=1)
    replicas: int = Field(ge=1, description="of each role that answers")
    most_replicas: int = Field(ge=1)
    ingest_max_body_mib: BodyMib = Field(description="the largest body that the ingest role takes")
    ingest_port: PortNumber
    sources_dir: str = Field(description="a folder that the ingest role indexes when it is asked to; Docker only")


def rag_entries(
    settings: RagSettings, image: str, *, base: str, traces: bool, max_body_mib: int
) -> dict[str, ServiceEntry]:
    """Each role by its name, from `image` or else built on `base`; none where the stack file runs other services.

    A call's body is limited to `max_body_mib` by the gateway, and by the roles that answer.
    """
    if not settings.enabled:
        return {}
    limits = dict.fromkeys(ROLES, max_body_mib) | {INGEST: settings.ingest_max_body_mib}
    env = {role: _env(role, settings, traces, limits[role]) for role in ROLES}
    return {role: _entry(role, settings, image, base, env[role]) for role in ROLES}


def _entry(role: str, settings: RagSettings, image: str, base: str, env: dict[str, str]) -> ServiceEntry:
    """One role; only the one that writes gets the key that may."""
    writes = role == INGEST
    return ServiceEntry(
        **({"image": image} if image else {"build": "services/rag", "build_args": {"BASE": base}}),
        port=PORTS[role],
        env=env,
        secret_files={
            f"{SECRETS}/qdrant-api-key": "${qdrant.apiKey}" if writes else "${qdrant.readOnlyApiKey}",
            f"{SECRETS}/service-token": "${gateway.serviceToken}",
        },
        # One that writes: its jobs are its own, and a second one would not know of them.
        replicas=1 if writes else settings.replicas,
        most_replicas=None if writes else settings.most_replicas,
        reaches_out=port_of(settings.ollama_url) if "ollama" in (settings.embedder, settings.llm) else (),
        liveness="/health",  # of the process alone
        memory_mib=settings.memory_mib,
        cpus=settings.cpus,
        published_port=settings.ingest_port if writes else None,
        folders={SOURCES: settings.sources_dir} if writes and settings.sources_dir else {},
        metrics="/metrics",
        job=role.removeprefix("rag-") if role == QUERY else None,
        routes=(RouteEntry(name="rag-api", paths=(PATH,), passes_token=False),) if role == API else (),
    )


def _env(role: str, settings: RagSettings, traces: bool, max_body_mib: int) -> dict[str, str]:
    """The plain settings of a role."""
    return {
        "ROLE": ROLES[role],
        "MAX_BODY_BYTES": str(max_body_mib * 2**20),
        "QDRANT_URL": "${qdrant.url}",
        "COLLECTION": "${collection}",
        "QDRANT_API_KEY_FILE": f"{SECRETS}/qdrant-api-key",
        "SERVICE_TOKEN_FILE": f"{SECRETS}/service-token",
        "EMBEDDER": settings.embedder,
        "LLM": settings.llm,
        "OLLAMA_URL": settings.ollama_url,
        **({"SOURCES_DIR": SOURCES} if role == INGEST and settings.sources_dir else {}),
        **({"TRACES_URL": "${traces.url}"} if traces else {}),
        **({"QUERY_URL": f"${{service.{QUERY}.url}}"} if role == API else {}),
    }

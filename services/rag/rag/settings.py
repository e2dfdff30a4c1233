"""Settings of a role from its environment: plain values as they are, secrets as paths of files."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PORTS = {"api": 3000, "query": 8000, "ingest": 8201}
MIB = 2**20
MAX_BODY_BYTES = {"api": MIB, "query": MIB, "ingest": 32 * MIB}


def read_secret(path: object) -> object:
    """Return what the file holds: a secret never stands in the environment itself."""
    try:
        secret = Path(str(path)).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ValueError(f"expected the path of a readable file, found {type(error).__name__}; mount it") from None
    if not secret:
        raise ValueError("expected a file that holds the secret, found an empty one; write the secret into it")
    return secret


Secret = Annotated[SecretStr, BeforeValidator(read_secret)]
EmbedderKind = Literal["minilm", "ollama"]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+/?$")]


class Settings(BaseSettings):
    """Settings of one role; every name is an environment variable in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    role: Literal["api", "query", "ingest"]
    port: int | None = Field(None, ge=1, le=65535, description="the role's own port when not given")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    max_body_bytes: int | None = Field(None, ge=1024, description="the role's own limit when not given")
    sources_dir: Path | None = Field(None, description="a folder that `POST /reindex` without documents reads")

    qdrant_url: Url = "http://haproxy:6333"
    collection: str = Field("docs_index", min_length=1)
    query_url: Url = Field("http://rag-llamaindex-query:8000", description="where the api role finds the query role")
    qdrant_api_key: Secret = Field(validation_alias="QDRANT_API_KEY_FILE")
    service_token: Secret = Field(validation_alias="SERVICE_TOKEN_FILE")

    embedder: EmbedderKind = "minilm"
    llm: Literal["extractive", "ollama"] = "extractive"
    ollama_url: Url = "http://ollama:11434"
    ollama_embed_model: str = Field("all-minilm", description="must make vectors of the collection's size, 384")
    ollama_model: str = "llama3.2"
    llm_timeout_seconds: float = Field(60, gt=0)

    traces_url: str = Field("", pattern="^(https?://.+)?$", description="of an OTLP collector; empty: no traces")
    breaker_failures: int = Field(5, ge=1, description="failures in a row that open a breaker")
    breaker_open_seconds: float = Field(10, gt=0, description="how long it then refuses before it tries again")
    leaving_seconds: float = Field(4, ge=0, description="how long /health fails before the process stops")

    @property
    def listens_on(self) -> int:
        """The port of this role."""
        return self.port or PORTS[self.role]

    @property
    def body_limit(self) -> int:
        """The most bytes that a request's body may have, and a file of `sources_dir`."""
        return self.max_body_bytes or MAX_BODY_BYTES[self.role]


class SettingsError(Exception):
    """All mistakes of an environment in one message, without any value."""


def load_settings(role: str | None = None) -> Settings:
    """Read the environment; a role that is given goes before it."""
    try:
        return Settings(**({"role": role} if role else {}))  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        mistakes = (f"{'.'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors())
        raise SettingsError("\n".join(mistakes)) from None

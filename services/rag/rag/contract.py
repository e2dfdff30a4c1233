"""Requests and responses of the HTTP API."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Asked(BaseModel):
    """A request; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid")


class SearchRequest(Asked):
    """A query, and how many passages to return at most: `limit`, or `max_results`, which means the same."""

    query: Words
    limit: int = Field(5, ge=1, le=50)
    max_results: int | None = Field(None, ge=1, le=50)

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        given = self.limit if "limit" in self.model_fields_set else self.max_results
        self.limit = same("limit", given, "max_results", self.max_results) or self.limit
        return self


class Passage(BaseModel):
    """A piece of a document, and how near it is to what was asked (cosine, 1 is the same)."""

    id: str
    score: float
    text: str
    source: str
    title: str


class SearchAnswer(BaseModel):
    """Passages, nearest first."""

    results: list[Passage]


class QueryRequest(Asked):
    """A question in words: `question`, or `query`, which means the same."""

    question: Words = ""
    query: Words = ""

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        self.question = same("question", self.question, "query", self.query) or ""
        if not self.question:
            raise ValueError("expected a question, found none; send it as `question`")
        return self


class Citation(Passage):
    """A passage the answer leans on; `[number]` in the answer points here."""

    number: int


class QueryAnswer(BaseModel):
    """An answer, and where each part of it comes from."""

    answer: str
    citations: list[Citation]


class Collection(BaseModel):
    """A collection and about how many points it has."""

    name: str
    points: int


class CollectionsAnswer(BaseModel):
    """All collections of the cluster."""

    collections: list[Collection]


class Document(Asked):
    """A document, and its format: `text` has headings as `# …` lines or underlined."""

    source: str = Field(min_length=1, max_length=1024)
    title: str = Field(
        "", max_length=1024, description="empty: `<title>`, the front matter's title, or the name of the source"
    )
    text: str
    format: Literal["text", "markdown", "html"] = "text"


class ReindexRequest(Asked):
    """Documents to index; each replaces what its source had before. Without any: the files of SOURCES_DIR."""

    # Each is validated when it is indexed: a wrong one is reported in `skipped` and stops no other.
    documents: list[Annotated[Any, WithJsonSchema(Document.model_json_schema())]] = Field(
        [], min_length=1, max_length=10_000
    )


class Accepted(BaseModel):
    """Where to ask how it goes: `GET /reindex/{job}`."""

    job: str


class Skipped(BaseModel):
    """A document that is not indexed, and why."""

    source: str
    reason: str


class Progress(BaseModel):
    """How far a job is; what is done was acknowledged by Qdrant."""

    job: str
    state: Literal["queued", "running", "done", "failed"] = "queued"
    documents_total: int
    documents_done: int = Field(default=0, description="indexed; at the end, the rest was skipped")
    chunks_done: int = Field(default=0, description="written, or found unchanged")
    chunks_unchanged: int = 0
    skipped: list[Skipped] = []
    seconds: float = 0
    error: str | None = None


class Embedder(BaseModel):
    """A model, and how many dimensions its vectors have."""

    model: str
    vector_size: int


class ReembedRequest(Asked):
    """Points of one collection to be written to another, with vectors of an embedder, everything else as it is."""

    source: str = Field(min_length=1, max_length=255)
    target: str = Field(min_length=1, max_length=255)
    ids: list[int | str] = Field(min_length=1, max_length=1000)
    embedder: Literal["minilm", "ollama"]


class Reembedded(BaseModel):
    """How many points were written; the rest is not in the source any more."""

    points: int


class JobsAnswer(BaseModel):
    """The jobs of this process, latest first."""

    jobs: list[Progress]


class Problem(BaseModel):
    """What went wrong: a word for programs, a sentence for people."""

    error: str
    message: str


def same(name: str, one: Any, other_name: str, other: Any) -> Any:
    """Return the value of two fields that mean the same; raise `ValueError` where both are given and differ."""
    if one and other and one != other:
        raise ValueError(f"expected one value, found {name} {one!r} and {other_name} {other!r}; send one of them")
    return one or other


def message(error: Mapping[str, Any]) -> str:
    """Return what pydantic reports of a field: expected, found."""
    kind, value = error["type"], error["input"]
    if kind in FIXED:
        return FIXED[kind]
    expected = re.sub(r"^(Value error, |(String|Input|List) should (have|be) )", "", error["msg"])
    if kind == "value_error":
        return expected
    found = f"{len(value)} characters" if isinstance(value, str) else type(value).__name__
    return f"expected {expected}, found {value if isinstance(value, int) else found}"


FIXED = {"missing": "expected a value, found none", "extra_forbidden": "expected no such field, found one"}

"""What callers send and get."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Asked(BaseModel):
    """A request: a key that is not known is a mistake worth telling."""

    model_config = ConfigDict(extra="forbid")


class SearchRequest(Asked):
    """What to look for, and how many passages to return at most."""

    query: Words
    limit: int = Field(5, ge=1, le=50)


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
    """A question in words."""

    question: Words


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
    """A plain text and where it is from; headings as `# …` lines or underlined."""

    source: str = Field(min_length=1, max_length=1024)
    title: str = Field("", max_length=1024)
    text: str


class ReindexRequest(Asked):
    """Documents to index; each replaces what its source had before."""

    documents: list[Document] = Field(min_length=1, max_length=10_000)


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

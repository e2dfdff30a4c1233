"""The routes of the three roles."""

import asyncio
from collections.abc import Callable

import httpx
from fastapi import APIRouter
from starlette.exceptions import HTTPException
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from rag import logs
from rag.answering import PASSAGES
from rag.contract import (
    Accepted,
    CollectionsAnswer,
    Embedder,
    JobsAnswer,
    Progress,
    QueryAnswer,
    QueryRequest,
    Reembedded,
    ReembedRequest,
    ReindexRequest,
    SearchAnswer,
    SearchRequest,
)
from rag.failures import LOST, REFUSED, REFUSED_REMEDY, Declined, Refused, http_failures
from rag.indexing import Indexer
from rag.jobs import Jobs
from rag.reembedding import reembed, try_out
from rag.service import Service
from rag.settings import EmbedderKind
from rag.sources import Folder, Sent
from rag.traces import outgoing, step

SOURCES_REMEDY = 'send {"documents": […]}, or mount a folder read-only and set SOURCES_DIR to its path'
PREFIX = "/api/v1/rag"  # as callers see it through the gateway
QUERY_MARGIN_SECONDS = 15  # what the query role needs beside the language model


def api(service: Service) -> APIRouter:
    """Searches itself, and passes questions on to the query role."""
    router = APIRouter(tags=["rag"])

    @router.post(f"{PREFIX}/search")
    async def search(body: SearchRequest) -> SearchAnswer:
        """Return the passages nearest to a query."""
        vector = await service.embedding.of_query(body.query)
        return SearchAnswer(results=await service.store.search(vector, body.limit))

    @router.post(f"{PREFIX}/query")
    async def query(body: QueryRequest) -> QueryAnswer:
        """Answer a question, with citations."""
        return await _ask_query_role(service, body)

    @router.get("/collections")
    @router.get(f"{PREFIX}/collections")
    async def collections() -> CollectionsAnswer:
        """Return the collections and about how many points each has."""
        return CollectionsAnswer(collections=await service.store.collections())

    return router


async def _ask_query_role(service: Service, body: QueryRequest) -> QueryAnswer:
    settings = service.settings
    thinking = settings.llm_timeout_seconds if settings.llm == "ollama" else 0
    headers = {"X-Service-Token": settings.service_token.get_secret_value(), "X-Request-ID": logs.request_id.get()}
    ask = once_more(service.http.post)
    with step("ask query role", leaves=True), service.breakers.query.guard(), http_failures("query"):
        answer = await ask(
            f"{settings.query_url.rstrip('/')}/query",
            json={"question": body.question},
            headers=headers | outgoing(),
            timeout=httpx.Timeout(thinking + QUERY_MARGIN_SECONDS, connect=2),
        )
        _pass_on(answer)
        return QueryAnswer.model_validate(answer.raise_for_status().json())


# A question only reads: where the replica that it was sent to has just gone, another one answers it.
once_more = retry(retry=retry_if_exception_type(LOST), stop=stop_after_attempt(2), reraise=True)


def _pass_on(answer: httpx.Response) -> None:
    """Raise the failure that the query role reports: the role itself is healthy, so this does not open its breaker."""
    seconds = answer.headers.get("Retry-After", "")
    if answer.status_code == 503 and seconds.isdigit():
        dependency, message = answer.json()["error"].removesuffix("_unavailable"), answer.json()["message"]
        raise Declined(dependency, message.removeprefix(f"{dependency} {Declined.words}: "), int(seconds))
    if answer.status_code == REFUSED:
        dependency, _, reason = answer.json()["message"].partition(f" {Refused.words}: ")
        raise Refused(dependency, reason.removesuffix(REFUSED_REMEDY))


def query(service: Service) -> APIRouter:
    """Answers questions."""
    router = APIRouter(tags=["query"])
    answerer = service.answerer()

    @router.post("/query")
    async def query(body: QueryRequest) -> QueryAnswer:
        """Find passages and answer from them."""
        vector = await service.embedding.of_query(body.question)
        return await answerer.answer(body.question, await service.store.search(vector, PASSAGES))

    return router


def ingest(service: Service) -> APIRouter:
    """Takes documents in."""
    router = APIRouter(tags=["ingest"])
    indexer = Indexer(service.store, service.embedding, service.pieces.count, service.metrics)
    jobs = Jobs(indexer, service.metrics)

    @router.post("/reindex", status_code=202)
    async def reindex(body: ReindexRequest | None = None) -> Accepted:
        """Start indexing documents: those of the request, else the files of SOURCES_DIR."""
        if body and body.documents:
            return Accepted(job=jobs.accept(Sent(body.documents)).job)
        root = service.settings.sources_dir
        if not root or not await asyncio.to_thread(root.is_dir):
            found = "a folder that is not there" if root else "no setting"
            raise HTTPException(409, f"expected documents, or a folder in SOURCES_DIR, found {found}; {SOURCES_REMEDY}")
        return Accepted(job=jobs.accept(Folder(root, service.settings.body_limit)).job)

    @router.get("/reindex")
    async def reindexes() -> JobsAnswer:
        """Return the jobs of this process, latest first."""
        return JobsAnswer(jobs=jobs.latest())

    @router.get("/reindex/{job}")
    async def progress(job: str) -> Progress:
        """Return how far a job is."""
        if found := jobs.find(job):
            return found
        raise HTTPException(404, "expected a job of this process, found none by this id; send its documents again")

    @router.get("/embedders/{kind}")
    async def embedder(kind: EmbedderKind) -> Embedder:
        """Return what an embedder makes, by trying it."""
        return await try_out(service.embedder(kind))

    @router.post("/reembed")
    async def reembed_points(body: ReembedRequest) -> Reembedded:
        """Write points of one collection to another, with other vectors; safe to repeat."""
        source, target = service.store.of(body.source), service.store.of(body.target)
        return Reembedded(points=await reembed(source, target, body.ids, service.embedder(body.embedder)))

    return router


ROUTES: dict[str, Callable[[Service], APIRouter]] = {"api": api, "query": query, "ingest": ingest}

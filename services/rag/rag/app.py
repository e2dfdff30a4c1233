"""A role as an application: its own routes, and what every role has."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from rag.contract import Problem, message
from rag.failures import REFUSED, REFUSED_REMEDY, Refused, Unavailable
from rag.front import Front
from rag.roles import ROUTES
from rag.service import Service

OPENAPI = "/api/v1/rag/openapi.json"  # below the gateway's route, so that callers reach it
PROBLEM_STATUSES = (401, 413, 422, 500, REFUSED, 503)
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (401, 413, 422, 500, REFUSED, 503)
}


def create_app(service: Service) -> Front:
    """Build the application of the service's role."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close()

    app = FastAPI(
        title=f"RAG {service.settings.role}",
        lifespan=lifespan,
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
        responses=PROBLEMS,
        redirect_slashes=False,
    )
    app.include_router(_health(service))
    app.include_router(ROUTES[service.settings.role](service))
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
    settings = service.settings
    token, most = settings.service_token.get_secret_value(), settings.body_limit
    rereads = settings.role == "ingest" and settings.sources_dir is not None
    return Front(app, token, service.metrics, service.traces, most, rereads_openly=rereads)


def _health(service: Service) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/health")
    async def health() -> dict[str, str]:
        """Return 200 while this process runs."""
        return {"status": "alive"}

    @router.get("/ready")
    async def ready() -> dict[str, str]:
        """Return 200 if the collection answers, else 503."""
        await service.store.answer()
        return {"status": "ready", "collection": service.settings.collection}

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Return the metrics in the format of Prometheus."""
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _problem(status: int, error: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(Problem(error=error, message=message).model_dump(), status, headers)


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unavailable)
    if isinstance(error, Refused):
        return _problem(REFUSED, "refused", f"{error}{REFUSED_REMEDY}")
    headers = {"Retry-After": str(error.retry_after_seconds)}
    return _problem(503, f"{error.dependency}_unavailable", str(error), headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    mistakes = [f"{'.'.join(map(str, each['loc'][1:])) or 'body'}: {message(each)}" for each in error.errors()]
    if "json" not in request.headers.get("content-type", ""):
        mistakes = ["body: expected JSON, found another Content-Type; send application/json"]
    return _problem(422, "invalid_request", "; ".join(mistakes))


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST:  # FastAPI: neither UTF-8, nor JSON that its parser can hold
        return _problem(422, "invalid_request", "body: expected JSON, found what no parser reads; send JSON in UTF-8")
    word = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return _problem(error.status_code, word, error.detail, error.headers)


async def _unexpected(_: Request, __: Exception) -> JSONResponse:
    return _problem(500, "internal", "unexpected failure; find its X-Request-ID in the log of this service")

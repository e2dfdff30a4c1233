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

from rag.contract import Problem
from rag.failures import Unavailable
from rag.front import Front
from rag.roles import ROUTES
from rag.service import Service

OPENAPI = "/api/v1/rag/openapi.json"  # below the gateway's route, so that callers reach it
PROBLEMS: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in (401, 422, 500, 503)}


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
    return Front(app, service.settings.service_token.get_secret_value(), service.metrics, service.traces)


def _health(service: Service) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/health")
    async def health() -> dict[str, str]:
        """Say that this process lives."""
        return {"status": "alive"}

    @router.get("/ready")
    async def ready() -> dict[str, str]:
        """Say whether the collection answers; 503 while it does not."""
        await service.store.answer()
        return {"status": "ready", "collection": service.settings.collection}

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Tell Prometheus."""
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _problem(status: int, error: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(Problem(error=error, message=message).model_dump(), status, headers)


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unavailable)
    headers = {"Retry-After": str(error.retry_after_seconds)}
    return _problem(503, f"{error.neighbour}_unavailable", str(error), headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    mistakes = [f"{'.'.join(map(str, each['loc'][1:])) or 'body'}: {each['msg']}" for each in error.errors()]
    if "json" not in request.headers.get("content-type", ""):
        mistakes = ["body: expected JSON, found another Content-Type; send application/json"]
    return _problem(422, "invalid_request", "; ".join(mistakes))


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    word = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return _problem(error.status_code, word, error.detail, error.headers)


async def _unexpected(_: Request, __: Exception) -> JSONResponse:
    return _problem(500, "internal", "unexpected failure; the log of this service tells more, by X-Request-ID")

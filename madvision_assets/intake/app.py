"""The application: routes, pages, and one form for everything that goes wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException

from madvision_assets.domain.failures import Failure
from madvision_assets.intake import (
    clips,
    editing,
    health,
    internal,
    listing,
    llms,
    metrics,
    packages,
    pages,
    public,
    search,
    transcripts,
    uploads,
    withdrawing,
)
from madvision_assets.intake.guard import Guard
from madvision_assets.intake.hosts import Hosts
from madvision_assets.intake.limits import CallbackLimits, RateLimits
from madvision_assets.intake.pages.render import problem_page
from madvision_assets.intake.problems import Problem, ProblemError, ProblemResponse
from madvision_assets.intake.round_trips import RoundTrips
from madvision_assets.intake.services import Services, tell_operators
from madvision_assets.tools.database.figures import Figures

DESCRIPTION = """Submit the address of a video; follow it with the token; take the clips.

Everything that is refused or fails is a problem document (RFC 9457) with a stable `code`."""
PARTS = (
    public,
    listing,
    search,
    withdrawing,
    editing,
    uploads,
    internal,
    clips,
    packages,
    transcripts,
    health,
    metrics,
    llms,
    pages,
    pages.operators,
)
# FastAPI's own spans hold the paths of requests, and ours hold tokens: neither OTEL_EXPORTER_OTLP_ENDPOINT, which is
# there for the traces of videos, nor an agent that somebody runs it with has it send any.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
_CODES = {400: "invalid_json", 404: "not_found", 405: "method_not_allowed"}
API_PATHS = ("/public/", "/internal/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/llms.txt", "/static/")


def make_app(services: Services) -> FastAPI:
    """The ASGI application; none of its parts is touched before the first request."""
    app = FastAPI(
        lifespan=_while_served,
        title="MadVision",
        version="1",
        description=DESCRIPTION,
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
        telemetry=NO_TELEMETRY,
    )
    registry = CollectorRegistry(auto_describe=False)
    app.state.services = services
    app.state.registry = registry
    app.state.rate_limits = RateLimits(services.settings.requests_per_minute)
    settings = services.settings
    app.state.callback_limits = CallbackLimits(settings.callbacks_per_minute, settings.callback_hosts_per_minute)
    app.state.round_trips = RoundTrips(services.database)
    app.state.checks = health.make_checks(services)
    app.state.streams = pages.Streams(each=services.settings.streams_per_client)
    app.state.senders = uploads.Senders(each=settings.uploads_per_client)
    figures = metrics.HttpFigures(registry)
    registry.register(metrics.TableFigures(Figures(services.database)))
    for part in PARTS:
        app.include_router(part.router)
    app.add_middleware(Guard, limits=app.state.rate_limits, hosts=Hosts.of(settings), figures=figures, render=render)
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(Failure, _on_failure)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _while_served(app: FastAPI) -> AsyncIterator[None]:
    with app.state.round_trips.made():
        yield


def render(request: Request, error: ProblemError) -> Response:
    """A problem as this client reads it: people see a page, programs get the document."""
    path = request.url.path
    for_people = "text/html" in request.headers.get("accept", "") and not path.startswith(API_PATHS)
    return problem_page(error) if for_people else ProblemResponse(error)


def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - as it was registered
    return render(request, error)


def _on_failure(request: Request, error: Exception) -> Response:
    assert isinstance(error, Failure)  # noqa: S101 - as it was registered
    problem = ProblemError.of(error)
    if problem.problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        tell_operators(error)
    return render(request, problem)


def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as it was registered
    return render(request, ProblemError.of_fields(error.errors()))


def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as it was registered
    code = _CODES.get(error.status_code, "internal_error")
    headers = {"Allow": _allowed(request)} if code == "method_not_allowed" else error.headers
    return render(request, ProblemError(code, headers=headers))


def _allowed(request: Request) -> str:
    """The methods of every route at this address; each route knows its own alone."""
    routes = [route for part in PARTS for route in part.router.routes if isinstance(route, APIRoute)]
    fitting = [route.methods for route in routes if route.path_regex.match(request.url.path)]
    return ", ".join(sorted({method for methods in fitting for method in methods or ()}))


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        own = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(own.pop("$defs", {}))
        schemas["Problem"] = own
        app.openapi_schema = schema
    return app.openapi_schema

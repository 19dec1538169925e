"""The routes, and what OpenAPI says of each.

Bodies are read and limited by ``bodies``, not by the framework, and every refusal has one form: {"error": reason}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer

from labelsvc import __version__
from labelsvc.student.serve.asgi import JSON, Answer, RefusedError
from labelsvc.student.serve.contract import (
    INFERENCE,
    PICTURES,
    Documented,
    IndexEntry,
    Inferred,
    Live,
    ModelDescribed,
    Ready,
    ServerTold,
    TensorTold,
    refusals,
)
from labelsvc.student.serve.labels import LabelsTold
from labelsvc.student.serve.meters import TEXT
from labelsvc.student.serve.page import page
from labelsvc.student.serve.protocol import EXTENSIONS, INPUT, OUTPUT, PLATFORM, VERSION
from labelsvc.student.serve.service import Service

TOO_MUCH = (400, 401, 408, 413, 415, 429, 500, 503)  # why a body may be refused
PAGE: Documented = {200: {"content": {"text/html": {}}}}
METRICS: Documented = {200: {"content": {"text/plain": {}}}, **refusals(401)}
OF_A_MODEL: dict[str, Any] = {"responses": refusals(401, 404), "tags": ["protocol"]}
READY: dict[str, Any] = {"responses": {**refusals(401, 404), 503: {"model": Ready}}, "tags": ["protocol"]}
INFER: dict[str, Any] = {"responses": refusals(*TOO_MUCH, 404), "tags": ["protocol"], "openapi_extra": INFERENCE}


async def _serving(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Serving = Annotated[Service, Depends(_serving)]
opened = APIRouter()
guarded = APIRouter(dependencies=[Depends(HTTPBearer(auto_error=False, description="Where the server has a token."))])


@opened.get("/", response_class=Response, responses=PAGE, tags=["people"])
async def look() -> Response:
    """Show a page that labels pictures."""
    return _response(page())


@opened.get("/v2/health/live", response_model=Live, tags=["health"])
async def live() -> Response:
    """Say that the server runs."""
    return _told(Live(live=True))


@opened.get("/v2/health/ready", response_model=Ready, responses={503: {"model": Ready}}, tags=["health"])
async def ready(service: Serving) -> Response:
    """Say whether requests should be sent here: after the warm-up, and until the server ends."""
    return _readiness(service)


@guarded.get("/metrics", response_class=Response, responses=METRICS, tags=["health"])
async def metrics(service: Serving) -> Response:
    """Give Prometheus its text."""
    return Response(service.meters.text(), headers={"content-type": TEXT})


@guarded.get("/v2", response_model=ServerTold, responses=refusals(401), tags=["protocol"])
async def server() -> Response:
    """Describe the server."""
    return _told(ServerTold("labelsvc", __version__, EXTENSIONS))


@guarded.post("/v2/repository/index", response_model=list[IndexEntry], responses=refusals(401), tags=["protocol"])
async def index(service: Serving) -> Response:
    """List the models: there is one."""
    name = service.signature.name
    entry = IndexEntry(name, VERSION, "READY", "")
    return _told([entry if service.ready else IndexEntry(name, VERSION, "UNAVAILABLE", "warming up, or ending")])


@guarded.get("/v2/models/{model}", response_model=ModelDescribed, **OF_A_MODEL)
@guarded.get("/v2/models/{model}/versions/{version}", response_model=ModelDescribed, **OF_A_MODEL)
async def describe(service: Serving, model: str, version: str = VERSION) -> Response:
    """Describe the model: what it takes, and what it gives."""
    _check(service, model, version)
    taken = TensorTold(INPUT, "UINT8", (-1, *service.signature.sides))
    given = TensorTold(OUTPUT, "FP32", (-1, len(service.signature.classes)))
    return _told(ModelDescribed(model, (VERSION,), PLATFORM, (taken,), (given,)))


@guarded.get("/v2/models/{model}/ready", response_model=Ready, **READY)
@guarded.get("/v2/models/{model}/versions/{version}/ready", response_model=Ready, **READY)
async def model_ready(service: Serving, model: str, version: str = VERSION) -> Response:
    """Say whether the model answers now."""
    _check(service, model, version)
    return _readiness(service)


@guarded.post("/v2/models/{model}/infer", response_model=Inferred, **INFER)
@guarded.post("/v2/models/{model}/versions/{version}/infer", response_model=Inferred, **INFER)
async def infer(service: Serving, request: Request, model: str, version: str = VERSION) -> Response:
    """Give the probabilities of pictures [rows, height, width, channels] of bytes, as JSON or binary tensors."""
    _check(service, model, version)
    return _response(await service.infer(request.scope, request.receive))


@guarded.post(
    "/v1/label",
    response_model=LabelsTold,
    responses=refusals(*TOO_MUCH, 422),
    openapi_extra=PICTURES,
    tags=["people"],
)
async def label(
    service: Serving,
    request: Request,
    top: Annotated[int, Query(ge=1, le=1000, description="So many most probable classes are told.")] = 3,
) -> Response:
    """Label pictures: files of a form, base64 in JSON, raw rows of pixels, or one picture as the body."""
    return _response(await service.label(request.scope, request.receive, top=top))


def build(service: Service | None = None) -> FastAPI:
    """Return the app; without a service, only to describe itself."""
    app = FastAPI(
        title="labelsvc serve",
        version=__version__,
        description="A student's labels: over the Open Inference Protocol v2, and in plain JSON at /v1/label.",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        openapi_url="/openapi.json",
    )
    app.state.service = service
    app.include_router(opened)
    app.include_router(guarded)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _out_of_bounds)
    app.add_exception_handler(404, _no_route)
    app.add_exception_handler(405, _no_method)
    return app


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return _response(error.answer)


async def _out_of_bounds(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return _response(RefusedError(422, f"{first['loc'][-1]}: {first['msg']}").answer)


async def _no_route(_request: Request, _error: Exception) -> Response:
    return _response(RefusedError(404, "there is nothing here; GET /openapi.json tells what there is").answer)


async def _no_method(_request: Request, error: Exception) -> Response:
    answer = RefusedError(405, "this path answers to another method; GET /openapi.json tells to which").answer
    return _response(replace(answer, headers=getattr(error, "headers", None)))


def _check(service: Service, model: str, version: str) -> None:
    """Refuse models that are not here, as Triton words it."""
    if (model, version) != (service.signature.name, VERSION):
        raise RefusedError(404, f"unknown model or version; there is {service.signature.name!r}, version {VERSION}")


def _readiness(service: Service) -> Response:
    if service.ready:
        return _told(Ready(ready=True))
    return _told(Ready(ready=False), status=503, headers={"retry-after": "1"})


def _told(record: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(record, default=vars), status, headers, JSON)


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers, answer.media_type)

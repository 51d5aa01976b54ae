"""The web application: routes from the page to the engine, and the page itself.

Every request names an item by its id; replies are JSON. Errors of a user are status 400 with a sentence.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sam3agent.servers.studio.studio_actions import Addressed, Asking, changes
from sam3agent.servers.studio.studio_engine import StudioEngine
from sam3agent.servers.studio.studio_events import EventHub
from sam3agent.servers.studio.studio_export import export
from sam3agent.servers.studio.studio_following import FollowDesk
from sam3agent.servers.studio.studio_media import page_image
from sam3agent.servers.studio.studio_questions import QuestionDesk
from sam3model.errors import InputError, Sam3Error
from sam3model.parse import first_fault
from sam3model.printable import printable

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"

B = TypeVar("B", bound=BaseModel)


@dataclass(frozen=True)
class StudioDesks:
    """The parts of a running studio. out: where exports are written."""

    engine: StudioEngine
    questions: QuestionDesk
    follow: FollowDesk
    hub: EventHub
    out: Path

    def close(self) -> None:
        """Stop what runs and close the store."""
        self.questions.close()
        self.engine.store.close()


def build_app(desks: StudioDesks) -> Starlette:
    """The application over running desks, without the guard in front of it."""
    engine, questions, follow = desks.engine, desks.questions, desks.follow
    posts: dict[str, tuple[type[Any], Callable[[Any], Any]]] = {
        **changes(engine, follow),
        "ask": (Asking, lambda b: questions.ask(b.item, b.question)),
        "stop": (Addressed, lambda b: {"stopped": any([questions.stop(b.item), follow.stop(b.item)])}),
    }

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(desks.close)

    return Starlette(
        routes=[
            *(Route(f"/api/{name}", _posted(body, run), methods=["POST"]) for name, (body, run) in posts.items()),
            Route("/api/items", _listing(engine)),
            Route("/api/items/{item}", _look(engine)),
            Route("/api/items/{item}/masks", _masks(engine)),
            Route("/api/items/{item}/image", _image(engine)),
            Route("/api/items/{item}/questions", _shown(questions)),
            Route("/api/export/{name}", _export(desks)),
            Route("/api/events", _events(desks.hub)),
            Route("/", lambda _: FileResponse(PAGE / "index.html")),
            Mount("/page", StaticFiles(directory=PAGE)),
        ],
        exception_handlers={Sam3Error: _refused, ValidationError: _malformed, Exception: _failed},
        lifespan=lifespan,
    )


Endpoint = Callable[[Request], Awaitable[Response]]


def _posted(model: type[B], run: Callable[[B], Any]) -> Endpoint:
    """A change: the body is read as `model`; a page of another site cannot send this content type unasked."""

    async def endpoint(request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            raise HTTPException(415, "the body must be application/json")
        body = model.model_validate_json(await request.body())
        return JSONResponse(await run_in_threadpool(run, body))

    return endpoint


def _listing(engine: StudioEngine) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        items = await run_in_threadpool(engine.listing)
        labels = await run_in_threadpool(engine.store.labels)
        return JSONResponse(
            {"title": engine.library.title, "items": items, "labels": labels, "weights": engine.agent.segmenter.name}
        )

    return endpoint


def _look(engine: StudioEngine) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return JSONResponse(
            await run_in_threadpool(engine.look, request.path_params["item"], _number(request, "frame"))
        )

    return endpoint


def _masks(engine: StudioEngine) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        frame, last = _number(request, "frame"), _number(request, "last")
        return JSONResponse(await run_in_threadpool(engine.clip_masks, request.path_params["item"], frame, last))

    return endpoint


def _image(engine: StudioEngine) -> Endpoint:
    """A frame as JPEG; `side` limits its size. The page names the version of the file, so that it may be cached."""

    async def endpoint(request: Request) -> Response:
        side = min(max(_number(request, "side", 4096), 16), 4096)

        def render() -> bytes:
            frame = _number(request, "frame")
            return page_image(engine.open(request.path_params["item"], frame).media, frame, side)

        data = await run_in_threadpool(render)
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})

    return endpoint


def _shown(questions: QuestionDesk) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(questions.shown, request.path_params["item"]))

    return endpoint


def _export(desks: StudioDesks) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        engine = desks.engine

        def write() -> Path:
            only = request.query_params.get("which") != "all"
            return export(engine.library, engine.store, request.path_params["name"], desks.out, accepted_only=only)

        path = await run_in_threadpool(write)
        return FileResponse(path, filename=path.name, media_type="application/zip")

    return endpoint


def _events(hub: EventHub) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        return EventSourceResponse(({"data": text} async for text in hub.listen()), ping=15)

    return endpoint


def _number(request: Request, name: str, default: int = 0) -> int:
    """A number of the query. Raises `InputError` if it is something else."""
    text = request.query_params.get(name, "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError(f"{name} must be a whole number, not {text[:40]!r}")
    return int(text) if text else default


async def _refused(_: Request, error: Exception) -> Response:
    status = 400 if isinstance(error, InputError) else 500
    return JSONResponse({"error": printable(error)}, status)


async def _malformed(_: Request, error: Exception) -> Response:
    what = first_fault(error) if isinstance(error, ValidationError) else error
    return JSONResponse({"error": printable(what)}, 400)


async def _failed(_: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return JSONResponse({"error": printable(f"{type(error).__name__}: {error}")}, 500)

"""The views of a server: a reply becomes one when its page first asks, and the page talks to it in bounded messages."""

import asyncio
import base64
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sam3agent.deadlines import within
from sam3agent.media import ClipMedia
from sam3agent.servers.open_images import OpenImage
from sam3agent.servers.studio.studio_library import StudioItem
from sam3agent.servers.studio.studio_media import page_image
from sam3agent.servers.tool_desk import ToolDesk
from sam3agent.servers.views.mask_view import MaskView
from sam3agent.servers.views.view_seed import seed_of
from sam3agent.servers.views.wanted_sight import WantedSight
from sam3model.errors import InputError
from sam3model.parse import first_fault
from sam3model.printable import printable

MAX_VIEWS = 64
"""Number of views whose masks are kept; those used last."""

MAX_PART = 600_000
"""Maximum number of characters of a message to a page; longer ones are sent in parts. Some hosts allow 1 MiB."""

MAX_PARTED = 8
"""Number of messages that wait for a page to ask for their next part."""

JOB_SECONDS = 15.0
"""How long a page waits for a job before it is told how far it is."""


@dataclass(eq=False)
class NotedReply:
    """A reply that a page may show. data: its structured content. opened: the key of the file when it was shown."""

    client: str
    tool: str
    data: Mapping[str, Any]
    opened: object = None
    view: MaskView | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class ViewDesk:
    """Notes replies, and does what their pages ask for. All methods run on the event loop of the server."""

    def __init__(self, desk: ToolDesk) -> None:
        self._desk = desk
        self._noted = OrderedDict[str, NotedReply]()
        self._parts = OrderedDict[str, str]()

    def note(self, client: str, tool: str, data: Mapping[str, Any]) -> str:
        """Note a reply; the id of its view."""
        view_id = secrets.token_hex(6)
        self._noted[view_id] = NotedReply(client, tool, data)
        while len(self._noted) > MAX_VIEWS:
            _, old = self._noted.popitem(last=False)
            if old.view:
                old.view.stop()
        return view_id

    async def look(self, client: str, view_id: str, what: str, wanted: WantedSight) -> dict[str, Any]:
        """What a page shows. Raises `InputError` for an unknown view, or one whose file has changed."""
        if what == "latest":
            return {"view": self._latest(client, wanted.image)}
        if what == "part":
            return self._part(wanted.part, wanted.index)
        noted = self._known(client, view_id)
        if what == "news":
            return noted.view.news.latest.get("follow", {}) if noted.view else {}
        if (waiting := await self._waiting(noted)) is not None:
            return waiting
        opened = await self._opened(noted)
        view = await self._view(noted, view_id, opened)
        with view.shelf.holding(opened):
            if what == "images":
                async with self._desk.looking.slot(opened.key):
                    shown = await within(None, _images, opened, wanted.frames, wanted.side)
            elif what == "masks":
                shown = await within(None, view.masks, wanted.frame, wanted.last)
            elif what == "start":
                shown = {"listing": await within(None, view.listing), "questions": list(view.questions)}
            else:
                shown = await within(None, view.look, wanted.frame)
                board = self._desk.boards.get(client, opened.key)
                if not board.turn.locked():  # what was followed since
                    async with board.turn:
                        board.pool = await within(None, view.placed, board.pool)
        return self._bounded(shown)

    async def change(self, client: str, view_id: str, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a user asked for on a page. Raises `InputError` with a sentence for the user if it cannot be done."""
        noted = self._known(client, view_id)
        opened = await self._opened(noted)
        view = await self._view(noted, view_id, opened)
        board = self._desk.boards.get(client, opened.key)
        with view.shelf.holding(opened):
            if action in ("warm", "stop"):
                return await within(None, view.warm if action == "warm" else view.stop)
            async with board.turn, self._desk.searching.slot(opened.key):
                if action == "accept":
                    board.pool = await within(None, lambda: view.placed(board.pool, kept=True))
                    return self._bounded(await self._accepted(view, opened, board.pool))
                shown, board.pool = await self._run(view, action, body, board.pool)
        return self._bounded(shown)

    async def _run(self, view: MaskView, action: str, body: Mapping[str, Any], pool: Any) -> tuple[dict[str, Any], Any]:
        try:
            return await within(None, view.change, action, body, pool)
        except ValidationError as error:
            raise InputError(str(first_fault(error))) from error

    async def _accepted(self, view: MaskView, opened: OpenImage, pool: Any) -> dict[str, Any]:
        """Keep the files of an accepted selection, and say what was accepted."""
        chosen = view.accepted()
        files: dict[str, Any] = {}
        if chosen.ids:
            files = await within(None, self._desk.selection_files, opened, pool, chosen.ids, "accepted by the user")
        lines = [chosen.words, *(f"Warning: {warning}" for warning in files.get("warnings", ()))]
        lines += [f"Masks: {files['masks_file']}"] if "masks_file" in files else []
        return {"ids": list(chosen.ids), "words": printable("\n".join(lines)), "files": files}

    def _latest(self, client: str, image: str) -> str:
        """The id of the latest reply about an image, for hosts that do not hand the `_meta` of a reply to its page."""
        for view_id, noted in reversed(self._noted.items()):
            if noted.client == client and image in ("", noted.data["image"]):
                return view_id
        raise InputError("there are no masks in this reply")

    def _known(self, client: str, view_id: str) -> NotedReply:
        noted = self._noted.get(view_id)
        if noted is None or noted.client != client:
            raise InputError("these masks are no longer kept: ask for them again")
        self._noted.move_to_end(view_id)
        return noted

    async def _waiting(self, noted: NotedReply) -> dict[str, Any] | None:
        """How far the work is, if the reply was a note that it goes on; None once its result is there."""
        job_id = noted.data.get("job")
        if not job_id:
            return None
        job = self._desk.jobs.get(str(job_id))
        if not job.finished:
            await job.wait(JOB_SECONDS)
        if not job.finished:
            return {"working": job.reports[-1][3] if job.reports else job.title}
        noted.data = job.result().data.model_dump(mode="json")
        return None

    async def _opened(self, noted: NotedReply) -> OpenImage:
        opened = await self._desk.images.get(str(noted.data["image"]))
        if noted.opened not in (None, opened.key):
            raise InputError("this file has changed since: ask for its masks again")
        noted.opened = opened.key
        return opened

    async def _view(self, noted: NotedReply, view_id: str, opened: OpenImage) -> MaskView:
        """The view of a reply, filled when it is first needed."""
        async with noted.turn:
            if noted.view is None:
                board = self._desk.boards.get(noted.client, opened.key)
                kind = "clip" if isinstance(opened.media, ClipMedia) and opened.media.count > 1 else "image"
                item = StudioItem(view_id, Path(opened.path).name, Path(opened.path), kind)
                async with board.turn:
                    seed = await within(None, seed_of, noted.tool, noted.data, board.pool, self._desk.results)
                    image = str(noted.data["image"])
                    noted.view = await within(None, MaskView, item, image, opened.media, self._desk.agent, seed)
                    board.pool = board.pool.reserved(seed.next_id)
        return noted.view

    def _bounded(self, shown: dict[str, Any]) -> dict[str, Any]:
        """A message as it is, or the first part of it."""
        text = json.dumps(shown, separators=(",", ":"))
        if len(text) <= MAX_PART:
            return shown
        token = secrets.token_hex(8)
        self._parts[token] = text
        while len(self._parts) > MAX_PARTED:
            self._parts.popitem(last=False)
        return self._part(token, 0)

    def _part(self, token: str, index: int) -> dict[str, Any]:
        text = self._parts.get(token)
        count = 0 if text is None else -(-len(text) // MAX_PART)
        if text is None or not 0 <= index < count:
            raise InputError("this message is no longer kept: try again")
        if index == count - 1:
            del self._parts[token]
        return {"part": token, "count": count, "text": text[index * MAX_PART : (index + 1) * MAX_PART]}


def _images(opened: OpenImage, frames: Sequence[int], side: float) -> dict[str, Any]:
    """Frames as JPEG in base64. Raises `InputError` if one cannot be read."""
    media, side = opened.media, round(min(max(side, 64), 4096))
    for frame in frames:
        if not 0 <= frame < media.count:
            raise InputError(f"there is no frame {frame}: the last one is {media.count - 1}")
    encoded = [base64.b64encode(page_image(media, frame, side)).decode("ascii") for frame in frames]
    return {"images": [{"frame": frame, "jpeg": text} for frame, text in zip(frames, encoded, strict=True)]}

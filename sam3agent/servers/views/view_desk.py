"""The views of a server: a reply becomes one when its page first asks, and the page talks to it in bounded messages."""

import asyncio
import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sam3agent.deadlines import within
from sam3agent.media import ClipMedia
from sam3agent.servers.client_shares import ClientShares
from sam3agent.servers.confined_files import FileKey
from sam3agent.servers.jobs import Job
from sam3agent.servers.mcp_replies import Reply, ToolReply
from sam3agent.servers.open_images import MaskBoard, OpenImage
from sam3agent.servers.studio.studio_following import FollowRun, Launch
from sam3agent.servers.studio.studio_library import StudioItem
from sam3agent.servers.studio.studio_media import page_image
from sam3agent.servers.tool_desk import ToolDesk
from sam3agent.servers.views.mask_view import MaskView
from sam3agent.servers.views.view_seed import seed_of
from sam3agent.servers.views.wanted_sight import WantedSight
from sam3agent.servers.whole_work import to_its_end
from sam3model.errors import InputError, Sam3Error
from sam3model.parse import first_fault
from sam3model.printable import printable

MAX_VIEWS = 64
"""Number of views of one client whose masks are kept; those used last."""

MAX_VIEW_BYTES = 64 * 1024**2
"""Maximum size of all views."""

MAX_PART = 600_000
"""Maximum number of characters of a message to a page; longer ones are sent in parts. Some hosts allow 1 MiB."""

MAX_PARTED = 8
"""Number of messages that wait for the page of one client to ask for their next part."""

MAX_PARTED_BYTES = 64 * 1024**2
"""Maximum size of all messages that wait."""

JOB_SECONDS = 15.0
"""How long a page waits for a job before it is told how far it is."""


@dataclass(eq=False)
class NotedReply:
    """A reply that a page may show.

    data: its structured content. opened: the key of the file when it was shown. following: the job that
    follows objects.
    """

    client: str
    tool: str
    data: Mapping[str, Any]
    opened: object = None
    view: MaskView | None = None
    following: Job | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def nbytes(self) -> int:
        """Size in memory in bytes, about."""
        return len(json.dumps(self.data)) + (self.view.nbytes if self.view else 0)

    def stop(self) -> None:
        """Stop following objects; what was found is kept."""
        if self.following:
            self.following.cancel()


class ViewDesk:
    """Notes replies, and does what their pages ask for. All methods run on the event loop of the server."""

    def __init__(self, desk: ToolDesk) -> None:
        self._desk = desk
        self._noted = ClientShares[str, NotedReply](MAX_VIEWS, MAX_VIEW_BYTES, NotedReply.stop)
        self._parts = ClientShares[str, str](MAX_PARTED, MAX_PARTED_BYTES)

    def note(self, client: str, tool: str, data: Mapping[str, Any]) -> str:
        """Note a reply; the id of its view."""
        view_id, noted = secrets.token_hex(6), NotedReply(client, tool, data)
        self._noted.put(view_id, client, noted, noted.nbytes)
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
                await to_its_end(self._synced(client, view, opened.key))
                shown = await within(None, view.look, wanted.frame)
        return self._bounded(client, shown)

    async def change(self, client: str, view_id: str, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a user asked for on a page. Raises `InputError` with a sentence for the user if it cannot be done."""
        noted = self._known(client, view_id)
        if action == "stop":
            noted.stop()
            return {}
        opened = await self._opened(noted)
        view = await self._view(noted, view_id, opened)
        if action == "warm":
            with view.shelf.holding(opened):
                return await within(None, view.warm)
        shown = await to_its_end(self._changed(client, view, opened, action, body))
        self._noted.resize(view_id, noted.nbytes)
        return self._bounded(client, shown)

    async def _changed(
        self, client: str, view: MaskView, opened: OpenImage, action: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Do it in turn. What the view hands over is kept, whatever becomes of the action after it."""
        board = self._desk.boards.get(client, opened.key)
        with view.shelf.holding(opened):
            async with board.turn, self._desk.searching.slot(opened.key):
                if action == "accept":
                    return await self._accepted(view, opened, board)
                board.pool = await within(None, view.synced, board.pool)
                shown, board.pool = await self._run(view, action, body, board.pool)
        return shown

    def _launcher(self, view_id: str, key: FileKey) -> Launch:
        """What starts runs of a view, from any thread. It holds neither the view nor the open image."""
        loop = asyncio.get_running_loop()
        return lambda run: loop.call_soon_threadsafe(self._follow, view_id, key, run)

    def _follow(self, view_id: str, key: FileKey, run: FollowRun) -> None:
        """Follow objects as a job, in the lane of `track`; at the end, the client's masks have what was found."""
        noted = self._noted.get(view_id)
        if noted is None or (view := noted.view) is None:
            return run.stop()
        image = self._desk.short_name(str(noted.data["image"]))

        async def work(job: Job) -> Reply:
            await to_its_end(self._followed(noted.client, view, key, run, job))
            if run.problem:
                raise Sam3Error(run.problem)
            return Reply(ToolReply(image=image), "The objects were followed.")

        noted.following = self._desk.jobs.start(noted.client, "follow", ToolReply(image=image), work)
        noted.following.handed_over = True
        noted.following.when_ended(run.stop)  # also if it is cancelled before it begins
        return None

    async def _followed(self, client: str, view: MaskView, key: FileKey, run: FollowRun, job: Job) -> None:
        """Follow objects until the run ends, of itself or because its job was stopped; then hand over what it found."""
        async with self._desk.tracking.slot(key):
            job.begin()
            view.news.listener = lambda news: job.tell(f"{news['done']} of {news['total']} frames")
            try:
                await within(None, run)
            finally:
                view.news.listener = None
        await self._synced(client, view, key, wait=True)

    async def _synced(self, client: str, view: MaskView, key: FileKey, *, wait: bool = False) -> None:
        """Make the masks of a view and the client's equal. wait: also if another call holds the client's for long."""
        board = self._desk.boards.get(client, key)
        if wait or not board.turn.locked():
            async with board.turn:
                board.pool = await within(None, view.synced, board.pool)

    async def _run(self, view: MaskView, action: str, body: Mapping[str, Any], pool: Any) -> tuple[dict[str, Any], Any]:
        try:
            return await within(None, view.change, action, body, pool)
        except ValidationError as error:
            raise InputError(str(first_fault(error))) from error

    async def _accepted(self, view: MaskView, opened: OpenImage, board: MaskBoard) -> dict[str, Any]:
        """Keep the files of an accepted selection as the user saw it, and say what was accepted."""
        chosen = view.accepted()
        board.pool = await within(None, view.insisted, board.pool)
        files: dict[str, Any] = {}
        if chosen.ids:
            pool, reason = board.pool, "accepted by the user"
            files = await within(None, self._desk.selection_files, opened, pool, chosen.ids, reason)
        lines = [chosen.words, *(f"Warning: {warning}" for warning in files.get("warnings", ()))]
        lines += [f"Masks: {files['masks_file']}"] if "masks_file" in files else []
        return {"ids": list(chosen.ids), "words": printable("\n".join(lines)), "files": files}

    def _latest(self, client: str, image: str) -> str:
        """The id of the latest reply about an image, for hosts that do not hand the `_meta` of a reply to its page."""
        for view_id, noted in self._noted.newest(client):
            if image in ("", noted.data["image"]):
                return view_id
        raise InputError("there are no masks in this reply")

    def _known(self, client: str, view_id: str) -> NotedReply:
        noted = self._noted.get(view_id)
        if noted is None or noted.client != client:
            raise InputError("these masks are no longer kept: ask for them again")
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
                    image, agent = str(noted.data["image"]), self._desk.agent
                    launch = self._launcher(view_id, opened.key)
                    noted.view = await within(None, MaskView, item, image, opened.media, agent, seed, launch)
                    board.pool = board.pool.reserved(seed.next_id)
                self._noted.resize(view_id, noted.nbytes)
        return noted.view

    def _bounded(self, client: str, shown: dict[str, Any]) -> dict[str, Any]:
        """A message as it is, or the first part of it."""
        text = json.dumps(shown, separators=(",", ":"))
        if len(text) <= MAX_PART:
            return shown
        token = secrets.token_hex(8)
        self._parts.put(token, client, text, len(text))
        return self._part(token, 0)

    def _part(self, token: str, index: int) -> dict[str, Any]:
        text = self._parts.get(token)
        count = 0 if text is None else -(-len(text) // MAX_PART)
        if text is None or not 0 <= index < count:
            raise InputError("this message is no longer kept: try again")
        if index == count - 1:
            self._parts.drop(token)
        return {"part": token, "count": count, "text": text[index * MAX_PART : (index + 1) * MAX_PART]}


def _images(opened: OpenImage, frames: Sequence[int], side: float) -> dict[str, Any]:
    """Frames as JPEG in base64. Raises `InputError` if one cannot be read."""
    media, side = opened.media, round(min(max(side, 64), 4096))
    for frame in frames:
        if not 0 <= frame < media.count:
            raise InputError(f"there is no frame {frame}: the last one is {media.count - 1}")
    encoded = [base64.b64encode(page_image(media, frame, side)).decode("ascii") for frame in frames]
    return {"images": [{"frame": frame, "jpeg": text} for frame, text in zip(frames, encoded, strict=True)]}

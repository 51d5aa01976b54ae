"""Long work as tasks of the protocol, for clients that declare the extension: the model gets the result, not a job."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, Request, RequestParams, Result
from pydantic import Field

from sam3agent.servers.reply_profiles import PROFILES
from sam3agent.servers.views.view_tools import VIEW_KEY
from sam3agent.testing import ScriptedTracker
from tests.agent.moving_blocks import write_clip
from tests.servers.desk import Desk, data, images, text
from tests.servers.hosted_views import APPS
from tests.servers.test_jobs import TRACK, slow_frames

TASKS = "io.modelcontextprotocol/tasks"


class Named(RequestParams):
    task_id: str = Field(alias="taskId")


class Answer(Result):
    """Whatever a request of the extension returns."""

    result_type: str = Field(default="", alias="resultType")
    status: str = ""
    status_message: str = Field(default="", alias="statusMessage")
    task_ttl: int | None = Field(default=None, alias="ttlMs")
    result: dict[str, Any] | None = None


class Handle(Result):
    """What a call returns in place of its result."""

    result_type: Literal["task"] = Field(alias="resultType")
    task_id: str = Field(alias="taskId")
    status: str


async def request(session: Any, what: str, task: str) -> Answer:
    sent = Request(method=f"tasks/{what}", params=Named(taskId=task))
    return await session.send_request(sent, Answer)


class Tasks(ClientExtension):
    """Asks for results until they are there; `seen` has what was answered."""

    identifier = TASKS

    def __init__(self, *, stop: bool = False) -> None:
        self.seen = list[Answer]()
        self.stop = stop

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=Handle, resolve=self.resolved)]

    async def resolved(self, handle: Handle, ctx: ClaimContext) -> CallToolResult:
        assert handle.status == "working"
        if self.stop:
            assert (await request(ctx.session, "cancel", handle.task_id)).result_type == "complete"
        while not self.seen or self.seen[-1].status == "working":
            self.seen.append(await request(ctx.session, "get", handle.task_id))
            await asyncio.sleep(0.05)
        last = self.seen[-1]
        return CallToolResult.model_validate(last.result or {"content": [], "isError": True})


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    write_clip(tmp_path / "blocks.mp4")
    slow_frames(monkeypatch, 0.05)
    monkeypatch.setitem(PROFILES, "full", replace(PROFILES["full"], patience_s=0.05))
    return Desk(tmp_path)


def called(desk: Desk, name: str, given: dict[str, Any], *extensions: ClientExtension) -> CallToolResult:
    async def talk() -> CallToolResult:
        async with Client(desk.server, extensions=extensions) as client:
            return await client.call_tool(name, given)

    return asyncio.run(talk())


def test_a_client_with_tasks_gets_the_result_of_long_work(desk: Desk) -> None:
    tasks = Tasks()
    result = called(desk, "track", TRACK, tasks, APPS)
    assert [mask["id"] for mask in data(result)["searches"][0]["masks"]] == [1, 2] and len(images(result)) == 1
    assert (result.meta or {})[VIEW_KEY], "a host shows it on the page too"
    first, *_, last = tasks.seen
    assert (first.status, last.status) == ("working", "completed") and "(track)" in first.status_message
    assert first.task_ttl is None and (last.task_ttl or 0) > 3_600_000


def test_a_task_can_be_stopped(desk: Desk) -> None:
    stopped = Tasks(stop=True)
    called(desk, "track", TRACK, stopped)
    assert stopped.seen[-1].status == "cancelled"


def test_clients_without_tasks_and_models_that_choose_to_wait_get_a_job(desk: Desk) -> None:
    assert "Call job_result" in text(called(desk, "track", TRACK))
    assert "Call job_result" in text(called(desk, "track", {**TRACK, "wait_seconds": 0}, Tasks()))


def test_what_goes_wrong_is_an_error_of_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sam3model.errors import InputError

    class Broken(ScriptedTracker):
        def open(self, source: Any, options: Any = None) -> Any:
            source.frame(0)
            raise InputError("frame 3 is damaged")

    write_clip(tmp_path / "blocks.mp4")
    slow_frames(monkeypatch, 0.3)
    monkeypatch.setitem(PROFILES, "full", replace(PROFILES["full"], patience_s=0.01))
    tasks = Tasks()
    result = called(Desk(tmp_path, tracker=Broken({})), "track", TRACK, tasks)
    assert tasks.seen[-1].status == "completed" and result.is_error and "frame 3 is damaged" in text(result)


def test_requests_that_do_not_fit_are_refused(desk: Desk) -> None:
    async def refused(*extensions: ClientExtension) -> int:
        async with Client(desk.server, extensions=extensions) as client:
            with pytest.raises(MCPError) as caught:
                await request(client.session, "get", "nope")
            return caught.value.code

    assert asyncio.run(refused(Tasks())) == -32602
    assert asyncio.run(refused()) == -32021

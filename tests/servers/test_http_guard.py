"""Over HTTP: who may talk to the server, and what each client has for itself."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import Client

from sam3agent.mllm.base import MLLMReply, MLLMRequest
from sam3agent.servers.http_guard import MAX_BODY, HttpAccess, host_name
from sam3agent.servers.mcp_http import bound_socket, serve_http
from sam3agent.testing import ScriptedBackend
from sam3model.errors import InputError
from tests.servers.desk import Desk, data, text

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
}
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@asynccontextmanager
async def serving(desk: Desk, access: HttpAccess) -> AsyncIterator[str]:
    """The address of a server of this event loop."""
    listening = bound_socket("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    task = asyncio.create_task(serve_http(desk.server, access, listening))
    try:
        yield address
    finally:
        task.cancel()
        await asyncio.wait([task])


def run(desk: Desk, access: HttpAccess, talk: Callable[[str], Awaitable[None]]) -> None:
    async def both() -> None:
        async with serving(desk, access) as address:
            await talk(address)

    asyncio.run(both())


async def status(address: str, **headers: str) -> tuple[int, str]:
    async with httpx2.AsyncClient() as web:
        reply = await web.post(address, json=INITIALIZE, headers={**HEADERS, **headers})
        return reply.status_code, reply.text


def test_host_and_origin_are_checked(tmp_path: Path) -> None:
    access = HttpAccess("127.0.0.1", ("host.docker.internal",), ("https://a.org",))

    async def talk(address: str) -> None:
        for host in ("localhost:1", "[::1]:9", "host.docker.internal:8955", "127.0.0.1"):
            assert (await status(address, Host=host))[0] == 200
        for host in ("evil.com", "127.0.0.1.evil.com", "evil.com:80", ""):
            code, said = await status(address, Host=host)
            assert code == 421 and "--allow-host" in said
        for origin in ("http://localhost:5173", "https://a.org"):
            assert (await status(address, Origin=origin))[0] == 200
        for origin in ("http://evil.com", "https://a.org.evil.com", "null", "http://localhost.evil.com", "http://[::1"):
            code, said = await status(address, Origin=origin)
            assert code == 403 and "--allow-origin" in said

    run(Desk(tmp_path), access, talk)


def test_a_page_of_an_allowed_origin_is_let_in(tmp_path: Path) -> None:
    async def talk(address: str) -> None:
        async with httpx2.AsyncClient() as web:
            asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
            reply = await web.options(address, headers={"Origin": "https://a.org", **asked})
            assert reply.status_code == 200 and reply.headers["access-control-allow-origin"] == "https://a.org"

    run(Desk(tmp_path), HttpAccess("127.0.0.1", origins=("https://a.org",), token="s3cret"), talk)


def test_the_token_is_required_and_the_host_checked_on_every_binding(tmp_path: Path) -> None:
    async def talk(address: str) -> None:
        for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cret"}):
            code, said = await status(address, **given)
            assert code == 401 and "Bearer TOKEN" in said
        assert (await status(address, Authorization="Bearer s3cret"))[0] == 200
        assert (await status(address, Authorization="Bearer s3cret", Host="evil.com"))[0] == 421

    run(Desk(tmp_path), HttpAccess("0.0.0.0", token="s3cret"), talk)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_an_address_that_others_reach_needs_a_token(host: str) -> None:
    with pytest.raises(InputError, match="set a token"):
        HttpAccess(host)
    assert HttpAccess(host, token="x").token == "x"


@pytest.mark.parametrize("token", ["", "  ", "schlüssel"])
def test_a_token_must_be_one(token: str) -> None:
    with pytest.raises(InputError, match="token"):
        HttpAccess("127.0.0.1", token=token)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("LOCALHOST:80", "localhost"),
        ("[::1]:80", "::1"),
        ("::1", "::1"),
        ("a.org.", "a.org"),
        ("", None),
        (":80", None),
    ],
)
def test_the_name_in_a_header(header: str, name: str | None) -> None:
    assert host_name(header) == name


def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async def talk(address: str) -> None:
        async with httpx2.AsyncClient() as web:
            reply = await web.post(address, content=b" " * (MAX_BODY + 1), headers=HEADERS)
            assert reply.status_code == 413 and "16 MiB" in reply.text

    run(Desk(tmp_path), HttpAccess("127.0.0.1"), talk)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_every_client_has_masks_of_its_own(tmp_path: Path, mode: str) -> None:
    desk = Desk(tmp_path)

    async def talk(address: str) -> None:
        async with Client(address, mode=mode) as one, Client(address, mode=mode) as other:
            image = {"image": "match.png"}
            found = await one.call_tool("segment_phrase", {**image, "phrases": ["player in white"]})
            assert [mask["id"] for mask in data(found)["searches"][0]["masks"]] == [1, 2]
            assert "there are no masks" in text(await other.call_tool("measure_masks", image))
            found = await other.call_tool("segment_phrase", {**image, "phrases": ["player in red"]})
            assert data(found)["searches"][0]["masks"][0]["id"] == 1
            assert len(data(await one.call_tool("measure_masks", image))["masks"]) == 2

    run(desk, HttpAccess("127.0.0.1"), talk)
    assert desk.segmenter.opened == 1


class Pondering(ScriptedBackend):
    """Never comes to a decision; knows when it was asked, and told to stop."""

    def __init__(self) -> None:
        super().__init__([])
        self.asked, self.stopped = threading.Event(), threading.Event()

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        self.asked.set()
        try:
            await asyncio.sleep(60)
        finally:
            self.stopped.set()
        return MLLMReply()


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
def test_a_client_that_hangs_up_in_mid_call_leaves_nothing_running(tmp_path: Path, version: str) -> None:
    backend = Pondering()

    async def talk(address: str) -> None:
        async with httpx2.AsyncClient() as web:
            hello = {**INITIALIZE, "params": {**INITIALIZE["params"], "protocolVersion": version}}
            opened = await web.post(address, json=hello, headers=HEADERS)
            known = {**HEADERS, "mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": version}
            await web.post(address, json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=known)
            arguments = {"image": "match.png", "question": "the ball"}
            asked = {
                "jsonrpc": "2.0",
                "id": 2,
                "method": "tools/call",
                "params": {"name": "ask", "arguments": arguments},
            }
            call = asyncio.create_task(web.post(address, json=asked, headers=known))
            while not backend.asked.is_set():
                await asyncio.sleep(0.02)
            call.cancel()
            await asyncio.wait([call])
        for _ in range(75):
            if backend.stopped.is_set():
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the question is still asked")

    run(Desk(tmp_path, backend=backend), HttpAccess("127.0.0.1"), talk)


def test_a_port_that_is_taken() -> None:
    with bound_socket("127.0.0.1", 0) as taken, pytest.raises(InputError, match="cannot listen on"):
        bound_socket("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(InputError, match="cannot listen"):
        bound_socket("no-such-host.invalid", 80)

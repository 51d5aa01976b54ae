"""HTTP sessions that clients leave open: they are closed when there are too many, and after a while."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from sam3agent.servers import mcp_http
from sam3agent.servers.http_guard import HttpAccess
from tests.servers.desk import Desk
from tests.servers.test_http_guard import HEADERS, INITIALIZE, run

PING = {"jsonrpc": "2.0", "id": 7, "method": "ping"}


async def opened(web: httpx2.AsyncClient, address: str) -> dict[str, str]:
    """The headers of a new session."""
    reply = await web.post(address, json=INITIALIZE, headers=HEADERS)
    assert reply.status_code == 200, reply.text
    return {**HEADERS, "mcp-session-id": reply.headers["mcp-session-id"], "mcp-protocol-version": "2025-06-18"}


async def answers(web: httpx2.AsyncClient, address: str, session: dict[str, str]) -> int:
    return (await web.post(address, json=PING, headers=session)).status_code


def test_a_new_session_closes_the_one_that_is_idle_longest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_http, "MAX_SESSIONS", 3)

    async def talk(address: str) -> None:
        async with httpx2.AsyncClient() as web:
            sessions = [await opened(web, address) for _ in range(3)]
            assert await answers(web, address, sessions[0]) == 200
            sessions.append(await opened(web, address))
            assert [await answers(web, address, one) for one in sessions] == [200, 404, 200, 200]
            assert (await web.delete(address, headers=sessions[0])).status_code == 200
            sessions.append(await opened(web, address))
            assert [await answers(web, address, one) for one in sessions] == [404, 404, 200, 200, 200]

    run(Desk(tmp_path), HttpAccess("127.0.0.1"), talk)


def test_sessions_that_are_left_open_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_http, "MAX_SESSIONS", 5)

    async def talk(address: str) -> None:
        async with httpx2.AsyncClient() as web:
            sessions = [await opened(web, address) for _ in range(40)]
            states = [await answers(web, address, one) for one in sessions]
        assert states == [404] * 35 + [200] * 5

    run(Desk(tmp_path), HttpAccess("127.0.0.1"), talk)


def test_a_session_in_use_is_not_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_http, "MAX_SESSIONS", 1)

    async def talk(address: str) -> None:
        async with httpx2.AsyncClient() as web:
            session = await opened(web, address)
            async with web.stream("GET", address, headers=session) as stream:  # news for the client
                assert stream.status_code == 200
                refused = await web.post(address, json=INITIALIZE, headers=HEADERS)
                assert refused.status_code == 503 and "Too many" in refused.text
            assert await answers(web, address, session) == 200

    run(Desk(tmp_path), HttpAccess("127.0.0.1"), talk)


def test_an_idle_session_is_closed_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_http, "IDLE_SECONDS", 0.3)

    async def talk(address: str) -> None:
        async with httpx2.AsyncClient() as web:
            session = await opened(web, address)
            await asyncio.sleep(1)
            assert await answers(web, address, session) == 404

    run(Desk(tmp_path), HttpAccess("127.0.0.1"), talk)

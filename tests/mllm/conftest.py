"""Imports the client library before any test is timed, because that takes long on a busy machine; own caches."""

import asyncio
from pathlib import Path

import pytest

from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.mllm.transport import Endpoint
from tests.mllm.fault_server import fault_server


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees profiles of servers that the user has probed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session", autouse=True)
def _warm() -> None:
    with fault_server() as server:
        asyncio.run(OpenAIBackend(Endpoint(server.url)).models())

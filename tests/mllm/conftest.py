"""The client library takes long to import on a busy machine; it is warmed up before anything is timed."""

import asyncio

import pytest

from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.mllm.transport import Endpoint
from tests.mllm.fault_server import fault_server


@pytest.fixture(scope="session", autouse=True)
def _warm() -> None:
    with fault_server() as server:
        asyncio.run(OpenAIBackend(Endpoint(server.url)).models())

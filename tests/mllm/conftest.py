"""Imports the client library before any test is timed, because that takes long on a busy machine."""

import asyncio

import pytest

from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.mllm.transport import Endpoint
from tests.mllm.fault_server import fault_server


@pytest.fixture(scope="session", autouse=True)
def _warm() -> None:
    with fault_server() as server:
        asyncio.run(OpenAIBackend(Endpoint(server.url)).models())

"""`sam3agent mcp --http`: the same server over HTTP, and what else the command takes."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from sam3agent.cli.app import app, guarded
from sam3agent.servers import serve_mcp
from sam3agent.servers.http_guard import HttpAccess
from sam3agent.servers.serve_mcp import McpService
from tests.drawn_match import drawing

CHECKOUT = Path(__file__).parents[2]


def test_a_client_reaches_it_over_http(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "from sam3agent.cli import main; main()"
    arguments = ["mcp", "--http", f"127.0.0.1:{port}", "--root", str(tmp_path), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    drawing().save(tmp_path / "match.png")
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL
    ) as server:
        try:
            wait_for(port, server)

            async def talk() -> tuple[list[str], str]:
                async with Client(f"http://127.0.0.1:{port}/mcp") as client:
                    names = [tool.name for tool in (await client.list_tools()).tools]
                    refused = await client.call_tool("measure_masks", {"image": "none.png"})
                    return names, refused.content[0].text

            names, said = asyncio.run(talk())
        finally:
            server.terminate()
    assert names[0] == "ask" and "there is no file" in said


def wait_for(port: int, server: subprocess.Popen) -> None:
    for _ in range(600):
        assert server.poll() is None, "the server has ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("nothing answers")


def test_every_flag_reaches_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[Any, McpService]] = []

    def serve(settings: Any, service: McpService, _announce: Any) -> None:
        served.append((settings, service))

    monkeypatch.setattr(serve_mcp, "serve", serve)
    flags = "--weights w --mllm openai --model m --base-url u --api-key k --out o --threshold 0.4 --device cpu"
    limits = "--timeout 9 --max-calls 7 --max-segmenter-calls 5 --max-seconds 3"
    web = "--http [::]:80 --token secret --allow-host a.org,b.org --allow-origin https://a.org"
    host = "--host-profile words --out-limit 2.5"
    arguments = ["mcp", *flags.split(), *limits.split(), *web.split(), *host.split(), "--dtype", "float32"]
    assert guarded(lambda: app(args=[*arguments, "--root", "r"], standalone_mode=False)) == 0
    ((settings, service),) = served
    assert settings.model_dump(exclude_defaults=True, exclude={"api_key"}) == {
        "weights": "w", "mllm": "openai", "model": "m", "base_url": "u", "out": Path("o"), "threshold": 0.4,
        "device": "cpu", "dtype": "float32", "timeout": 9.0, "max_calls": 7, "max_segmenter_calls": 5,
        "max_seconds": 3.0,
    }  # fmt: skip
    assert settings.api_key.get_secret_value() == "k"
    access = HttpAccess("::", ("a.org", "b.org"), ("https://a.org",), "secret")
    assert service == McpService((Path("r"),), access, 80, "words", 2.5)


@pytest.mark.parametrize("address", ["8000", "localhost", "localhost:http", ":80", "localhost:99999"])
def test_an_address_that_is_none(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: app(args=["mcp", "--http", address], standalone_mode=False)) == 2
    assert "HOST:PORT" in capsys.readouterr().err

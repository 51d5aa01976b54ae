"""The output folder as clients see it: resources that can be listed and read in parts, prompts, and a limit."""

import asyncio
import base64
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.types import BlobResourceContents, ReadResourceResult, TextResourceContents
from typer.testing import CliRunner

from sam3agent.cli.app import app
from sam3agent.config import Settings
from sam3agent.servers import result_files
from sam3agent.servers.result_files import MAX_PART, ResultFolder
from sam3agent.testing import call
from tests.servers.desk import Desk, data, text

WHITE = [call("segment_phrase", phrases=["player in white"]), call("select_masks", ids=[1], reason="furthest left")]


def read(desk: Desk, *addresses: str) -> list[ReadResourceResult]:
    async def talk() -> list[ReadResourceResult]:
        async with Client(desk.server) as client:
            return [await client.read_resource(address) for address in addresses]

    return asyncio.run(talk())


def refusal(desk: Desk, address: str) -> str:
    async def talk() -> str:
        async with Client(desk.server) as client:
            try:
                await client.read_resource(address)
            except MCPError as error:
                return str(error)
            return ""

    return asyncio.run(talk())


def part(result: ReadResourceResult) -> bytes:
    (content,) = result.contents
    if isinstance(content, BlobResourceContents):
        return base64.b64decode(content.blob)
    assert isinstance(content, TextResourceContents)
    return content.text.encode()


def test_the_files_of_an_answer_can_be_listed_and_read(tmp_path: Path) -> None:
    desk = Desk(tmp_path, WHITE)
    answer = data(desk.call("ask", question="leftmost player in white"))

    async def listed() -> dict[str, Any]:
        async with Client(desk.server) as client:
            assert (await client.list_resource_templates()).resource_templates[0].uri_template.startswith("sam3://")
            return {found.uri: found for found in (await client.list_resources()).resources}

    found = asyncio.run(listed())
    assert set(answer["resources"]) <= set(found)
    masks, overlay = (read(desk, address)[0] for address in answer["resources"][:2])
    assert json.loads(part(masks))["annotations"][0]["bbox"] == [8, 20, 12, 30]
    assert part(overlay) == Path(answer["overlay_file"]).read_bytes()
    assert overlay.contents[0].mime_type == "image/png"


def test_a_large_result_is_read_in_parts(tmp_path: Path) -> None:
    desk, content = Desk(tmp_path), bytes(range(256)) * 4000
    (tmp_path / "out").mkdir()
    (tmp_path / "out/big.bin").write_bytes(content)
    assert "read it in parts of at most 500000" in refusal(desk, "sam3://results/big.bin")
    addresses = [
        f"sam3://results/big.bin?offset={start}&length={MAX_PART}" for start in range(0, len(content), MAX_PART)
    ]
    assert b"".join(map(part, read(desk, *addresses))) == content
    assert part(read(desk, f"sam3://results/big.bin?offset={len(content)}")[0]) == b""


@pytest.mark.parametrize(
    "address",
    [
        "sam3://results/nope.json",
        "sam3://results/../match.png",
        "sam3://results/%2e%2e/match.png",
        "sam3://results//etc/passwd",
        "sam3://results/link.png",
        "sam3://results/",
        "sam3://results/%00",
        "sam3://results/a.json?offset=x",
    ],
)
def test_nothing_else_can_be_read(tmp_path: Path, address: str) -> None:
    desk = Desk(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.json").write_text("{}")
    (tmp_path / "out/link.png").symlink_to(tmp_path / "match.png")
    said = refusal(desk, address)
    assert "there is no" in said or "must be a number" in said


def test_a_folder_that_is_full_costs_the_files_only(tmp_path: Path) -> None:
    desk = Desk(tmp_path, WHITE, out_limit=1000)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old.bin").write_bytes(bytes(2000))
    answer = desk.call("ask", question="leftmost player in white")
    assert data(answer)["status"] == "answered" and data(answer)["masks_file"] is None
    assert "raise --out-limit" in text(answer)
    chosen = desk.call("select_masks", ids=[1])
    assert data(chosen)["masks_file"] is None and "raise --out-limit" in text(chosen)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old.bin"]


def test_only_the_latest_shown_images_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_files, "MAX_SHOWN", 3)
    folder = ResultFolder(tmp_path, 10_000_000)
    for number in range(10):
        assert folder.keep_shown(f"image {number}".encode(), "zoomed-1")
    assert len(list((tmp_path / "shown").iterdir())) == 3


def test_prompts_are_ready_made_requests(tmp_path: Path) -> None:
    async def talk() -> tuple[list[str], str]:
        async with Client(Desk(tmp_path).server) as client:
            names = [prompt.name for prompt in (await client.list_prompts()).prompts]
            asked = await client.get_prompt("count", {"image": "match.png", "what": "players"})
            return names, asked.messages[0].content.model_dump()["text"]

    names, asked = asyncio.run(talk())
    assert names == ["find", "count", "label_folder", "compare_two_images"]
    assert "Count the players in match.png" in asked and "examine_masks" in asked


def test_the_manifest_of_the_registry_fits_the_package() -> None:
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    manifest = json.loads((root / "server.json").read_text())
    (package,) = manifest["packages"]
    assert package["identifier"] == project["name"]
    assert manifest["version"] == package["version"] == project["version"]
    assert len(manifest["description"]) <= 100  # the limit of the registry
    variables = {variable["name"].removeprefix("SAM3AGENT_").lower() for variable in package["environmentVariables"]}
    assert variables <= set(Settings.model_fields)
    named = [argument["name"] for argument in package["packageArguments"] if argument["type"] == "named"]
    shown = CliRunner().invoke(app, ["mcp", "--help"]).output
    assert all(name in shown for name in named)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_folders_made_for_images_of_users_are_private(tmp_path: Path) -> None:
    data(Desk(tmp_path, WHITE).call("ask", question="leftmost player in white"))
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_folder_that_was_there_keeps_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(0o755)
    data(Desk(tmp_path, WHITE).call("ask", question="leftmost player in white"))
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755

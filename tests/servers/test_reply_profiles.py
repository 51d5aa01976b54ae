"""What a model sees of a reply: words, boxes, files and images, in hosts of every kind."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from mcp import Client
from mcp.types import CallToolResult, Implementation
from PIL import Image

from sam3agent.config import Settings
from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.mcp_server import build_server
from sam3agent.servers.reply_images import base64_size, contact_sheet, encode_within, shown_images
from sam3agent.servers.reply_profiles import PROFILES, ClientTraits, choose_profile
from sam3agent.testing import call
from sam3model.errors import InputError
from tests.servers.desk import Desk, data, images, text

WHITE = [call("segment_phrase", phrases=["player in white"]), call("select_masks", ids=[1], reason="furthest left")]


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("client", "profile"),
    [
        (ClientTraits("claude-code", "2.1.0", "2025-11-25"), "content"),
        (ClientTraits("codex-mcp-client", "0.60.1", "2025-06-18"), "content"),
        (ClientTraits("anything", "1", "2025-03-26"), "content"),
        (ClientTraits("claude-ai", "0.1.0", "2025-06-18"), "full"),
        (ClientTraits("anything", "1", "2026-07-28"), "full"),
        (ClientTraits(), "full"),
    ],
)
def test_the_profile_fits_the_client(client: ClientTraits, profile: str) -> None:
    assert choose_profile(client).name == profile
    assert choose_profile(client, "words").name == "words"


def test_an_unknown_profile_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose one of full, content, small, words"):
        build_server(Settings(out=tmp_path), host_profile="big")


def replies(desk: Desk, name: str) -> list[CallToolResult]:
    """A search, a look at both masks and the selection of one, as a client of this name gets them."""

    async def talk() -> list[CallToolResult]:
        async with Client(desk.server, client_info=Implementation(name=name, version="1")) as client:
            await client.list_tools()  # from here on, the client checks results against their schemas
            return [
                await client.call_tool("segment_phrase", {"image": "match.png", "phrases": ["player in white"]}),
                await client.call_tool("examine_masks", {"image": "match.png", "ids": "1 and 2"}),
                await client.call_tool("select_masks", {"image": "match.png", "ids": 1}),
            ]

    return asyncio.run(talk())


def test_a_host_that_shows_only_structured_content_gets_words_and_image_files(tmp_path: Path) -> None:
    found, seen, chosen = replies(Desk(tmp_path), "some-host")
    for reply in (found, seen, chosen):
        assert text(reply) == data(reply)["words"] and "[8, 20, 20, 50]" in text(reply)
        (file,) = data(reply)["images"]
        with Image.open(file) as image:
            assert image.size == images(reply)[0].size
    assert data(chosen)["masks_file"] in text(chosen) and data(chosen)["overlay_file"] in text(chosen)


def test_a_host_that_prefers_structured_content_gets_none(tmp_path: Path) -> None:
    for reply in replies(Desk(tmp_path), "claude-code"):
        assert not reply.is_error and reply.structured_content is None
        assert len(images(reply)) == 1 and "[8, 20, 20, 50]" in text(reply)


def test_a_host_without_images_gets_their_files(tmp_path: Path) -> None:
    desk = Desk(tmp_path, host_profile="words")
    for reply in replies(desk, "terminal"):
        assert images(reply) == []
        path = text(reply).rpartition("Image: ")[2]
        assert Path(path).is_file()


def test_an_answer_names_boxes_and_files_in_its_words(tmp_path: Path) -> None:
    said = text(Desk(tmp_path, WHITE).call("ask", question="leftmost player in white"))
    assert 'mask 1 ("player in white"): box [8, 20, 20, 50], score 0.90' in said
    assert "masks.json" in said and "overlay.png" in said


@pytest.mark.parametrize("profile", list(PROFILES))
def test_a_reply_stays_below_the_limit_of_its_profile(tmp_path: Path, profile: str) -> None:
    desk = Desk(tmp_path, host_profile=profile)
    noise(1600, 1200).save(tmp_path / "match.png")
    desk.segmenter.objects = {
        "thing": [(x, y, x + 90, y + 90) for x in range(0, 1500, 100) for y in range(0, 1100, 100)]
    }
    found = desk.call("segment_phrase", phrases=["thing"])
    for reply in (found, desk.call("examine_masks", ids=[1]), desk.call("examine_masks", ids=list(range(1, 60)))):
        size = len(json.dumps(reply.model_dump(by_alias=True, mode="json")))
        assert size <= PROFILES[profile].max_bytes, text(reply)
        assert len(images(reply)) <= PROFILES[profile].max_images
        assert images(reply) or profile == "words"


def test_a_budget_counts_base64() -> None:
    for budget in (600_000, 90_000, 20_000, 8_000):
        encoded = encode_within(noise(1000, 800), budget, 1536)
        assert encoded is not None and base64_size(len(encoded)) <= budget
    assert encode_within(noise(1000, 800), 500, 1536) is None


def test_what_is_left_out_is_said() -> None:
    pictures = [LazyImage(EvidenceKey(0, (i,), "zoomed"), lambda: noise(64, 64)) for i in range(1, 41)]
    shown, remark = shown_images(pictures, PROFILES["full"], 800_000)
    assert len(shown) == 1 and "only the first 16 of 40" in remark and "fewer masks" in remark
    shown, remark = shown_images(pictures[:1], PROFILES["full"], 100)
    assert shown == [] and "ask for fewer" in remark


@pytest.mark.parametrize("count", [1, 2, 3, 7, 16])
def test_a_sheet_shows_all_images_as_large_as_it_can(count: int) -> None:
    tiles = [Image.new("RGB", (300, 200), (255, 0, 0)) for _ in range(count)]
    sheet = contact_sheet(tiles, [str(i) for i in range(count)])
    assert max(sheet.size) <= 1536
    red = (np.asarray(sheet)[..., 0] > 200) & (np.asarray(sheet)[..., 1] < 60)
    assert red.mean() > 0.45

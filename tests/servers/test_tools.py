"""The registry's tools over MCP, through the SDK's own in-memory client."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from sam3agent.config import Settings
from sam3agent.masks import Mask
from sam3agent.mcp_server import build_server
from sam3agent.servers.open_images import CAPACITY
from sam3agent.tools.registry import all_tools
from sam3model.errors import InputError
from tests.agent.moving_blocks import write_clip
from tests.drawn_match import drawing
from tests.servers.desk import Desk, data, images, text


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_one_definition_is_enough(desk: Desk) -> None:
    async def listed() -> dict[str, Any]:
        async with Client(desk.server) as client:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

    tools = asyncio.run(listed())
    served = [tool for tool in all_tools().values() if tool.served]
    assert {"segment_phrase", "track", "select_masks"} <= {tool.name for tool in served}
    for defined in served:
        shown = tools[defined.name]
        assert shown.description == defined.description
        properties = {
            key: {k: v for k, v in p.items() if k != "title"} for key, p in shown.input_schema["properties"].items()
        }
        assert properties.pop("image")["description"]
        assert (properties.pop("wait_seconds", None) is not None) == (defined.name == "track")
        assert properties == defined.schema.parameters["properties"]
        assert set(shown.input_schema["required"]) == {"image", *defined.schema.parameters.get("required", ())}
        assert shown.output_schema["properties"]["image"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_search_look_and_select(desk: Desk, mode: str) -> None:
    found, seen, measured, chosen = desk.calls(
        ("segment_phrase", {"image": "match.png", "phrases": ["player in white", "dog"]}),
        ("examine_masks", {"image": "match.png", "ids": [1]}),
        ("measure_masks", {"image": "match.png"}),
        ("select_masks", {"image": "match.png", "ids": [1], "reason": "furthest left"}),
        mode=mode,
    )
    white, dog = data(found)["searches"]
    assert [mask["id"] for mask in white["masks"]] == [1, 2]
    assert white["masks"][0]["box"] == [8, 20, 20, 50]
    assert dog == {"phrase": "dog", "masks": []}
    assert "nothing found" in text(found)
    assert len(images(found)) == 1 and len(images(seen)) == 2 and len(images(chosen)) == 1
    assert [mask["rank_from_left"] for mask in data(measured)["masks"]] == [1, 2]
    saved = json.loads(Path(data(chosen)["masks_file"]).read_text())
    mask = Mask.from_rle(saved["annotations"][0]["segmentation"])
    assert mask is not None and mask.box == (8, 20, 20, 50) and mask.area == 12 * 30
    assert Path(data(chosen)["overlay_file"]).is_file()


def test_a_image_is_encoded_once_and_asked_often(desk: Desk) -> None:
    for phrase in ("player", "ball", "player in red"):
        desk.call("segment_phrase", phrases=[phrase])
    assert desk.segmenter.opened == 1


def test_a_changed_image_is_a_new_one(desk: Desk) -> None:
    desk.call("segment_phrase", phrases=["player"])
    drawing().resize((48, 32)).save(desk.folder / "match.png")
    assert "there is no mask 1" in desk.refusal("examine_masks", ids=[1])
    assert desk.segmenter.opened == 2


def test_masks_outlive_the_encoding_of_their_image(desk: Desk) -> None:
    for i in range(CAPACITY + 1):
        drawing().save(desk.folder / f"{i}.png")
        desk.call("segment_phrase", image=f"{i}.png", phrases=["player"])
    desk.call("segment_phrase", image=f"{CAPACITY}.png", phrases=["player"])
    assert desk.segmenter.opened == CAPACITY + 1
    assert not desk.call("examine_masks", image="0.png", ids=[1]).is_error
    assert desk.segmenter.opened == CAPACITY + 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"phrases": []}, "phrases"),
        ({"phrases": [""]}, "phrases"),
        ({"phrases": 7}, "phrases"),
        ({"image": "none.png", "phrases": ["x"]}, "there is no file"),
        ({"image": "-", "phrases": ["x"]}, "there is no file"),
        ({"image": "notes.txt", "phrases": ["x"]}, "not an image"),
        ({"image": "..", "phrases": ["x"]}, "--root"),
        ({"image": "/etc/passwd", "phrases": ["x"]}, "--root"),
        ({"image": "file:///etc/passwd", "phrases": ["x"]}, "--root"),
        ({"image": "link.png", "phrases": ["x"]}, "--root"),
        ({"image": "a\0b", "phrases": ["x"]}, "not a usable path"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(desk: Desk, arguments: dict[str, Any], says: str) -> None:
    (desk.folder / "notes.txt").write_text("just words")
    (desk.folder / "link.png").symlink_to("/etc/passwd")
    said = desk.refusal("segment_phrase", **arguments)
    assert says in said and "Traceback" not in said and "\n" not in said


def test_arguments_are_named_as_leniently_as_by_the_agent(desk: Desk) -> None:
    found, chosen = desk.calls(
        ("segment_phrase", {"Image": "match.png", "phrase": "player"}),
        ("select_masks", {"arguments": {"image_path": "match.png", "mask_ids": "1, 2"}}),
    )
    assert not found.is_error and not chosen.is_error
    assert [mask["id"] for mask in data(chosen)["masks"]] == [1, 2]


def test_an_argument_that_would_change_the_call_is_not_dropped(desk: Desk) -> None:
    desk.call("segment_phrase", phrases=["player"])
    assert "there is no 'exclude'" in desk.refusal("select_masks", ids=[1, 2], exclude=[2])
    assert "give only ids" in desk.refusal("select_masks", ids=[1], mask_ids=[2])
    assert "there is no job 'x'" in desk.refusal("job_status", job_id="x")


def test_a_prompt_without_its_arguments_is_one_sentence(desk: Desk) -> None:
    async def talk() -> list[str]:
        said = list[str]()
        async with Client(desk.server) as client:
            for name, given in (("find", {"image": "a.png"}), ("none", {})):
                with pytest.raises(MCPError) as caught:
                    await client.get_prompt(name, given)
                said.append(str(caught.value))
            await client.get_prompt("find", {"image": "a.png", "what": "ball", "more": "x"})
        return said

    missing, unknown = asyncio.run(talk())
    assert missing == "the prompt find needs what" and unknown.startswith("there is no prompt 'none'; use find")


def test_files_of_one_selection_outlive_the_next(desk: Desk) -> None:
    desk.call("segment_phrase", phrases=["player"])
    one, other = (data(desk.call("select_masks", ids=[number])) for number in (1, 2))
    assert one["masks_file"] != other["masks_file"]
    assert Path(one["masks_file"]).read_text() != Path(other["masks_file"]).read_text()


def test_masks_that_do_not_exist(desk: Desk) -> None:
    for name in ("examine_masks", "measure_masks", "select_masks"):
        assert "there is no mask 9" in desk.refusal(name, ids=[9])
    assert not (desk.folder / "out").exists()


@pytest.mark.parametrize("image", ["match.png", "./match.png", "{folder}/match.png", "file://{folder}/match.png"])
def test_ways_to_name_a_image(desk: Desk, image: str) -> None:
    result = desk.call("segment_phrase", image=image.format(folder=desk.folder), phrases="player")
    assert not result.is_error


def test_many_masks_are_shown_on_one_sheet(desk: Desk) -> None:
    boxes = [(x, y, x + 5, y + 5) for x in range(0, 90, 8) for y in range(0, 60, 8)]
    desk.segmenter.objects = {"thing": boxes}
    desk.call("segment_phrase", phrases=["thing"])
    seen = desk.call("examine_masks", ids=list(range(1, 31)))
    assert len(images(seen)) == 1
    assert "only the first 16 of 60 images are shown; ask for fewer" in text(seen)


def test_a_root_that_is_no_folder_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "nope", tmp_path / "file"):
        with pytest.raises(InputError, match="is not a folder"):
            build_server(Settings(), roots=[tmp_path, root])


@pytest.mark.parametrize("kind", ["pipe", "device", "program"])
def test_what_is_not_an_image_file_is_refused_at_once(desk: Desk, kind: str) -> None:
    path = desk.folder / "other.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    result = desk.calls(("segment_phrase", {"image": "other.png", "phrases": ["player"]}))[0]
    assert result.is_error
    said = text(result)
    assert "not an image in a supported format" in said or "not a regular file" in said or "outside the folders" in said
    assert not desk.call("segment_phrase", phrases=["player"]).is_error


def test_errors_hold_no_control_characters(desk: Desk) -> None:
    result = desk.calls(("segment_phrase", {"image": "no\x1b[31m\u202esuch.png", "phrases": ["player"]}))[0]
    assert result.is_error and text(result).isprintable()


def test_a_full_disk_does_not_cost_a_selection(desk: Desk) -> None:
    (desk.folder / "out").write_text("in the way of the folder")
    searched, selected = desk.calls(
        ("segment_phrase", {"image": "match.png", "phrases": ["player"]}),
        ("select_masks", {"image": "match.png", "ids": [1]}),
    )
    assert not searched.is_error and not selected.is_error


def test_masks_that_are_merged_or_split_stay_so_in_later_calls(tmp_path: Path) -> None:
    write_clip(tmp_path / "walk.mp4")
    clip = {"image": "walk.mp4"}
    _, merged, chosen, split, parts = Desk(tmp_path).calls(
        ("track", {**clip, "phrases": ["player in white"]}),
        ("merge_tracks", {**clip, "ids": [1, 2], "parts": True}),
        ("select_masks", {**clip, "ids": [3]}),
        ("split_track", {**clip, "id": 3, "frame": 4}),
        ("select_masks", {**clip, "ids": [4, 5]}),
    )
    assert [mask["id"] for mask in data(merged)["masks"]] == [mask["id"] for mask in data(chosen)["masks"]] == [3]
    assert [mask["id"] for mask in data(split)["masks"]] == [mask["id"] for mask in data(parts)["masks"]] == [4, 5]

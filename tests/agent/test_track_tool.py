"""The tool `track`: masklets in the pool that the other tools accept."""

import json
from pathlib import Path

import numpy as np
import pytest

from sam3agent import Agent
from sam3agent.agent.trace import read_trace
from sam3agent.cli.replay import run_replay
from sam3agent.masks import Mask, Masklet, RleMasks
from sam3agent.media import open_media
from sam3agent.testing import ScriptedBackend, ScriptedSegmenter, call
from sam3agent.tools.registry import ToolUseError, all_tools
from sam3agent.workbench import Workbench
from sam3model.errors import InputError
from sam3model.ops.masks import encode_rle
from tests.agent.moving_blocks import FRAMES, RATE, SIZE, clip, tracker, white, write_clip
from tests.drawn_match import drawing

SEGMENTER = ScriptedSegmenter({"player in white": [(4, 20, 16, 44)]})


def bench(broken: int = FRAMES) -> Workbench:
    media = clip(broken)
    return Workbench(media, SEGMENTER.open(media), tracker=tracker(delay=2))


def test_phrases_become_masklets_that_other_tools_accept() -> None:
    reports: list[tuple[int, int]] = []
    work = bench()
    work = Workbench(work.media, work.session, tracker=work.tracker, report=lambda *done: reports.append(done))
    result = all_tools()["track"].call(work, {"phrases": ["player in white", "dog"]})
    first, second = result.data["searches"][0]["masks"]
    assert (first["id"], first["first_frame"], first["last_frame"], first["frames_visible"]) == (1, 0, 11, 10)
    assert first["first_box"] == list(white(0) or ()) and second["first_frame"] == 3
    assert "mask 1: frames 0 to 11, visible on 10; box [4, 20, 16, 44] on frame 0" in result.text
    assert '"dog": nothing found' in result.text and result.segmenter_calls == 2
    assert reports[0] == (1, 12) and reports[-1] == (12, 12)
    work = work.with_pool(result.pool)
    assert [fact["id"] for fact in all_tools()["measure_masks"].call(work, {}).data["masks"]] == [1, 2]
    assert [image.key.frame for image in all_tools()["examine_masks"].call(work, {"ids": [2]}).images] == [3, 3]
    assert all_tools()["select_masks"].call(work, {"ids": [1, 2]}).images[0].key.frame == 3


def test_a_mask_is_followed_to_both_sides_and_keeps_its_id() -> None:
    work = bench()
    found = Mask.from_rle(encode_rle(np.pad(np.ones((24, 12), bool), ((20, 20), (16, 68)))))  # white on frame 4
    assert found is not None
    pool, _ = work.pool.add("player", [(Masklet.of(found, 4), 0.8)])
    result = all_tools()["track"].call(work.with_pool(pool), {"id": 1, "first_frame": 2, "last_frame": 9})
    (candidate,) = result.pool.candidates
    assert candidate.id == 1 and candidate.score == 0.8 and result.segmenter_calls == 1
    assert sorted(candidate.masklet.masks) == [2, 3, 4, 7, 8, 9]
    assert [candidate.masklet.masks[frame].box for frame in (2, 9)] == [white(2), white(9)]
    assert result.data["masks"][0]["frames_visible"] == 6


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "either phrases or the id"),
        ({"phrases": ["x"], "id": 1}, "either phrases or the id"),
        ({"id": 7}, "there is no mask 7"),
        ({"phrases": ["x"], "last_frame": 12}, "they are 0 to 11"),
        ({"phrases": ["x"], "first_frame": 9, "last_frame": 4}, "they are 0 to 11"),
        ({"id": 1, "frame": 3}, "mask 1 is not on frame 3"),
        ({"id": 1, "first_frame": 2}, "not among frames 2 to 11"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(arguments: dict, says: str) -> None:
    work = bench()
    found = Mask.from_full(np.ones((SIZE[1], SIZE[0]), bool))
    assert found is not None
    pool, _ = work.pool.add("all", [(Masklet.of(found), 0.8)])
    with pytest.raises(ToolUseError, match=says):
        all_tools()["track"].call(work.with_pool(pool), arguments)


def test_an_image_or_missing_weights_are_answered_with_a_sentence() -> None:
    image = open_media(drawing())
    with pytest.raises(ToolUseError, match="needs a clip, and this is an image"):
        all_tools()["track"].call(Workbench(image, SEGMENTER.open(image)), {"phrases": ["x"]})
    work, none = bench(), tracker()
    none.problem = "the weights have no tracker"
    for without in (None, none):
        with pytest.raises(ToolUseError, match="no tracker"):
            all_tools()["track"].call(Workbench(work.media, work.session, tracker=without), {"phrases": ["x"]})


def test_a_clip_that_breaks_off_keeps_what_was_tracked() -> None:
    result = all_tools()["track"].call(bench(broken=7), {"phrases": ["player in white"]})
    assert result.data["searches"][0]["masks"][0]["last_frame"] == 4
    assert "breaks off" in result.text and "frame 7 is damaged" in result.text
    with pytest.raises(ToolUseError, match="frame 0 is damaged"):
        all_tools()["track"].call(bench(broken=0), {"phrases": ["player in white"]})


def test_masklets_of_clips_stay_encoded() -> None:
    masks = {t: encode_rle(np.arange(100).reshape(10, 10) < 10 * t) for t in range(4)}
    masklet = Masklet.from_rles(masks)
    assert masklet is not None and isinstance(masklet.masks, RleMasks)
    decoded = Masklet({frame: mask for frame, mask in masklet})
    assert sorted(masklet.masks) == [1, 2, 3] and masklet.key_frame == 3 and masklet.areas[2] == 20
    other = Masklet.from_rles({t: masks[3] for t in (0, 1, 2)})
    assert other is not None and masklet.iou(other) == pytest.approx(decoded.iou(other)) == pytest.approx(30 / 120)
    assert masklet.to_json() == decoded.to_json()
    assert Masklet.from_rles({0: masks[0]}) is None


@pytest.mark.parametrize("name", [tool.name for tool in all_tools().values() if tool.needs_clip])
def test_tools_for_clips_leave_images_alone(name: str) -> None:
    image = open_media(drawing())
    pool, _ = bench().pool.add("player", [(Masklet.of(block), 0.8) for block in (_block(4), _block(60))])
    arguments = {"ids": [1, 2], "parts": True} if name == "merge_tracks" else {"id": 1, "frame": 1}
    given = {"measure_tracks": {}, "track": {"phrases": ["player"]}}.get(name, arguments)
    with pytest.raises(ToolUseError, match=f"{name} needs a clip, and this is an image"):
        all_tools()[name].call(Workbench(image, SEGMENTER.open(image), pool, tracker=tracker()), given)


def _block(x: int) -> Mask:
    mask = Mask.from_full(np.pad(np.ones((24, 12), bool), ((20, 20), (x, 84 - x))))
    assert mask is not None
    return mask


def test_an_mllm_may_track_and_a_question_on_an_image_does_not_mention_it(tmp_path: Path) -> None:
    write_clip(tmp_path / "blocks.mp4")
    lines = [
        call("track", phrases=["player in white"]), call("track", id=1, frame=0), call("select_masks", ids=[1]),
    ]  # fmt: skip
    backend = ScriptedBackend(lines, {None: '{"verdict": "accept"}'})
    agent = Agent(SEGMENTER, backend, tracker=tracker())
    answer = agent.ask(tmp_path / "blocks.mp4", "who walks?", out=tmp_path / "out")
    assert answer.status == "answered" and answer.reason == "mask 1: player in white"
    assert len(answer.masks[0].masklet.masks) == 10
    question = [part.text for part in backend.requests[0].messages[1].parts if hasattr(part, "text")]
    assert "a clip of 12 frames" in question[0] and "Call track" in question[0]
    assert "followed mask 1" in "".join(getattr(p, "text", "") for m in backend.requests[-1].messages for p in m.parts)
    tools = [record for record in read_trace(tmp_path / "out") if record["event"] == "tool"]
    assert [len(record["masks"][0]["frames"]) for record in tools[:2]] == [10, 10]
    coco = json.loads((tmp_path / "out/masks.json").read_text())
    assert len(coco["annotations"]) == 10
    run_replay(tmp_path / "out", rerun=False, out=tmp_path / "again", as_json=True, verbose=False)
    assert (tmp_path / "again/overlay.png").read_bytes() == (tmp_path / "out/overlay.png").read_bytes()
    drawn = ScriptedBackend([call("report_no_match")])
    Agent(SEGMENTER, drawn, tracker=tracker()).ask(drawing(), "who walks?")
    assert "track" not in [schema.name for schema in drawn.requests[0].tools]


def test_an_answer_of_the_first_frame_says_so(tmp_path: Path) -> None:
    path, lines = write_clip(tmp_path / "blocks.mp4"), list[str]()
    search, answer = call("segment_phrase", phrases=["player in white"]), call("select_masks", ids=[1])
    backend = ScriptedBackend([search, answer], {"verdict": "accept"})
    found = Agent(SEGMENTER, backend, tracker=tracker()).ask(path, "player in white", tell=lines.append)
    assert found.status == "answered" and "only the first of 12 frames was searched" in found.reason
    assert any("first of 12 frames" in line for line in lines)


def test_the_rules_track_what_a_question_about_a_clip_names(tmp_path: Path) -> None:
    answer = Agent(SEGMENTER, tracker=tracker()).ask(write_clip(tmp_path / "blocks.mp4"), "player in white")
    assert answer.status == "answered" and "only the first" not in answer.reason
    assert [len(mask.masklet.masks) for mask in answer.masks] == [10, 9]


def test_clips_are_media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    from sam3agent.media import ClipMedia, ImageMedia, damage_of, is_clip, media_remarks, open_clip

    path = write_clip(tmp_path / "blocks.mp4").rename(tmp_path / "blocks.bin")
    media = open_media(path)
    assert isinstance(media, ClipMedia) and (media.count, media.size) == (FRAMES, SIZE)
    assert media.frame(2).size == SIZE and media.time(2) == pytest.approx(2 / RATE)
    part = media.part(range(2, 11, 4))
    assert part.count == 3 and (part.frame(1) == media.frames.frame(6)).all()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "still.gif")
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert is_clip(tmp_path / "moving.gif") and isinstance(open_media(tmp_path / "still.gif"), ImageMedia)
    assert damage_of(media) == ()
    monkeypatch.setattr("sam3model.frames.ClipFile.damage", "blocks.bin was cut off")
    assert damage_of(media) == ("blocks.bin was cut off",) and media.damage[0] in media_remarks(media)
    with pytest.raises(InputError, match="is an image, not a clip"):
        open_clip(tmp_path / "still.gif")


def test_what_is_missing_is_said_once_by_a_clip_that_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    from sam3agent.media import ClipMedia, damage_of
    from sam3agent.servers.stoppable_clip import stoppable
    from sam3model.frames import BrokenFrameError, open_frames

    source = open_frames([np.zeros((8, 8, 3), np.uint8)] * 4)
    media = stoppable(ClipMedia(source), lambda: None)
    monkeypatch.setattr(type(source), "frame", lambda *_: (_ for _ in ()).throw(BrokenFrameError("it breaks off", 2)))
    with pytest.raises(BrokenFrameError):
        media.frame(3)
    assert damage_of(media) == ("it breaks off",)

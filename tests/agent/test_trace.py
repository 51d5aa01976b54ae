"""The trace: complete as it goes along, readable, and enough to draw or run the question again."""

import json
from pathlib import Path

import pytest
from PIL import Image
from pycocotools.coco import COCO

from sam3agent.agent.policy import EVERY_CANDIDATE
from sam3agent.agent.recorded import RecordedSegmenter, ReplayBackend, recorded_image
from sam3agent.agent.trace import Trace, read_trace
from sam3agent.api import Agent
from sam3agent.cli.replay import run_replay
from sam3agent.images import EvidenceKey
from sam3agent.mllm.base import LazyImage, MLLMReply, MLLMRequest
from sam3agent.testing import ScriptedBackend, call
from sam3model.errors import CheckpointError, InputError
from tests.agent.test_loop import ACCEPT, SEARCH
from tests.agent.world import World

SCRIPT = ["hm", SEARCH, call("segment_phrase", phrases=["car"]), call("select_masks", ids=[1, 4], reason="both")]


class Seeing(ScriptedBackend):
    """Reads every image sent to it, as a server would."""

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        assert all(part.data for m in request.messages for part in m.parts if isinstance(part, LazyImage))
        return await super().decide(request)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    world = World()
    judge = {2: '{"verdict": "reject"}', None: ACCEPT[None]}
    Agent(world, Seeing(SCRIPT, judge), policy=EVERY_CANDIDATE).ask(world.image, "a player and a car", out=tmp_path)
    return tmp_path


def test_a_trace_tells_the_whole_story(folder: Path) -> None:
    records = read_trace(folder)
    events = [record["event"] for record in records]
    assert events[0] == "start" and events[-1] == "end"
    assert [r["state"] for r in records if r["event"] == "state"] == [
        "Generate", "Verify", "Refine", "Verify", "Refine", "Answered",
    ]  # fmt: skip
    for record in records:
        for name in record.get("images", ()):
            Image.open(folder / name).verify()
    assert (folder / "images" / "zoomed-1.jpg").exists()
    assert next(r["text"] for r in records if r["event"] == "complaint").startswith("the reply contains no tool call")


def test_the_files_of_an_answer(folder: Path) -> None:
    assert Image.open(folder / "overlay.png").size == World().image.size
    coco = COCO(str(folder / "masks.json"))
    assert [annotation["bbox"] for annotation in coco.loadAnns(coco.getAnnIds())] == [
        [20, 40, 20, 60],
        [170, 90, 60, 30],
    ]
    assert (coco.annToMask(coco.anns[1]).astype(bool) == World().masks[0]).all()
    assert not list(folder.glob(".*"))


def test_a_question_runs_again_without_any_model(folder: Path, tmp_path: Path) -> None:
    records = read_trace(folder / "trace.jsonl")
    agent = Agent(RecordedSegmenter(records), ReplayBackend(records))
    answer = agent.ask(recorded_image(records, folder), records[0]["query"])
    assert answer.status == "answered" and [mask.id for mask in answer.masks] == [1, 4]
    assert (answer.masks[1].mask == World().masks[3]).all()


def test_a_failed_run_leaves_its_trace(tmp_path: Path) -> None:
    class Broken(World):
        def segment_phrases(self, phrases, threshold=None, frame=0):
            raise CheckpointError("out of memory")

    world = Broken()
    with pytest.raises(CheckpointError):
        Agent(world, ScriptedBackend([SEARCH])).ask(world.image, "q", out=tmp_path)
    assert [r["event"] for r in read_trace(tmp_path)] == ["start", "ask", "reply"]


def test_images_of_many_masks_get_short_names_of_their_own(tmp_path: Path) -> None:
    many = tuple(range(1, 60))
    images = [LazyImage(EvidenceKey(0, (*many, last), "numbered"), lambda: World().image) for last in (60, 61)]
    names = Trace(tmp_path).keep(images)
    assert len(set(names)) == 2 and all((tmp_path / name).is_file() and len(name) < 120 for name in names)


def test_a_second_image_with_the_same_key_is_kept_too(tmp_path: Path) -> None:
    """A tool may draw the same masks twice, differently: neither image may be lost."""
    key = EvidenceKey(3, (1,), "zoomed")
    red, blue = (LazyImage(key, lambda colour=colour: Image.new("RGB", (8, 8), colour)) for colour in ("red", "blue"))
    trace = Trace(tmp_path)
    assert trace.keep([red, blue, red]) == [
        "images/zoomed-1-f3.jpg", "images/zoomed-1-f3_2.jpg", "images/zoomed-1-f3.jpg",
    ]  # fmt: skip
    assert (tmp_path / "images/zoomed-1-f3_2.jpg").read_bytes() == blue.data


def test_traces_without_a_version_still_replay(folder: Path) -> None:
    """Version 0 called the image a picture and had one mask per object."""
    old = [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]
    for record in old:
        if record["event"] == "start":
            record["picture"] = record.pop("image")
            del record["version"]
        for mask in record.get("masks", ()) if record["event"] == "tool" else ():
            mask["rle"] = mask.pop("frames")["0"]
    (folder / "trace.jsonl").write_text("".join(json.dumps(record) + "\n" for record in old))
    records = read_trace(folder)
    answer = Agent(RecordedSegmenter(records), ReplayBackend(records)).ask(recorded_image(records, folder), "q")
    assert [mask.id for mask in answer.masks] == [1, 4]


def test_a_trace_of_a_newer_version_is_refused(folder: Path) -> None:
    start, *rest = (folder / "trace.jsonl").read_text().splitlines()
    (folder / "trace.jsonl").write_text("\n".join([start.replace('"version": 1', '"version": 2'), *rest]))
    with pytest.raises(InputError, match="version 2; this sam3agent reads up to 1"):
        read_trace(folder)


def test_replay_counts_steps_as_ask_does(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_replay(folder, rerun=False, out=folder / "again", as_json=False, verbose=False)
    shown = capsys.readouterr().out
    run_replay(folder, rerun=True, out=folder / "rerun", as_json=False, verbose=False)
    steps = read_trace(folder)[-1]["steps"]
    assert steps == 6 and f"{steps} steps, " in shown and f"{steps} steps, " in capsys.readouterr().out


def test_a_last_line_that_was_cut_off_is_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, trace = read_trace(folder), folder / "trace.jsonl"
    data = trace.read_bytes()
    trace.write_bytes(data[:-20])
    assert read_trace(folder) == whole[:-1]
    run_replay(trace, rerun=False, out=folder / "again", as_json=False, verbose=False)
    assert "no final answer; best so far: 3 masks: the trace is incomplete" in capsys.readouterr().out
    run_replay(trace, rerun=True, out=folder / "rerun", as_json=True, verbose=False)
    assert [mask["id"] for mask in json.loads(capsys.readouterr().out)["masks"]] == [1, 4]


def test_the_cut_is_told_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_trace(folder)
    assert not caplog.records
    with (folder / "trace.jsonl").open("ab") as file:
        file.write(b'{"t": 9, "eve')
    read_trace(folder)
    assert "skipped the incomplete last line of" in caplog.text


def test_a_broken_line_in_the_middle_is_named(folder: Path) -> None:
    lines = (folder / "trace.jsonl").read_text().splitlines()
    (folder / "trace.jsonl").write_text("\n".join([*lines[:2], lines[2][:30], *lines[3:]]))
    with pytest.raises(InputError, match="line 3 is not a record"):
        read_trace(folder)


@pytest.mark.parametrize("text", ["", "no json", json.dumps({"event": "end"}), "[]"])
def test_what_is_no_trace_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "trace.jsonl").write_text(text)
    with pytest.raises(InputError, match="not a trace"):
        read_trace(tmp_path)
    with pytest.raises(InputError, match="there is no file"):
        read_trace(tmp_path / "nothing.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("name", ["trace.jsonl", "image.png", "images"])
def test_a_full_disk_never_costs_the_answer(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What the trace had written is deleted, which makes room for the answer."""
    if name == "images":
        (tmp_path / name).write_text("in the way of the folder")
    else:
        (tmp_path / name).symlink_to("/dev/full")
    judge = {2: '{"verdict": "reject"}', None: ACCEPT[None]}
    answer = Agent(World(), Seeing(SCRIPT, judge)).ask(World().image, "a player and a car", out=tmp_path)
    assert [mask.id for mask in answer.masks] == [1, 4] and answer.status == "answered"
    assert answer.trace_path is None and answer.overlay_path and answer.overlay_path.is_file()
    assert {path.name for path in tmp_path.iterdir()} - {"images"} == {"masks.json", "overlay.png"}
    assert caplog.text.count("no trace of this question is kept") == 1


def test_an_answer_whose_files_cannot_be_written_is_returned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "masks.json").mkdir()
    judge = {2: '{"verdict": "reject"}', None: ACCEPT[None]}
    answer = Agent(World(), ScriptedBackend(SCRIPT, judge)).ask(World().image, "q", out=tmp_path)
    assert [mask.id for mask in answer.masks] == [1, 4] and answer.masks_path is None
    assert "the files of the answer are not kept" in caplog.text
    assert not list(tmp_path.glob(".*"))


def test_a_trace_that_cannot_be_opened_is_not_deleted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "trace.jsonl").symlink_to("trace.jsonl")
    trace = Trace(tmp_path)
    assert trace.path is None
    assert (tmp_path / "trace.jsonl").is_symlink()
    assert "no trace of this question is kept" in caplog.text

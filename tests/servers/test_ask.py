"""`ask` over MCP: one call for a whole question, over what the other tools have encoded already."""

import asyncio
import json
from contextlib import AbstractContextManager
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp.types import CallToolResult

from sam3agent.api import Agent
from sam3agent.mllm.base import MLLMReply, MLLMRequest
from sam3agent.mllm.errors import MLLMUnreachableError
from sam3agent.rules import RulesBackend
from sam3agent.servers.mcp_replies import ToolReply, ask_reply
from sam3agent.testing import ScriptedBackend, call
from sam3model.files import replacing
from tests.drawn_match import drawing, segmenter
from tests.servers.desk import Desk, data, images, text

WHITE = [call("segment_phrase", phrases=["player in white"]), call("select_masks", ids=[1], reason="furthest left")]


def test_an_answer_has_handles_files_and_a_image(tmp_path: Path) -> None:
    desk = Desk(tmp_path, WHITE)
    result = desk.call("ask", question="leftmost player in white")
    answer = data(result)
    assert (answer["status"], answer["reason"]) == ("answered", "furthest left")
    assert [(mask["id"], mask["box"], mask["area"]) for mask in answer["masks"]] == [(1, [8, 20, 20, 50], 360)]
    assert 0.5 < answer["confidence"] < 1, "the client can tell a sure answer from a guess"
    assert answer["mllm_calls"] >= 2 and answer["backend"] == "scripted" and answer["weights"] == "scripted"
    assert json.loads(Path(answer["masks_file"]).read_text())["annotations"][0]["bbox"] == [8, 20, 12, 30]
    assert Path(answer["overlay_file"]).is_file() and Path(answer["trace"]).is_file()
    assert [image.size for image in images(result)] == [(96, 64)]
    assert "mask 1" in text(result) and "scripted" in text(result)


@pytest.mark.parametrize("question", ["leftmost player in white", "the dog"])
def test_a_reply_says_all_that_the_command_prints(question: str) -> None:
    """An answer has its fields once more as JSON and over MCP; none is forgotten in one of them."""
    answer = Agent(segmenter()).ask(drawing(), question)
    printed, reply = answer.to_json(), ask_reply("match.png", answer).data.model_dump(mode="json")
    named = {"query": "question", "overlay": "overlay_file"}
    only_printed, only_in_replies = {"image", "tokens"}, {"masks_file", *ToolReply.model_fields}
    same = {name: named.get(name, name) for name in printed if name not in {*only_printed, "masks"}}
    assert {name: reply[other] for name, other in same.items()} == {name: printed[name] for name in same}
    unsaid = {*reply} - {*same.values(), "masks"} - only_in_replies
    assert unsaid == ({"searched", "best_rejected"} if answer.absence is None else set())
    assert [{"rle", *mask} for mask in reply["masks"]] == [{"phrase", "frame", *mask} for mask in printed["masks"]]


def test_files_are_written_once_with_the_ids_of_the_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def counting(path: Path) -> AbstractContextManager[Path]:
        written.append(path.name)
        return replacing(path)

    monkeypatch.setattr("sam3agent.answer.replacing", counting)
    data(Desk(tmp_path, WHITE).call("ask", question="leftmost player in white"))
    assert written == ["overlay.png"]


def test_an_output_folder_that_cannot_be_written_does_not_cost_the_answer(tmp_path: Path) -> None:
    desk = Desk(tmp_path, WHITE)
    (tmp_path / "out").write_text("in the way of the folder")
    answer = data(desk.call("ask", question="leftmost player in white"))
    assert answer["status"] == "answered" and answer["masks_file"] is None
    assert "the files of the answer are not kept" in answer["warnings"][-1]


def test_an_image_with_a_long_name_has_files(tmp_path: Path) -> None:
    """A name takes 255 bytes on most disks; those of the folders are longer than the name of the image."""
    desk, image = Desk(tmp_path, WHITE), f"{'é' * 120}.png"
    (tmp_path / "match.png").rename(tmp_path / image)
    question = "leftmost player in white, " + "who is on the far left of the field, " * 3
    answer, chosen = desk.calls(
        ("ask", {"image": image, "question": question}), ("select_masks", {"image": image, "ids": [1]})
    )
    assert Path(data(answer)["masks_file"]).is_file() and Path(data(chosen)["masks_file"]).is_file()


def test_progress_is_told_while_it_works(tmp_path: Path) -> None:
    desk = Desk(tmp_path, WHITE)
    desk.call("ask", question="leftmost player in white")
    assert any("searching for 'player in white'" in line for line in desk.lines)
    assert len(desk.lines) > 1


def test_no_match_is_an_answer_not_an_error(tmp_path: Path) -> None:
    script = [call("segment_phrase", phrases=["dog"]), *[call("report_no_match", reason="there is no dog")] * 2]
    result = Desk(tmp_path, script).call("ask", question="the dog")
    assert data(result)["status"] == "no_match" and data(result)["masks"] == []
    assert "No match" in text(result) and images(result) == []


def test_ids_of_answers_and_searches_are_of_one_kind(tmp_path: Path) -> None:
    desk = Desk(tmp_path, WHITE)
    red, answer, chosen = desk.calls(
        ("segment_phrase", {"image": "match.png", "phrases": ["player in red"]}),
        ("ask", {"image": "match.png", "question": "leftmost player in white"}),
        ("select_masks", {"image": "match.png", "ids": [1, 2]}),
    )
    assert [mask["id"] for mask in data(red)["searches"][0]["masks"]] == [1]
    assert [mask["id"] for mask in data(answer)["masks"]] == [2]
    assert [mask["box"] for mask in data(chosen)["masks"]] == [[34, 22, 46, 50], [8, 20, 20, 50]]
    assert desk.segmenter.opened == 1


def test_without_an_mllm_the_rules_answer_and_say_so(tmp_path: Path) -> None:
    result = Desk(tmp_path, backend=RulesBackend()).call("ask", question="leftmost player in white")
    assert [mask["box"] for mask in data(result)["masks"]] == [[8, 20, 20, 50]]
    assert "decided by rules" in text(result)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"question": "  "}, "the question is empty"),
        ({"question": "x", "image": "none.png"}, "there is no file"),
        ({"question": "x", "image": "/etc/passwd"}, "--root"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(tmp_path: Path, arguments: dict[str, str], says: str) -> None:
    said = Desk(tmp_path, WHITE).refusal("ask", **arguments)
    assert says in said and "\n" not in said


def test_a_server_that_is_away_is_an_error_that_says_so(tmp_path: Path) -> None:
    away = MLLMUnreachableError("No MLLM server answers at http://here; start one there.")
    assert "No MLLM server answers" in Desk(tmp_path, [away]).refusal("ask", question="the ball")


class Pondering(ScriptedBackend):
    """Never comes to a decision; knows whether it was asked, and told to stop."""

    def __init__(self) -> None:
        super().__init__([])
        self.asked, self.stopped = asyncio.Event(), False

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        self.asked.set()
        try:
            await asyncio.sleep(60)
        finally:
            self.stopped = True
        return MLLMReply()


def test_a_question_on_one_image_does_not_hold_up_another(tmp_path: Path) -> None:
    backend = Pondering()
    desk = Desk(tmp_path, backend=backend)
    drawing().save(tmp_path / "other.png")

    async def search_meanwhile() -> CallToolResult:
        async with Client(desk.server) as client, anyio.create_task_group() as asking:
            asking.start_soon(client.call_tool, "ask", {"image": "match.png", "question": "the ball"})
            await backend.asked.wait()
            with anyio.fail_after(20):
                found = await client.call_tool("segment_phrase", {"image": "other.png", "phrases": ["player in red"]})
            asking.cancel_scope.cancel()
        return found

    assert data(asyncio.run(search_meanwhile()))["searches"][0]["masks"]


def test_a_question_that_is_cancelled_stops_and_frees_the_image(tmp_path: Path) -> None:
    backend = Pondering()
    desk = Desk(tmp_path, backend=backend)

    async def leave_then_search() -> CallToolResult:
        async with Client(desk.server) as client, anyio.create_task_group() as asking:
            asking.start_soon(client.call_tool, "ask", {"image": "match.png", "question": "the ball"})
            await backend.asked.wait()
            asking.cancel_scope.cancel()
            with anyio.CancelScope(shield=True), anyio.fail_after(20):
                return await client.call_tool("segment_phrase", {"image": "match.png", "phrases": ["player in red"]})

    assert data(asyncio.run(leave_then_search()))["searches"][0]["masks"]
    assert backend.stopped

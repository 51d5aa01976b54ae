"""Questions: their steps while they run, what they leave on the sheet, stopping, and a studio that ends in between."""

from pathlib import Path

from sam3agent.agent.policy import EVERY_CANDIDATE
from sam3agent.api import Agent
from sam3agent.mllm.base import MLLM, MLLMReply, MLLMRequest
from sam3agent.testing import ScriptedBackend, ScriptedTracker, call
from tests.studio.studio_desk import PATHS, PathSegmenter, StudioClient, counts, studio, until


def test_a_question_shows_what_was_searched_judged_and_answered(desk: StudioClient) -> None:
    desk.post("ask", question="leftmost player")
    question = desk.answered()
    assert question["status"] == "answered"
    kinds = [step["kind"] for step in question["steps"]]
    assert kinds[0] == "tool" and kinds.count("finding") == 2 and kinds[-1] == "end"
    search = question["steps"][0]
    assert search["searches"] == [{"phrase": "player", "ids": [1, 2]}]
    assert search["masks"][0]["frame"] == 0 and search["masks"][0]["rle"]["counts"]
    view = desk.look()
    assert counts(view) == [("player", True), ("player", False)]
    assert "leftmost" in view["objects"][0]["why"]
    assert "not part of the answer to “leftmost player”" in view["objects"][1]["why"]
    assert counts(desk.post("undo")) == []


def test_the_verdict_is_the_reason_of_a_rejected_mask(folder: Path, tmp_path: Path) -> None:
    backend = ScriptedBackend(
        [call("segment_phrase", phrases=["player"]), call("select_masks", ids=[1], reason="stands on the left")],
        judge={1: '{"verdict": "accept", "reason": "yes"}', 2: '{"verdict": "reject", "reason": "wears black"}'},
    )
    with studio(
        folder,
        tmp_path / "out",
        Agent(PathSegmenter(), backend, tracker=ScriptedTracker(PATHS), policy=EVERY_CANDIDATE),
    ) as desk:
        desk.post("ask", question="the keeper")
        assert desk.answered()["status"] == "answered"
        first, second = desk.look()["objects"]
        assert first["kept"] and "stands on the left" in first["why"]
        assert not second["kept"] and "wears black" in second["why"]


def test_a_question_that_is_not_understood_leaves_the_sheet_alone(desk: StudioClient) -> None:
    desk.post("ask", question="zzz qqq of the xxx behind which?")
    assert desk.answered()["status"] in ("not_understood", "no_match")
    assert desk.look()["version"] == 0


class SilentBackend(MLLM):
    """Never replies."""

    name = "silent"

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        import asyncio

        await asyncio.sleep(3600)
        raise AssertionError


def test_a_running_question_can_be_stopped_and_blocks_only_questions(folder: Path, tmp_path: Path) -> None:
    with studio(
        folder, tmp_path / "out", Agent(PathSegmenter(), SilentBackend(), tracker=ScriptedTracker(PATHS))
    ) as desk:
        desk.post("ask", question="leftmost player")
        assert "still running" in desk.refusal("ask", question="another")
        assert counts(desk.post("click", click=[6, 22, 1])) == [("object", True)]
        desk.post("stop")
        assert desk.answered()["status"] == "stopped"
        desk.post("ask", question="another")
        desk.post("stop")


def test_a_question_that_a_kill_interrupted_says_so(folder: Path, tmp_path: Path) -> None:
    with studio(folder, tmp_path / "out") as first:
        first.desks.engine.store.add_question(first.items["one.png"], "leftmost player")
    with studio(folder, tmp_path / "out") as second:
        (question,) = second.get(f"items/{second.items['one.png']}/questions")
        assert question["status"] == "interrupted"


def test_news_reach_every_page(desk: StudioClient) -> None:
    """Two pages listen; a change of one is told to both, and what the agent does as well."""
    import asyncio
    import json

    heard: list[list[dict]] = [[], []]

    async def listen(into: list[dict]) -> None:
        async for text in desk.desks.hub.listen():
            into.append(json.loads(text))

    async def both() -> None:
        tasks = [asyncio.create_task(listen(one)) for one in heard]
        await asyncio.sleep(0.05)
        await asyncio.to_thread(desk.post, "find", phrases=["player"])
        await asyncio.to_thread(desk.post, "ask", question="leftmost player")
        await asyncio.to_thread(desk.answered)
        await asyncio.to_thread(
            until, lambda: any(n["kind"] == "question" and n["question"]["status"] != "running" for n in heard[1])
        )
        for task in tasks:
            task.cancel()

    asyncio.run(both())
    assert heard[0] == heard[1]
    kinds = [news["kind"] for news in heard[0]]
    assert kinds[:2] == ["hello", "sheet"] and {"question", "status"} <= set(kinds)

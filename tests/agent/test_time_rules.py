"""Rules over time, stated by a model and computed from masklets."""

from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from evals.clip_questions.true_clips import RenderedClip, TrueClips, TrueTracker
from sam3agent import Agent
from sam3agent.agent.policy import Policy
from sam3agent.masks import Mask, Masklet
from sam3agent.mllm.base import MLLMReply, MLLMRequest
from sam3agent.pool import MaskPool
from sam3agent.testing import ScriptedBackend, call
from sam3agent.tools.registry import ToolUseError, all_tools
from sam3agent.workbench import Workbench
from sam3model.playground import clip as planned_clip
from sam3model.playground import clip_questions
from tests.agent.drifting_blocks import clip, tracker, workbench
from tests.agent.measured_tracks import measured

ALL = list(range(1, 12))


@lru_cache(maxsize=1)
def tracked() -> Workbench:
    return measured(workbench(), ALL)


def kept(*keep: Any, ids: list[int] = ALL) -> list[int]:
    found = all_tools()["select_masks"].call(tracked(), {"ids": ids, "keep": list(keep)})
    return [mask["id"] for mask in found.data["masks"]]


@pytest.mark.parametrize(
    ("keep", "ids"),
    [
        ({"rule": "leaves"}, [1, 2]),
        ({"rule": "leaves", "position": 1}, [1]),
        ({"rule": "leaves", "position": -1}, [2]),
        ({"rule": "leaves", "position": "last"}, [2]),
        ({"rule": "leaves", "count": 2}, [1, 2]),
        ({"rule": "leaves", "position": -1, "count": 2}, [1, 2]),
        ({"rule": "leaves", "position": -2, "count": 2}, [1, 2]),
        ({"rule": "leaves", "position": -3}, []),
        ({"rule": "leaves", "side": "left"}, []),
        ("first to leaves", [1]),
        ({"rule": "leaves", "after": 12}, [2]),
        ({"rule": "leaves", "before": {"mask": 2, "does": "leaves"}}, [1]),
        ({"rule": "leaves", "before": "mask 2 leaves"}, [1]),
        ({"rule": "leaves", "before": {"mask": 5, "does": "stops"}}, []),
        ({"rule": "enters"}, [10, 11]),
        ({"rule": "enters", "side": "left"}, [11]),
        ({"rule": "enters", "position": 1}, [10]),
        ({"rule": "appears"}, [10, 11]),
        ({"rule": "disappears", "position": 1}, [1]),
        ({"rule": "stops"}, [3]),
        ({"rule": "starts"}, [4]),
        ({"rule": "turns"}, [6]),
        ({"rule": "stays"}, [5]),
        ({"rule": "moves", "drop": True}, [5]),
        ({"rule": "moves_left"}, [10]),
        ({"rule": "moves_up"}, [7]),
        ({"rule": "moves_down"}, []),
        ({"rule": "always_seen"}, [3, 4, 5, 6, 7, 8, 9]),
        ({"rule": "fastest", "count": 2}, [8, 10]),
        ({"rule": "fastest", "position": -1, "count": 2}, [5, 7]),
        ({"rule": "slowest"}, [5]),
        ({"rule": "slowest", "position": 2}, [7]),
        ({"rule": "longest_way"}, [8]),
        ({"rule": "shortest_seen"}, [1]),
        ({"rule": "overtakes", "of": [9]}, [8]),
        ({"rule": "comes_nearest", "of": [11]}, [10]),
        ({"rule": "visible", "at": "end", "drop": True}, [1, 2]),
        ({"rule": "visible", "at": -1, "drop": True}, [1, 2]),
        ({"rule": "leftmost", "at": 0}, [8]),
        ({"rule": "leftmost", "at": "end"}, [6]),
        ({"rule": "rightmost", "at": 20}, [8]),
        ({"rule": "nearest", "of": [6], "at": 29}, [4]),
        ({"rule": "left_half", "at": 29}, [3, 4, 5, 6, 7, 10, 11]),
    ],
)
def test_a_rule_keeps_those_that_it_names(keep: Any, ids: list[int]) -> None:
    assert kept(keep) == ids


def test_rules_are_applied_in_turn() -> None:
    assert kept("leaves", "slowest") == [2]
    assert kept({"rule": "fastest", "drop": True}, "fastest", ids=[1, 2, 5]) == [2]


def test_an_answer_says_which_frames_show_it_and_an_empty_one_which_rule_left_nothing() -> None:
    found = all_tools()["select_masks"].call(tracked(), {"ids": ALL, "keep": [{"rule": "leaves", "position": -1}]})
    assert found.text == "selected mask 2 (mask 2: leaves, last (frames 16 to 18))"
    assert found.data["proof"] == "mask 2: leaves, last (frames 16 to 18)"
    found = all_tools()["select_masks"].call(tracked(), {"ids": [1, 5], "keep": ["leaves", "stops"]})
    assert found.text == 'the rules in keep leave no mask: the rule "stops" holds for none of mask 1'


@pytest.mark.parametrize(
    ("keep", "says"),
    [
        ({"rule": "touches"}, '"touches" needs the ids of masks in `of`: those that it compares with'),
        ({"rule": "touches", "of": [77]}, "there is no mask 77"),
        ({"rule": "leaves", "before": {"mask": 77, "does": "stops"}}, "there is no mask 77"),
        ({"rule": "leaves", "before": {"mask": 3}}, "need the id of a mask and what it does, or a frame"),
        ({"rule": "leaves", "before": {"mask": 3, "does": "stops", "frame": 4}}, "what it does, or a frame"),
        ({"rule": "leaves", "before": {"frame": 30}}, "no frame 30 to be before or after: its frames are 0 to 29"),
        ({"rule": "leaves", "at": 3}, "use `before` or `after`"),
        ({"rule": "leftmost", "at": 30}, "no frame 30: its frames are 0 to 29"),
        ({"rule": "fastest", "before": 3}, '"fastest" is at no moment'),
        ({"rule": "stops", "side": "left"}, 'no `side`: only enters, leaves, returns have'),
        ({"rule": "vanishes"}, "keep.0.rule"),
    ],
)  # fmt: skip
def test_mistakes_are_answered_with_a_sentence(keep: Any, says: str) -> None:
    with pytest.raises(ToolUseError) as told:
        kept(keep)
    assert says in str(told.value)


def test_what_is_on_one_frame_only_must_be_tracked_first() -> None:
    work = tracked()
    single = work.pool.candidates[0]
    masklet = single.masklet.between(0, 1)
    assert masklet is not None
    pool, _ = MaskPool().add("block", [(masklet, 0.9)])
    with pytest.raises(ToolUseError, match="all that is known of mask 1 is one frame: call track first"):
        all_tools()["select_masks"].call(work.with_pool(pool), {"ids": [1], "keep": ["leaves"]})


def test_one_mask_that_was_not_tracked_is_not_compared_with_those_that_were() -> None:
    work = tracked()
    elsewhere = Mask.from_full(np.pad(np.ones((16, 16), bool), ((250, 6), (300, 4))))
    assert elsewhere is not None
    pool, (untracked,) = work.pool.add("another", [(Masklet.of(elsewhere), 0.9)])
    with pytest.raises(ToolUseError, match=f"all that is known of mask {untracked} is one frame"):
        all_tools()["select_masks"].call(work.with_pool(pool), {"ids": [2, untracked], "keep": ["shortest_seen"]})


@pytest.mark.parametrize("every", [True, False])
def test_a_model_states_a_rule_and_the_loop_keeps_to_it(every: bool) -> None:
    last = {"rule": "leaves", "position": -1}
    lines = [
        call("track", phrases=["block"], plan=[last]),
        call("select_masks", what="block", ids=ALL, keep=[last], reason="it is the last to go"),
    ]
    backend = ScriptedBackend(lines, {None: '{"verdict": "accept"}'})
    answer = Agent(workbench_segmenter(), backend, tracker=tracker(), policy=Policy(every=every)).ask(
        clip(), "the block that leaves last"
    )
    assert [mask.id for mask in answer.masks] == [2]
    assert answer.reason == "it is the last to go (mask 2: leaves, last (frames 16 to 18))"


def workbench_segmenter() -> Any:
    from sam3agent.testing import ScriptedSegmenter

    return ScriptedSegmenter({})


@pytest.mark.parametrize(
    ("number", "phrases", "keep", "question"),
    [
        (5, ["pink truck"], ["leaves"], "the pink truck that leaves the picture"),
        (5, ["pink truck"], [{"rule": "leaves", "drop": True}], "the pink truck that never leaves the picture"),
        (5, ["pink truck"], ["fastest"], "the pink truck that moves fastest"),
        (5, ["green cactus", "pink bird"], ["comes_nearest"], "the green cactus that gets closest to the pink bird"),
        (5, ["green cactus"], [{"rule": "rightmost", "at": 0}], "the rightmost green cactus at the start"),
        (10, ["purple truck", "yellow truck"], ["passes_in_front_of"],
         "the purple truck that passes in front of the yellow truck"),
        (10, ["truck"], [{"rule": "stops", "drop": True}], "the truck that does not stop"),
        (10, ["truck"], ["moves_right"], "the truck that moves to the right"),
        (10, ["truck"], [{"rule": "leftmost", "at": 0}, {"rule": "visible", "at": -1}],
         "the truck in the picture in the last frame that was leftmost at the beginning"),
        (43, ["ball"], ["enters"], "the ball that enters"),
        (43, ["ball"], ["longest_seen"], "the ball that can be seen for the longest time"),
        (43, ["mug", "orange ball"], [{"rule": "nearest", "at": 0}], "the mug closest to the orange ball at the start"),
        (33, ["truck"], ["slowest"], "the truck that is the slowest"),
        (33, ["red truck"], ["moves_left"], "all red trucks that move to the left"),
        (55, ["player", "ball"], ["touches"], "the player who plays the ball"),
        (39, ["purple bicycle", "dog"], ["passes_behind"], "the purple bicycle that passes behind the dog"),
    ],
)  # fmt: skip
def test_rules_answer_questions_about_drawn_clips(
    number: int, phrases: list[str], keep: list[Any], question: str
) -> None:
    rendered, clips, wanted = drawn(number)
    members, *anchors = phrases

    def choose(request: MLLMRequest) -> MLLMReply:
        pool = request.bench.pool
        of = [c.id for phrase in anchors for c in pool.found_by(phrase)]
        rules = [{**({"rule": rule} if isinstance(rule, str) else rule), **({"of": of} if of else {})} for rule in keep]
        return call("select_masks", what=members, ids=[c.id for c in pool.found_by(members)], keep=rules)

    backend = ScriptedBackend([call("track", phrases=phrases), choose], {None: '{"verdict": "accept"}'})
    answer = Agent(clips, backend, tracker=TrueTracker(clips)).ask(rendered.media(), question)
    chosen = [{t: rle["counts"] for t, rle in mask.masklet.to_json().items()} for mask in answer.masks]
    own = [{str(t): rle["counts"] for t, rle in enumerate(masks) if rle} for masks in rendered.masks]
    assert {i for i, masks in enumerate(own) if masks in chosen} == set(wanted[question])


@lru_cache(maxsize=8)
def drawn(number: int) -> tuple[RenderedClip, TrueClips, dict[str, tuple[int, ...]]]:
    """A drawn clip, its true masks, and the objects that answer its questions."""
    planned, clips = planned_clip("val", number, frames=24), TrueClips()
    rendered = RenderedClip.of(planned)
    clips.add(rendered)
    return rendered, clips, {question.text: question.ids for question in clip_questions(planned)}

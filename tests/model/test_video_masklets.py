"""Rules over several frames: hotstart and confirmation, against the reference numbers."""

import pytest

from sam3model.config import VideoConfig
from sam3model.video.confirmation import ConfirmationState, confirmation_step
from sam3model.video.hotstart import HotstartState, HotstartStep, hotstart_step
from tests.model.video_logic_goldens import CASES, indices, with_int_keys


def hotstart_config(params: dict) -> VideoConfig:
    return VideoConfig(
        hotstart_delay=params["hotstart_delay"],
        hotstart_unmatched=params["hotstart_unmatch_thresh"],
        hotstart_duplicate=params["hotstart_dup_thresh"],
        suppress_unmatched_only_within_hotstart=params["suppress_unmatched_only_within_hotstart"],
        keep_alive_initial=params["init_trk_keep_alive"],
        keep_alive_max=params["max_trk_keep_alive"],
        keep_alive_min=params["min_trk_keep_alive"],
        empty_lowers_keep_alive=params["decrease_trk_keep_alive_for_empty_masklets"],
    )


@pytest.mark.parametrize("case", indices("hotstart"))
def test_the_hotstart_removes_and_hides_the_same_objects_as_in_the_reference(case):
    golden = CASES["hotstart"][case]
    config, state = hotstart_config(golden["params"]), HotstartState()
    for frame in golden["frames"]:
        inputs, expected = frame["inputs"], frame["out"]
        step = hotstart_step(
            state,
            frame=inputs["frame_idx"],
            new_ids=inputs["new_det_obj_ids"],
            matched=with_int_keys(inputs["det_to_matched_trk_obj_ids"]),
            unmatched=inputs["unmatched_trk_obj_ids"],
            empty=inputs["empty_trk_obj_ids"],
            config=config,
            reverse=golden["reverse"],
        )
        state = step.state
        assert sorted(step.removed) == sorted(expected["newly_removed"])
        assert sorted(step.suppressed) == sorted(expected["suppressed"])
        alive = {i: n for i, n in with_int_keys(expected["trk_keep_alive"]).items() if i not in state.removed}
        assert dict(state.keep_alive) == alive
    final = golden["final"]
    assert sorted(state.removed) == sorted(final["removed"])
    births = with_int_keys(final["obj_first_frame_idx"])
    assert dict(state.first_frame) == {i: born for i, born in births.items() if i not in state.removed}
    misses = with_int_keys(final["unmatched_frame_inds"])
    assert dict(state.unmatched) == {i: len(frames) for i, frames in misses.items() if i not in state.removed}
    pairs = {(older, younger): len(frames) for older, younger, frames in final["overlap_pair_to_frame_inds"]}
    kept = {pair: count for pair, count in pairs.items() if not state.removed & set(pair)}
    assert dict(state.duplicates) == kept


def step(state: HotstartState, frame: int, config: VideoConfig, **given) -> HotstartStep:
    inputs = {"new_ids": (), "matched": {}, "unmatched": (), "empty": ()} | given
    return hotstart_step(state, frame=frame, config=config, **inputs)


def test_an_object_is_removed_at_the_last_unmatched_frame_within_the_delay():
    config = VideoConfig(hotstart_delay=4, hotstart_unmatched=3)
    state = step(HotstartState(), 0, config, new_ids=[1]).state
    for frame in (1, 2):
        state = step(state, frame, config, unmatched=[1]).state
    assert step(state, 3, config, unmatched=[1]).removed == (1,)
    assert step(state, 4, config, unmatched=[1]).removed == ()


def test_objects_given_by_a_user_are_never_removed_or_counted():
    config = VideoConfig(hotstart_unmatched=1, hotstart_duplicate=1)
    result = step(HotstartState(), 0, config, unmatched=[9], matched={0: [9, 8]}, empty=[7])
    assert result.removed == ()
    assert result.state == HotstartState()


def test_objects_that_are_forgotten_leave_nothing_behind():
    config = VideoConfig()
    state = step(HotstartState(), 0, config, new_ids=[1, 2]).state
    state = step(state, 1, config, matched={0: [1, 2]}, unmatched=[1]).state
    assert state.duplicates == {(1, 2): 1}
    assert state.without([1, 2]) == HotstartState()


def test_confirmation_counts_as_in_the_reference():
    golden = CASES["masklet_confirmation"]
    threshold = golden["params"]["masklet_confirmation_consecutive_det_thresh"]
    states = golden["params"]["status_values"]
    state = ConfirmationState()
    for frame in golden["frames"]:
        inputs, expected = frame["inputs"], frame["out"]
        ids = inputs["updated_obj_ids"]
        matched = {*inputs["matched_obj_ids"], *inputs["new_det_obj_ids"]}
        state = confirmation_step(state, ids, matched, threshold)
        assert [state.matched[i] for i in ids] == expected["consecutive_det_num"]
        waiting = state.unconfirmed(ids)
        status = [states["unconfirmed" if i in waiting else "confirmed"] for i in ids]
        assert status == expected["status"]

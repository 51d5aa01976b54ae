"""The state machine without a model: whatever is said, it ends in one of the ends, within its limits."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3agent import states as s
from sam3agent.agent.transitions import Limits, advance, best_ids
from sam3agent.pool import MaskPool, masklets
from sam3agent.segmenter import FoundInstances


def pool_of(count: int, phrase: str = "thing") -> MaskPool:
    masks = np.zeros((count, 20, 40), bool)
    for i in range(count):
        masks[i, 2:8, 3 * i : 3 * i + 2] = True
    return MaskPool().add(phrase, masklets(FoundInstances.of(masks, (40, 20), np.linspace(0.9, 0.8, count))))[0]


def searched(count: int) -> s.Searched:
    pool = pool_of(count)
    return s.Searched((s.Search("thing", pool.ids),), pool)


def test_the_usual_way() -> None:
    state = advance(s.Generate(s.Story("leftmost thing")), searched(3))
    assert isinstance(state, s.Verify) and state.pending == (1, 2, 3)
    state = advance(state, s.Examined((s.Finding(1, "accept", "a thing"), s.Finding(2, "reject", "a shadow"))))
    assert isinstance(state, s.Refine)
    assert state.story.pool.ids == (1, 3)
    assert state.story.rejected == (s.Finding(2, "reject", "a shadow"),)
    assert advance(state, s.Selected((1,), "it is the first")) == s.Answered(state.story, (1,), "it is the first")


def test_nothing_found_asks_for_other_phrases() -> None:
    state = advance(s.Generate(s.Story("q")), searched(0))
    assert isinstance(state, s.Generate) and state.story.used_phrases == ("thing",)
    assert isinstance(advance(state, s.NothingMatches("no")), s.NoMatch)


def test_ids_that_do_not_exist_are_told_back_with_those_that_do() -> None:
    refine = s.Refine(s.Story("q", pool=pool_of(2)))
    state = advance(refine, s.Selected((1, 7), ""))
    assert isinstance(state, s.Refine)
    assert state.story.complaint == "there is no mask 7; the masks are 1, 2"


def test_complaints_end_with_the_best_so_far() -> None:
    state: s.State = s.Refine(s.Story("q", pool=pool_of(2).judge(2, "accept", ""), latest=0))
    for _ in range(3):
        assert isinstance(state, s.Refine)
        state = advance(state, s.Complaint("nonsense"), Limits(complaints=2))
    assert isinstance(state, s.Exhausted) and state.ids == (2,)
    assert "nonsense" in state.reason


def test_a_good_reply_forgives_complaints() -> None:
    state = advance(s.Generate(s.Story("q", complaint="bad", complaints=2)), searched(1))
    assert state.story.complaints == 0 and state.story.complaint == ""


def test_the_best_so_far_without_verdicts_is_the_latest_search() -> None:
    pool, _ = pool_of(2).add("other", masklets(FoundInstances.of(np.ones((1, 20, 40), bool), (40, 20), [0.9])))
    story = s.Story("q", pool=pool, searches=(s.Search("thing", (1, 2)), s.Search("other", (3,))), latest=1)
    assert best_ids(story) == (3,)


def test_an_event_that_does_not_fit_is_told_why() -> None:
    generate, refine = s.Generate(s.Story("q")), s.Refine(s.Story("q", pool=pool_of(2)))
    verify = s.Verify(refine.story, (1,))
    complaints = {
        advance(state, event).story.complaint
        for state, event in [
            (generate, s.Selected((1,), "")),
            (verify, s.Selected((1,), "")),
            (refine, s.Examined(())),
            (refine, s.LookAgain((5,))),
        ]
    }
    assert complaints == {
        "there are no masks yet; search with segment_phrase",
        "masks are being examined; reply with the judgement of the mask shown",
        "no masks are being examined; call a tool",
        "there is no mask 5; the masks are 1, 2",
    }


ids = st.lists(st.integers(0, 9), max_size=4).map(tuple)
verdicts = st.sampled_from(["accept", "reject", "unsure"])
findings = st.lists(st.builds(s.Finding, st.integers(1, 6), verdicts, st.text(max_size=5)), max_size=5).map(tuple)
events = st.one_of(
    st.integers(0, 5).map(searched),
    st.builds(s.Examined, findings),
    st.builds(s.LookAgain, ids),
    st.builds(s.Observed, st.text(max_size=5)),
    st.builds(s.Selected, ids, st.text(max_size=5)),
    st.builds(s.NothingMatches, st.text(max_size=5)),
    st.builds(s.Complaint, st.text(max_size=5)),
    st.builds(s.OutOfBudget, st.text(max_size=5)),
)


@settings(deadline=None)
@given(st.lists(events, min_size=80, max_size=80))
def test_any_sequence_of_events_ends_within_the_limits(sequence: list[s.Event]) -> None:
    limits = Limits(complaints=2, rounds=6)
    state: s.State = s.Generate(s.Story("q"))
    for steps, event in enumerate(sequence):  # noqa: B007
        if not isinstance(state, s.ActiveState):
            break
        state = advance(state, event, limits)
        assert set(getattr(state, "ids", ())) <= set(state.story.pool.ids)
    assert isinstance(state, s.FinalState)
    # Every round allows a verdict and a few complaints before the next.
    assert steps <= (limits.rounds + 2) * 2 * (limits.complaints + 1)

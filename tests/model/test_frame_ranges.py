"""Sets of tracked frames, against plain dictionaries."""

from hypothesis import given
from hypothesis import strategies as st

from sam3model.tracker.frame_ranges import FrameRanges

STEPS = st.lists(st.tuples(st.sampled_from(["add", "back", "discard"]), st.integers(0, 12)), max_size=40)


@given(STEPS)
def test_ranges_say_what_a_dictionary_says(steps: list[tuple[str, int]]) -> None:
    ranges, plain = FrameRanges(), dict[int, bool]()
    for step, frame in steps:
        if step == "discard":
            ranges.discard(frame)
            plain.pop(frame, None)
        else:
            ranges.add(frame, step == "back")
            plain[frame] = step == "back"
        assert [ranges.direction(one) for one in range(-1, 14)] == [plain.get(one) for one in range(-1, 14)]
        assert len(ranges) == len(plain)
        assert [one for one in range(14) if one in ranges] == sorted(plain)
        ends = ranges.ends()
        assert ends == sorted(ends)
        for one, direction in plain.items():
            first, last = plain.get(one - 1) != direction, plain.get(one + 1) != direction
            assert (one in ends) == (first or last)


def test_a_run_of_frames_is_one_range() -> None:
    ranges = FrameRanges()
    for frame in range(1000):
        ranges.add(frame, reverse=False)
    assert ranges.ends() == [0, 999]


def test_a_copy_is_independent() -> None:
    ranges = FrameRanges()
    ranges.add(1, reverse=False)
    ranges.copy().add(2, reverse=False)
    assert len(ranges) == 1

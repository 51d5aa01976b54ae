"""Batches of clips: which clips each process gets at each step, also when a run is resumed between visits."""

from itertools import islice

import pytest
import torch

from sam3model.data.clip_batch import clip_stream, collate_clips
from tests.training.tiny_clips import batch_of, sliding_squares


def small(number: int):
    return sliding_squares(number, frames=1, objects=1 + number % 3, stride=16)


def taken(count: int, *, batch: int, start: int = 0, stride: int, visits: int) -> list[tuple[tuple[int, ...], int]]:
    """Numbers and visit of the first `count` batches."""
    stream = clip_stream(small, batch=batch, start=start, stride=stride, visits=visits)
    return [(clips.numbers, clips.visit) for clips in islice(stream, count)]


def test_every_batch_is_visited_in_a_row():
    assert taken(7, batch=2, stride=2, visits=3) == [
        ((0, 1), 0), ((0, 1), 1), ((0, 1), 2), ((2, 3), 0), ((2, 3), 1), ((2, 3), 2), ((4, 5), 0),
    ]  # fmt: skip


@pytest.mark.parametrize("visits", [1, 2, 3])
@pytest.mark.parametrize("done", range(7))
def test_a_stream_continues_between_visits(visits, done):
    whole = taken(10, batch=2, stride=2, visits=visits)
    assert taken(10 - done, batch=2, start=2 * done, stride=2, visits=visits) == whole[done:]


@pytest.mark.parametrize("visits", [1, 3])
@pytest.mark.parametrize("done", range(5))
def test_two_processes_take_the_clips_of_one(visits, done):
    alone = taken(6, batch=4, start=4 * done, stride=4, visits=visits)
    first, second = (taken(6, batch=2, start=4 * done + 2 * rank, stride=4, visits=visits) for rank in (0, 1))
    assert [(mine + other, visit) for (mine, visit), (other, _) in zip(first, second, strict=True)] == alone
    assert [visit for _, visit in first] == [visit for _, visit in second]


def test_workers_change_nothing():
    alone, helped = (
        list(islice(clip_stream(small, batch=2, start=2, stride=2, visits=2, workers=workers), 3)) for workers in (0, 1)
    )
    for mine, other in zip(alone, helped, strict=True):
        assert (mine.numbers, mine.visit) == (other.numbers, other.visit)
        assert torch.equal(mine.frames, other.frames) and torch.equal(mine.masks, other.masks)


def test_objects_stay_with_their_clips_in_batches_and_chunks():
    samples = [(number, small(number)) for number in (1, 2, 3)]
    batch = collate_clips(samples)
    assert batch.clip_index.tolist() == [0, 0, 1, 1, 1, 2]
    chunk = batch.clips(1, 3)
    assert (chunk.numbers, chunk.names) == ((2, 3), ("squares/2", "squares/3"))
    assert chunk.clip_index.tolist() == [0, 0, 0, 1]
    assert torch.equal(chunk.masks, torch.cat([sample.masks for _, sample in samples[1:]], dim=1))
    assert torch.equal(chunk.frames, torch.stack([sample.frames for _, sample in samples[1:]]))
    assert batch_of(1, 2).clips(0, 2).annotated.all()

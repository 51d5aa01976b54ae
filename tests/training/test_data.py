"""Queries, batches and the stream of training batches."""

import ctypes
import itertools
import os
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sam3model.data.dataset import CachedTokenizer, Sam3ImageDataset, batches, stream
from sam3model.data.playground_source import VISUAL, PlaygroundSource
from sam3model.data.queries import Sample, collate, split
from sam3model.errors import DataError
from sam3model.text import Tokenizer

TOKENIZE = CachedTokenizer(Tokenizer(16))


def flat(value):
    """All tensors of a batch in a fixed order."""
    if isinstance(value, Tensor):
        return [value]
    if hasattr(value, "__dataclass_fields__"):
        return [tensor for item in fields(value) for tensor in flat(getattr(value, item.name))]
    return []


def test_batches_do_not_depend_on_the_number_of_workers():
    dataset = Sam3ImageDataset(PlaygroundSource("train", seed=3, size=64, exemplars=0.5))
    runs = [
        list(itertools.islice(stream(dataset, TOKENIZE, batch=2, start=4, workers=workers), 4)) for workers in (0, 1, 2)
    ]
    for first, *others in zip(*runs, strict=True):
        for other in others:
            assert other.phrases == first.phrases
            assert all(torch.equal(a, b) for a, b in zip(flat(first), flat(other), strict=True))


class OwnMemory(Dataset):
    """Its samples are the pages of memory that the process which makes them has in use."""

    def __getitem__(self, index):
        return int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc on Linux")
def test_workers_do_not_keep_what_the_process_has_freed(monkeypatch):
    """The copies of a process that once used 200 MB more."""
    monkeypatch.setattr("sam3model.data.dataset.collate", lambda pages, tokenize: pages)
    small = OwnMemory()[0]
    pieces = [b"x" * (100_000 + length) for length in range(2000)]
    kept = pieces[-1]
    del pieces[:-1]
    assert kept, "what lies behind free memory keeps the heap from shrinking by itself"
    (used,) = next(stream(OwnMemory(), TOKENIZE, batch=1, workers=1))
    assert (used - small) * os.sysconf("SC_PAGE_SIZE") < 100e6


def test_there_are_positive_and_negative_queries_and_boxes_contain_their_masks():
    source = PlaygroundSource("train", size=128, phrases=6)
    queries = [query for index in range(12) for query in source(index).queries]
    assert 0.2 < sum(not len(query.boxes) for query in queries) / len(queries) < 0.7
    for query in queries:
        assert len(query.boxes) == len(query.masks)
        for box, mask in zip(query.boxes, query.masks, strict=True):
            y, x = mask.nonzero()
            centre = ((x.min() + x.max() + 1) / 256, (y.min() + y.max() + 1) / 256)
            assert centre == pytest.approx(box[:2], abs=0.02)


def test_exemplars_lie_on_instances_of_the_phrase():
    source = PlaygroundSource("train", size=128, exemplars=1.0)
    queries = [query for index in range(12) for query in source(index).queries]
    given = [query for query in queries if query.exemplars is not None]
    assert given
    assert all(len(query.boxes) for query in given)
    assert any(query.phrase == VISUAL for query in given)
    for query in given:
        assert abs(query.boxes[:, :2] - query.exemplars[:, :2]).sum(1).min() < 0.1


def test_the_number_of_prompts_with_masks_is_limited():
    plain, few = (PlaygroundSource("train", size=64, phrases=6, mask_phrases=count) for count in (None, 1))
    for index in range(6):
        whole, part = plain(index).queries, few(index).queries
        assert [query.phrase for query in whole] == [query.phrase for query in part]
        assert sum(query.masks.any() for query in part) <= 1


def test_an_image_without_a_query_is_refused():
    with pytest.raises(DataError, match="lonely has no query"):
        collate([Sample(torch.zeros(3, 8, 8), (), "lonely")], CachedTokenizer(Tokenizer()))


def test_chunks_of_a_batch_are_the_batches_of_their_images():
    dataset = Sam3ImageDataset(PlaygroundSource("train", size=64))
    (whole,) = batches(dataset, TOKENIZE, batch=4, images=4)
    for chunk, alone in zip(split(whole, 2), batches(dataset, TOKENIZE, batch=2, images=4), strict=True):
        assert chunk.phrases == alone.phrases
        assert torch.equal(chunk.pixels, alone.pixels)
        assert torch.equal(chunk.image_index, alone.image_index)
        assert all(torch.equal(a, b) for a, b in zip(flat(chunk.targets), flat(alone.targets), strict=True))

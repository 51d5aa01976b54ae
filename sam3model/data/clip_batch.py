"""Batches of clips: all objects of all clips as one batch, and an endless stream of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sam3model.data.clip_sample import ClipSample, ClipSource
from sam3model.data.dataset import Consecutive, quiet_worker, return_free_memory, unwrapped
from sam3model.structures import map_tensors


@dataclass(frozen=True, slots=True, eq=False)
class ClipBatch:
    """B clips of T frames with N objects in all.

    frames (B, T, 3, S, S); masks (T, N, H, W) bool; annotated (T, N) bool; clip_index (N,) the clip of each object;
    numbers: the sample number of each clip. visit: how often these clips were trained on before, in a row. stills:
    clips of one frame that are trained on in the same step.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    frames: Tensor
    masks: Tensor
    annotated: Tensor
    clip_index: Tensor
    visit: int = 0
    stills: "ClipBatch | None" = None

    def to(self, device: torch.device) -> "ClipBatch":
        """The same on another device."""
        return map_tensors(self, lambda part: part.to(device))

    def chunks(self, count: int) -> list["ClipBatch"]:
        """The batch in `count` chunks of equally many whole clips, and stills. `count` must divide both."""
        share = len(self.names) // count
        parts = [self.clips(start, start + share) for start in range(0, len(self.names), share)]
        stills = [None] * count if self.stills is None else self.stills.chunks(count)
        return [replace(part, stills=still) for part, still in zip(parts, stills, strict=True)]

    def clips(self, first: int, last: int) -> "ClipBatch":
        """Some of the clips, with their objects and without stills."""
        own = (self.clip_index >= first) & (self.clip_index < last)
        return ClipBatch(
            self.names[first:last], self.numbers[first:last], self.frames[first:last], self.masks[:, own],
            self.annotated[:, own], self.clip_index[own] - first, self.visit,
        )  # fmt: skip


def collate_clips(samples: Sequence[tuple[int, ClipSample]]) -> ClipBatch:
    """Numbered samples with equally many frames as one batch."""
    clips = [sample for _, sample in samples]
    counts = [sample.masks.shape[1] for sample in clips]
    return ClipBatch(
        names=tuple(sample.name for sample in clips),
        numbers=tuple(number for number, _ in samples),
        frames=torch.stack([sample.frames for sample in clips]),
        masks=torch.cat([sample.masks for sample in clips], dim=1),
        annotated=torch.cat([sample.annotated for sample in clips], dim=1),
        clip_index=torch.arange(len(clips)).repeat_interleave(torch.tensor(counts)),
    )


class NumberedClips(Dataset[tuple[int, ClipSample]]):
    """Samples of a source with their numbers. All randomness depends on the number alone, never on the worker."""

    def __init__(self, source: ClipSource) -> None:
        self.source = source

    def __getitem__(self, number: int) -> tuple[int, ClipSample]:
        return number, self.source(number)


def clip_stream(
    source: ClipSource,
    *,
    batch: int,
    start: int,
    stride: int,
    visits: int = 1,
    workers: int = 0,
    prefetch: int = 4,
) -> Iterator[ClipBatch]:
    """Endless batches; workers make the next ones while the caller computes.

    Args:
        source: makes the samples.
        batch: clips in a batch.
        start: number of the first sample trained on; each visit of a clip counts as one.
        stride: distance between consecutive batches; other processes take the clips between.
        visits: how often each batch is trained on, in a row.
    """
    done, place = divmod(start, stride)
    first, visited = divmod(done, visits)
    loader = DataLoader(
        NumberedClips(source),
        batch_sampler=Consecutive(first * stride + place, batch, stride),
        collate_fn=collate_clips,
        num_workers=workers,
        prefetch_factor=prefetch if workers else None,
        worker_init_fn=quiet_worker,
        generator=torch.Generator(),
    )
    if workers:
        return_free_memory()
    for clips in unwrapped(iter(loader)):
        for visit in range(visited, visits):
            yield replace(clips, visit=visit)
        visited = 0

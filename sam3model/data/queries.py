"""Queries on training images, and the batches made from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sam3model.errors import ConfigError, DataError
from sam3model.structures import GeometryPrompt, map_tensors
from sam3model.targets import Targets

Tokenize = Callable[[list[str]], Tensor]


@dataclass(frozen=True, slots=True)
class FindQuery:
    """One prompt on one image, with its ground truth.

    boxes (n, 4) float32 normalised cxcywh and masks (n, H, W) bool of all instances; both are empty for a negative
    prompt. An empty mask is unknown, or not trained on.
    exhaustive: every instance is annotated. pixel_exhaustive: the masks together cover every matching pixel, even if
    they do not separate the instances; None: same as `exhaustive`. It does not hold if any mask is unknown.
    exemplars (m, 4) normalised cxcywh: positive boxes given as a prompt.
    """

    phrase: str
    boxes: np.ndarray
    masks: np.ndarray
    exhaustive: bool = True
    pixel_exhaustive: bool | None = None
    exemplars: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """An image (3, S, S) float32 as the model takes it, its queries, and a name for messages."""

    pixels: Tensor
    queries: tuple[FindQuery, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Batch:
    """B images (B, 3, S, S) with P prompts: ids (P, T), image_index (P,); geometry is None without exemplars."""

    pixels: Tensor
    ids: Tensor
    image_index: Tensor
    geometry: GeometryPrompt | None
    targets: Targets
    names: tuple[str, ...]
    phrases: tuple[str, ...]

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return replace(
            self,
            pixels=self.pixels.to(device, non_blocking=True),
            ids=self.ids.to(device),
            image_index=self.image_index.to(device),
            geometry=self.geometry and self.geometry.to(device),
            targets=self.targets.to(device, non_blocking=True),
        )


def collate(samples: Sequence[Sample], tokenize: Tokenize) -> Batch:
    """Batch samples; the prompts are in image order. Raises `DataError` if a sample has no query."""
    for sample in samples:
        if not sample.queries:
            raise DataError(f"{sample.name} has no query: give every training image at least one phrase")
    queries = [query for sample in samples for query in sample.queries]
    counts = torch.tensor([len(sample.queries) for sample in samples])
    phrases = tuple(query.phrase for query in queries)
    return Batch(
        pixels=torch.stack([sample.pixels for sample in samples]),
        ids=tokenize(list(phrases)),
        image_index=torch.repeat_interleave(torch.arange(len(samples)), counts),
        geometry=_geometry(queries),
        targets=_targets(queries),
        names=tuple(sample.name for sample in samples),
        phrases=phrases,
    )


def split(batch: Batch, chunks: int) -> list[Batch]:
    """Split a batch into `chunks` with the same number of images each, for gradient accumulation.

    Raises:
        ConfigError: the number of images is not divisible.
    """
    if chunks == 1:
        return [batch]
    size, rest = divmod(len(batch.pixels), chunks)
    if rest:
        raise ConfigError(f"optim.accumulate: {len(batch.pixels)} images cannot be split into {chunks} equal chunks")
    return [_images(batch, start, start + size) for start in range(0, len(batch.pixels), size)]


def _images(batch: Batch, start: int, stop: int) -> Batch:
    """A range of images with their prompts, which are contiguous, since prompts are in image order."""
    first, last = torch.searchsorted(batch.image_index, batch.image_index.new_tensor([start, stop])).tolist()
    prompts = slice(first, last)
    return Batch(
        pixels=batch.pixels[start:stop],
        ids=batch.ids[prompts],
        image_index=batch.image_index[prompts] - start,
        geometry=batch.geometry and map_tensors(batch.geometry, lambda part: part[prompts]),
        targets=batch.targets.of_prompts(first, last),
        names=batch.names[start:stop],
        phrases=batch.phrases[prompts],
    )


def _targets(queries: Sequence[FindQuery]) -> Targets:
    """Targets of all prompts; a mask that is empty at its (coarse) resolution is marked as unknown."""
    masks = [torch.from_numpy(query.masks) for query in queries]
    valid = [mask.flatten(1).any(1) for mask in masks]
    complete = [one.exhaustive if one.pixel_exhaustive is None else one.pixel_exhaustive for one in queries]
    return Targets.from_prompts(
        [torch.from_numpy(query.boxes) for query in queries],
        masks,
        is_valid_mask=valid,
        is_exhaustive=[query.exhaustive for query in queries],
        is_pixel_exhaustive=[bool(known.all()) and whole for known, whole in zip(valid, complete, strict=True)],
    )


def _geometry(queries: Sequence[FindQuery]) -> GeometryPrompt | None:
    longest = max((len(query.exemplars) for query in queries if query.exemplars is not None), default=0)
    if not longest:
        return None
    prompt = GeometryPrompt.blank(len(queries), boxes=longest)
    for row, query in enumerate(queries):
        if query.exemplars is not None:
            prompt.boxes[row, : len(query.exemplars)] = torch.from_numpy(query.exemplars)
            prompt.box_mask[row, : len(query.exemplars)] = False
    return prompt

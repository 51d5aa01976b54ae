"""Segments the objects of an image with simulated clicks, and with boxes."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from evals.samples import ClickPrediction, ClickSample, Rle
from evals.simulated_clicks import middle, next_click
from sam3model.errors import CheckpointError, ConfigError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sam3agent.config import Settings
    from sam3model.image import EncodedImage, ObjectMasks
    from sam3model.instances import Instances

CLICKS = (1, 2, 3, 5, 8)
"""Numbers of clicks after which masks are kept."""
PROMPTS = (*(f"{count} click{'s' * (count > 1)}" for count in CLICKS), "box")
"""The prompts of a `ClickPrediction`."""


class ImagePredicting(Protocol):
    """What the runners need of a `sam3model.image.Sam3ImagePredictor`."""

    def encode(self, image: Any) -> "EncodedImage":
        """Encode an image once for all prompts."""
        ...

    def predict(self, encoded: "EncodedImage", phrases: Sequence[str]) -> "list[Instances]":
        """Every instance of each phrase."""
        ...

    def predict_object(
        self,
        encoded: "EncodedImage",
        *,
        points: Any = None,
        point_labels: Any = None,
        box: Any = None,
        mask: Any = None,
    ) -> "ObjectMasks":
        """The masks of N objects, each with its own clicks, box and earlier mask."""
        ...


def load_image_predictor(settings: "Settings", *, clicks: bool) -> ImagePredicting:
    """The image predictor of the settings. clicks: whether it must be able to segment one object by clicks.

    Raises `ConfigError` if the weights are unusable or lack the interactive heads.
    """
    from sam3model.image import Sam3ImagePredictor

    try:
        predictor = Sam3ImagePredictor.from_weights(
            settings.weights, device=settings.device, dtype=settings.dtype, interactive=clicks
        )
    except (CheckpointError, InputError) as error:
        raise ConfigError(str(error)) from error
    if clicks and predictor.interactive is None:
        raise ConfigError(f"the weights {settings.weights} have no interactive heads, which clicks need: choose others")
    return predictor


class ClickRunner:
    """Segments all objects of an image together, with one encoding.

    The first click gives three candidates, of which the one with the highest predicted IoU is taken. Every later click
    comes with all clicks before it and with the logits of the mask so far. An object whose mask is perfect gets no
    further clicks.
    """

    def __init__(self, predictor: ImagePredicting, name: str) -> None:
        self.system = name
        self.predictor = predictor

    async def __call__(self, sample: ClickSample) -> ClickPrediction:
        """The masks of all objects after each prompt of `PROMPTS`."""
        return await asyncio.to_thread(self._predict, sample)

    def _predict(self, sample: ClickSample) -> ClickPrediction:
        from sam3model.ops.masks import decode_rle, encode_rle

        if not sample.masks:
            return ClickPrediction(PROMPTS, ())
        targets = [decode_rle(dict(mask)) for mask in sample.masks]
        encoded = self.predictor.encode(sample.open_image())
        clicked = self._click(encoded, targets)
        found = self.predictor.predict_object(encoded, box=np.stack([_box(target) for target in targets]))
        columns: list[list[Rle]] = [clicked[count] for count in CLICKS]
        columns.append([encode_rle(mask) for mask in found.best.masks[:, 0]])
        return ClickPrediction(PROMPTS, tuple(zip(*columns, strict=True)))

    def _click(self, encoded: "EncodedImage", targets: "Sequence[NDArray[np.bool_]]") -> dict[int, list[Rle]]:
        """The masks of all objects after every number of clicks."""
        from sam3model.ops.masks import encode_rle

        points = [[middle(target)] for target in targets]
        labels = [[1] for _ in targets]
        found = self.predictor.predict_object(encoded, points=np.array(points), point_labels=np.array(labels)).best
        masks, low_res = found.masks[:, 0], found.low_res
        rounds: dict[int, list[Rle]] = {1: [encode_rle(mask) for mask in masks]}
        active = list(range(len(targets)))
        for count in range(2, CLICKS[-1] + 1):
            clicks = {one: next_click(targets[one], masks[one]) for one in active}
            active = [one for one in active if clicks[one] is not None]
            for one in active:
                point, label = clicks[one] or ((0.0, 0.0), 0)
                points[one].append(point)
                labels[one].append(label)
            if active:
                found = self.predictor.predict_object(
                    encoded,
                    points=np.array([points[one] for one in active]),
                    point_labels=np.array([labels[one] for one in active]),
                    mask=low_res[active],
                ).best
                masks[active], low_res[active] = found.masks[:, 0], found.low_res
            rounds[count] = [encode_rle(mask) for mask in masks]
        return rounds


def _box(mask: "NDArray[np.bool_]") -> tuple[int, int, int, int]:
    """The bounding box of a mask, xyxy in pixels with exclusive ends."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

"""The image predictor: encode an image once, then prompt it any number of times with phrases, boxes and points."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import overload

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image
from torch import Tensor

from sam3model.checkpoint import LoadReport, load_with_report
from sam3model.compile import CompileMode, compile_model
from sam3model.detector.model import Grounding, Sam3ImageModel
from sam3model.detector.scoring import scores_of
from sam3model.devices import resolve_device, resolve_dtype
from sam3model.errors import InputError
from sam3model.instances import Instances, no_instances
from sam3model.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from sam3model.ops.masks import masks_at_size
from sam3model.ops.nms import distinct_masks
from sam3model.ops.resize import ImageLike, preprocess
from sam3model.structures import VISUAL, GeometryPrompt, ImageFeatures, TextTokens, map_tensors
from sam3model.text.tokenizer import Tokenizer

__all__ = ["EncodedImage", "Instances", "Sam3ImagePredictor"]

PHRASE_BATCH = 8
CACHED_PHRASES = 1024


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """Features of one image and its size (width, height) in pixels."""

    features: ImageFeatures
    size: tuple[int, int]


class Sam3ImagePredictor:
    """Segments images with a loaded model.

    Phrases are encoded once and cached. The pixel decoder runs only for prompts with an instance above the threshold,
    and only these instances get full-size masks. Threads may share a predictor.
    """

    def __init__(self, model: Sam3ImageModel, *, report: LoadReport | None = None) -> None:
        self.model = model.eval()
        self.report = report
        self._tokenizer = Tokenizer(model.config.text.context_length)
        self._texts: OrderedDict[str, TextTokens] = OrderedDict()
        self._texts_lock = Lock()

    @classmethod
    def from_weights(
        cls,
        name_or_path: str | Path = "tiny",
        *,
        device: str = "auto",
        dtype: str = "auto",
        compile_mode: CompileMode | None = None,
    ) -> "Sam3ImagePredictor":
        """Load weights (see `sam3model.checkpoint.load_with_report`) onto a device, by default in its best precision.

        Raises:
            CheckpointError: the weights cannot be found or do not fit the model.
            InputError: unknown device or dtype.
        """
        target = resolve_device(device)
        model, report = load_with_report(name_or_path, device=target, dtype=resolve_dtype(dtype, target))
        if compile_mode is not None:
            compile_model(model.detector, mode=compile_mode)
        return cls(model.detector, report=report)

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.model.decoder.query_embed.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights; boxes and scores are always float32."""
        return self.model.decoder.query_embed.weight.dtype

    @overload
    def encode(self, image: ImageLike) -> EncodedImage: ...

    @overload
    def encode(self, image: Sequence[ImageLike]) -> list[EncodedImage]: ...

    @torch.inference_mode()
    def encode(self, image: ImageLike | Sequence[ImageLike]) -> EncodedImage | list[EncodedImage]:
        """Encode an image, or a list of images in one batch.

        Args:
            image: anything that `ops.resize.to_rgb` accepts: a PIL image, an array (H, W) or (H, W, C), or a tensor
                (C, H, W), of bytes or floats in 0..1.

        Raises:
            InputError: not an image of one of these forms.
        """
        several = isinstance(image, Sequence)
        images = image if several else [image]
        if not images:
            return []
        side = self.model.config.vit.image_size
        pixels = torch.stack([preprocess(one, side) for one in images])
        features = self.model.prepare_masks(self.model.encode_image(pixels.to(self.device, self.dtype)))
        encoded = [EncodedImage(_row(features, i), _size(one)) for i, one in enumerate(images)]
        return encoded if several else encoded[0]

    def predict(
        self, encoded: EncodedImage, phrases: Sequence[str], *, threshold: float = 0.5, batch: int = PHRASE_BATCH
    ) -> list[Instances]:
        """Every instance of each noun phrase, one `Instances` per phrase, in query order.

        Args:
            encoded: the image.
            phrases: short noun phrases, e.g. "red ball".
            threshold: minimum score (exclusive), in 0..1.
            batch: number of phrases per forward pass.

        Raises:
            InputError: an empty phrase, a string instead of a list, a threshold outside 0..1, or a batch below 1.
        """
        if isinstance(phrases, str):
            raise InputError("phrases must be a list of phrases, not one string")
        _check_threshold(threshold)
        if batch < 1:
            raise InputError(f"batch is {batch}: it must be at least 1")
        found = []
        for start in range(0, len(phrases), batch):
            found += self._predict(encoded, phrases[start : start + batch], None, threshold)
        return found

    def predict_prompt(
        self,
        encoded: EncodedImage,
        *,
        phrase: str | None = None,
        boxes: ArrayLike | None = None,
        box_labels: ArrayLike | None = None,
        points: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        threshold: float = 0.5,
    ) -> Instances:
        """Every instance of the concept that a phrase, exemplar boxes and points describe together.

        Args:
            encoded: the image.
            phrase: a noun phrase; None for boxes and points alone.
            boxes: (n, 4) exemplar boxes, xyxy in pixels.
            box_labels: (n,) 1 for positive exemplars (default), 0 for negative ones.
            points: (m, 2) points, xy in pixels.
            point_labels: (m,) as `box_labels`.
            threshold: minimum score (exclusive), in 0..1.

        Raises:
            InputError: an empty prompt, or invalid shapes, labels, boxes or threshold.
        """
        _check_threshold(threshold)
        box_array, box_signs = _elements(boxes, box_labels, 4, "box")
        point_array, point_signs = _elements(points, point_labels, 2, "point")
        if phrase is None and not len(box_array) and not len(point_array):
            raise InputError("the prompt is empty: give a phrase, a box or a point")
        if len(point_array) and self.report is not None and self.report.absent:
            raise InputError("these weights have no point projections: use the official sam3.pt for point prompts")
        _check_boxes(box_array, encoded.size)
        prompt = _geometry(box_array, box_signs, point_array, point_signs, encoded.size, self.device)
        (found,) = self._predict(encoded, [VISUAL if phrase is None else phrase], prompt, threshold)
        return replace(found, phrase=phrase)

    @torch.inference_mode()
    def _predict(
        self, encoded: EncodedImage, phrases: Sequence[str], prompt: GeometryPrompt | None, threshold: float
    ) -> list[Instances]:
        text = self._encode_phrases(phrases)
        index = torch.zeros(len(phrases), dtype=torch.long, device=self.device)
        geometry = self.model.encode_geometry(prompt, encoded.features, index)
        grounding = self.model.fuse_and_decode(encoded.features, text, geometry, index)
        return self._instances(encoded, phrases, grounding, index, threshold)

    def _instances(
        self, encoded: EncodedImage, phrases: Sequence[str], grounding: Grounding, index: Tensor, threshold: float
    ) -> list[Instances]:
        scores = scores_of(grounding.logits, grounding.presence)  # (P, Q)
        select = (scores > threshold).nonzero()  # (K, 2)
        if not len(select):
            return [no_instances(encoded.size, phrase) for phrase in phrases]
        logits = self.model.decode_masks(grounding, encoded.features, index, select)  # (K, h, w)
        scale = torch.tensor(encoded.size * 2, device=self.device, dtype=torch.float32)
        boxes = (cxcywh_to_xyxy(grounding.boxes.float()) * scale)[select[:, 0], select[:, 1]].cpu().numpy()
        kept_scores = scores[select[:, 0], select[:, 1]].cpu().numpy()
        kept = self._distinct(logits, scores, select)
        rows = select[:, 0].cpu().numpy()
        chosen = [torch.from_numpy(rows == row) & kept for row in range(len(phrases))]
        return [
            Instances(masks_at_size(logits[mine], encoded.size), boxes[mine.numpy()], kept_scores[mine.numpy()], phrase)
            for mine, phrase in zip(chosen, phrases, strict=True)
        ]

    def _distinct(self, logits: Tensor, scores: Tensor, select: Tensor) -> Tensor:
        """Which of the K selected instances to keep, (K,) bool on the CPU: all, unless the configuration sets `nms`."""
        kept = torch.ones(len(select), dtype=torch.bool)
        limit = self.model.config.nms
        if limit is not None:
            for prompt in select[:, 0].unique():
                rows = select[:, 0] == prompt
                kept[rows.cpu()] = distinct_masks(logits[rows] > 0, scores[prompt, select[rows, 1]], limit).cpu()
        return kept

    def _encode_phrases(self, phrases: Sequence[str]) -> TextTokens:
        """Text tokens of the phrases, from a cache of the last `CACHED_PHRASES`."""
        if any(not phrase.strip() for phrase in phrases):
            raise InputError("a phrase is empty: give a short noun phrase, e.g. 'red ball'")
        with self._texts_lock:
            new = list(dict.fromkeys(phrase for phrase in phrases if phrase not in self._texts))
            if new:
                encoded = self.model.encode_text(self._tokenizer(new).to(self.device))
                for i, phrase in enumerate(new):
                    self._texts[phrase] = TextTokens(encoded.tokens[i], encoded.mask[i])
            chosen = [self._texts[phrase] for phrase in phrases]
            for phrase in phrases:
                self._texts.move_to_end(phrase)
            while len(self._texts) > CACHED_PHRASES:
                self._texts.popitem(last=False)
        return TextTokens(torch.stack([text.tokens for text in chosen]), torch.stack([text.mask for text in chosen]))


def _row(features: ImageFeatures, index: int) -> ImageFeatures:
    """The features of one image of a batch; all share the positions."""
    own = map_tensors(features, lambda part: part[index : index + 1])
    return replace(own, positions=features.positions)


def _size(image: ImageLike) -> tuple[int, int]:
    """Width and height: arrays are (H, W, channels), tensors (channels, H, W)."""
    if isinstance(image, Image.Image):
        return image.size
    height, width = image.shape[:2] if isinstance(image, np.ndarray) else image.shape[-2:]
    return int(width), int(height)


def _check_threshold(threshold: float) -> None:
    if not 0 <= threshold <= 1:
        raise InputError(f"the threshold is {threshold}: it must be between 0 and 1")


def _elements(
    values: ArrayLike | None, labels: ArrayLike | None, width: int, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes or points as (n, width) float32 and their labels as (n,) int64."""
    try:
        array = np.asarray([] if values is None else values, dtype=np.float32).reshape(-1, width)
        signs = np.ones(len(array)) if labels is None else np.asarray(labels)
    except (TypeError, ValueError) as error:
        raise InputError(f"each {what} needs {width} numbers, in pixels") from error
    if signs.shape != (len(array),) or not np.isin(signs, (0, 1)).all():
        raise InputError(f"each {what} needs one label, 1 (positive) or 0 (negative)")
    if not np.isfinite(array).all():
        raise InputError(f"a {what} has a coordinate that is not finite")
    return array, signs.astype(np.int64)


def _check_boxes(boxes: np.ndarray, size: tuple[int, int]) -> None:
    """Boxes may reach outside the image, but not far: pooling samples every cell that a box covers."""
    if np.any(boxes[:, 2:] <= boxes[:, :2]):
        raise InputError("a box must be x0,y0,x1,y1 with x1 > x0 and y1 > y0")
    sides = np.array(size * 2, dtype=np.float32)
    if np.any((boxes < -sides) | (boxes > 2 * sides)):
        raise InputError(f"a box is far outside the image of {size[0]}x{size[1]} pixels")


def _geometry(
    boxes: np.ndarray,
    box_labels: np.ndarray,
    points: np.ndarray,
    point_labels: np.ndarray,
    size: tuple[int, int],
    device: torch.device,
) -> GeometryPrompt:
    """One normalised prompt from pixel coordinates."""
    scale = torch.tensor(size, dtype=torch.float32)
    prompt = GeometryPrompt(
        boxes=xyxy_to_cxcywh(torch.from_numpy(boxes) / scale.repeat(2)).unsqueeze(0),
        box_labels=torch.from_numpy(box_labels).unsqueeze(0),
        box_mask=torch.zeros(1, len(boxes), dtype=torch.bool),
        points=(torch.from_numpy(points) / scale).unsqueeze(0),
        point_labels=torch.from_numpy(point_labels).unsqueeze(0),
        point_mask=torch.zeros(1, len(points), dtype=torch.bool),
    )
    return prompt.to(device)

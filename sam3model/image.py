"""The image predictor: encode an image once, then prompt it any number of times.

Phrases, exemplar boxes and points find every instance of a concept; clicks, a box or a mask segment one object.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sam3model.checkpoint import LoadReport, read_config
from sam3model.compile import CompileMode, compile_model, usable_mode
from sam3model.config import IMAGE_PARTS
from sam3model.detector.model import Grounding, Sam3ImageModel
from sam3model.detector.scoring import scores_of
from sam3model.devices import resolve_device, resolve_dtype
from sam3model.errors import InputError
from sam3model.instances import Instances, no_instances
from sam3model.interactive.heads import InteractiveHeads
from sam3model.object_prediction import ObjectFeatureCache, ObjectMasks, predict_objects
from sam3model.ops.boxes import cxcywh_to_xyxy
from sam3model.ops.masks import masks_at_size
from sam3model.ops.nms import distinct_masks
from sam3model.ops.resize import ImageLike, image_size, on_white, preprocess
from sam3model.pixel_prompts import check_threshold, geometry_prompt, object_query
from sam3model.quantise import load_in_precision
from sam3model.structures import VISUAL, GeometryPrompt, ImageFeatures, map_tensors
from sam3model.text import PhraseCache

__all__ = ["EncodedImage", "Instances", "ObjectMasks", "Sam3ImagePredictor"]

PHRASE_BATCH = 8
NO_HEADS = "these weights have no interactive heads: use weights that have them, such as the official sam3.pt"


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """Features of one image and its size (width, height) in pixels; `objects` is what clicks need, None without it."""

    features: ImageFeatures
    size: tuple[int, int]
    objects: ObjectFeatureCache | None = None


class Sam3ImagePredictor:
    """Segments images with a loaded model: every instance of a concept, or one object (`predict_object`).

    Phrases are encoded once and cached. The pixel decoder runs only for prompts with an instance above the threshold,
    and only these instances get full-size masks. Threads may share a predictor.
    """

    def __init__(
        self, model: Sam3ImageModel, *, interactive: InteractiveHeads | None = None, report: LoadReport | None = None
    ) -> None:
        self.model = model.eval()
        self.interactive = None if interactive is None else interactive.eval()
        self.report = report
        self._phrases = PhraseCache(model, model.config.text.context_length)

    @classmethod
    def from_weights(
        cls,
        name_or_path: str | Path = "tiny",
        *,
        device: str = "auto",
        dtype: str = "auto",
        compile_mode: CompileMode | None = None,
        interactive: bool = True,
    ) -> "Sam3ImagePredictor":
        """Load weights (see `sam3model.checkpoint.load_with_report`) onto a device, by default in its best precision.

        compile_mode: of torch.compile, for CUDA only: the first calls take minutes, those after them are faster. One
            compilation serves all images, and at most three serve any number of phrases.
        interactive: also load the interactive heads, if the weights have them. An encoded image is then larger.

        Raises:
            CheckpointError: the weights cannot be found or do not fit the model.
            InputError: unknown device, dtype or mode.
        """
        target = resolve_device(device)
        resolve_dtype(dtype, target)  # a mistyped one is named before any file is read
        mode = None if compile_mode is None else usable_mode(compile_mode, target)
        clicks = interactive and "interactive" in read_config(name_or_path).parts
        parts = (*IMAGE_PARTS, "interactive") if clicks else IMAGE_PARTS
        model, report = load_in_precision(name_or_path, device=target, dtype=dtype, parts=parts)
        if mode is not None:
            compile_model(model.detector, mode=mode)
        return cls(model.detector, interactive=model.interactive, report=report)

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.model.decoder.query_embed.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights, of those that are not int8; boxes and scores are always float32."""
        return self.model.decoder.query_embed.weight.dtype

    def unread_words(self, phrase: str) -> tuple[str, ...]:
        """The words at the end of a phrase that do not fit into the text window, so that they change nothing."""
        return self._phrases.unread_words(phrase)

    @overload
    def encode(self, image: ImageLike) -> EncodedImage: ...

    @overload
    def encode(self, image: Sequence[ImageLike]) -> list[EncodedImage]: ...

    @torch.inference_mode()
    def encode(self, image: ImageLike | Sequence[ImageLike]) -> EncodedImage | list[EncodedImage]:
        """Encode an image, or a list of images in one batch.

        Args:
            image: anything that `ops.resize.to_rgb` accepts: a PIL image, an array (H, W) or (H, W, C), or a tensor
                (C, H, W), of bytes or floats in 0..1. Transparent parts are on white.

        Raises:
            InputError: not an image of one of these forms.
        """
        several = isinstance(image, Sequence)
        images = image if several else [image]
        if not images:
            return []
        side = self.model.config.vit.image_size
        pixels = torch.stack([preprocess(on_white(one), side, self.device) for one in images]).to(self.dtype)
        keep_trunk = self.interactive is not None
        features = self.model.encode_image(pixels, keep_trunk=keep_trunk)
        features, trunk = self.model.prepare_masks(replace(features, trunk=None)), features.trunk
        caches = [None if trunk is None else ObjectFeatureCache(trunk[i : i + 1]) for i in range(len(images))]
        encoded = [EncodedImage(_row(features, i), image_size(one), caches[i]) for i, one in enumerate(images)]
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
        return self.predict_images([encoded], phrases, threshold=threshold, batch=batch)[0]

    def predict_images(
        self,
        encoded: Sequence[EncodedImage],
        phrases: Sequence[str],
        *,
        threshold: float = 0.5,
        batch: int = PHRASE_BATCH,
    ) -> list[list[Instances]]:
        """The same phrases on several images: for each image what `predict` returns. Arguments and errors are its own.

        A forward pass takes `batch` pairs of an image and a phrase, so that few phrases fill a GPU, too.
        """
        if isinstance(phrases, str) or not isinstance(phrases, Iterable):
            given = "one string" if isinstance(phrases, str) else type(phrases).__name__
            raise InputError(f"phrases must be a list of phrases, not {given}")
        phrases = list(phrases)
        _require_encoded(encoded)
        check_threshold(threshold)
        if not hasattr(batch, "__index__") or (batch := int(batch)) < 1:
            raise InputError(f"batch is {batch}: it must be at least 1")
        pairs = list(itertools.product(range(len(encoded)), range(len(phrases))))
        found: list[list[Instances]] = [[] for _ in encoded]
        for start in range(0, len(pairs), batch):
            some = pairs[start : start + batch]
            prompted = [encoded[image] for image, _ in some]
            results = self._predict(prompted, [phrases[phrase] for _, phrase in some], None, threshold)
            for (image, _), one in zip(some, results, strict=True):
                found[image].append(one)
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
        _require_encoded([encoded])
        check_threshold(threshold)
        prompt = geometry_prompt(boxes, box_labels, points, point_labels, encoded.size)
        count = prompt.points.shape[1]
        if phrase is None and not count and not prompt.boxes.shape[1]:
            raise InputError("the prompt is empty: give a phrase, a box or a point")
        if count and self.report is not None and self.report.absent:
            raise InputError("these weights have no point projections: use the official sam3.pt for point prompts")
        prompt = prompt.to(self.device)
        (found,) = self._predict([encoded], [VISUAL if phrase is None else phrase], prompt, threshold)
        return replace(found, phrase=phrase)

    @torch.inference_mode()
    def predict_object(
        self,
        encoded: EncodedImage,
        *,
        points: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        multimask: bool | None = None,
        logits: bool = False,
    ) -> ObjectMasks:
        """The one object that clicks, a box and a mask describe, or N objects at once, each with its own prompt.

        Args:
            encoded: the image.
            points: (K, 2) clicks, xy in pixels; (N, K, 2) for N objects.
            point_labels: (K,) or (N, K), 1 for clicks on the object (default), 0 for clicks beside it.
            box: (4,) around the object, xyxy in pixels; (N, 4) for N objects.
            mask: (h, w) logits of an earlier mask, `ObjectMasks.low_res[i]`; (N, 1, h, w) for N objects.
            multimask: return three candidates instead of one mask; by default only for a single click, which is
                ambiguous.
            logits: also return full-size logits.

        Raises:
            InputError: weights without interactive heads, an empty prompt, or invalid shapes, labels or numbers.
        """
        if (heads := self.interactive) is None:
            raise InputError(NO_HEADS)
        _require_encoded([encoded])
        query = object_query(
            points, point_labels, box, mask,
            size=encoded.size, side=self.model.config.vit.image_size, mask_side=heads.prompt_encoder.mask_side,
        )  # fmt: skip
        if encoded.objects is None:
            raise InputError("this image was encoded without interactive heads: encode it with this predictor")
        neck = self.model.vision.neck
        features = encoded.objects.get(
            lambda trunk: heads.features(neck(trunk, "interactive", heads.projections), projected=True)
        )
        prompt = map_tensors(query.prompt, lambda part: part.to(self.device))
        multimask = query.ambiguous if multimask is None else multimask
        found = predict_objects(heads, features, prompt, encoded.size, multimask=multimask, logits=logits)
        return found if query.several else found[0]

    @torch.inference_mode()
    def _predict(
        self, prompted: Sequence[EncodedImage], phrases: Sequence[str], prompt: GeometryPrompt | None, threshold: float
    ) -> list[Instances]:
        """Instances of P phrases, each on its own image of `prompted`. What depends on an image alone runs once."""
        text = self._phrases(phrases, self.device)
        images = list({id(one): one for one in prompted}.values())
        places = {id(one): place for place, one in enumerate(images)}
        features = _joined([one.features for one in images])
        index = torch.tensor([places[id(one)] for one in prompted], device=self.device)
        geometry = self.model.encode_geometry(prompt, features, index)
        grounding = self.model.fuse_and_decode(features, text, geometry, index)
        return self._instances(features, [one.size for one in prompted], phrases, grounding, index, threshold)

    def _instances(
        self,
        features: ImageFeatures,
        sizes: Sequence[tuple[int, int]],
        phrases: Sequence[str],
        grounding: Grounding,
        index: Tensor,
        threshold: float,
    ) -> list[Instances]:
        scores = scores_of(grounding.logits, grounding.presence)  # (P, Q)
        select = (scores > threshold).nonzero()  # (K, 2)
        if not len(select):
            return [no_instances(size, phrase) for size, phrase in zip(sizes, phrases, strict=True)]
        logits = self.model.decode_masks(grounding, features, index, select)  # (K, h, w)
        scale = torch.tensor([size * 2 for size in sizes], device=self.device, dtype=torch.float32).unsqueeze(1)
        boxes = (cxcywh_to_xyxy(grounding.boxes.float()) * scale)[select[:, 0], select[:, 1]].cpu().numpy()
        kept_scores = scores[select[:, 0], select[:, 1]].cpu().numpy()
        kept = self._distinct(logits, scores, select)
        rows = select[:, 0].cpu().numpy()
        chosen = [torch.from_numpy(rows == row) & kept for row in range(len(phrases))]
        return [
            Instances(masks_at_size(logits[mine], size), boxes[mine.numpy()], kept_scores[mine.numpy()], phrase)
            for mine, size, phrase in zip(chosen, sizes, phrases, strict=True)
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


def _require_encoded(images: object) -> None:
    if not isinstance(images, Sequence) or not all(isinstance(one, EncodedImage) for one in images):
        raise InputError("an encoded image is needed: give what `encode` returned for it")


def _joined(parts: Sequence[ImageFeatures]) -> ImageFeatures:
    """The features of several images, which were encoded alike, as one batch."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    levels = tuple(torch.cat(level) for level in zip(*(one.levels for one in parts), strict=True))
    laterals = tuple(torch.cat(one) for one in zip(*(one.laterals or () for one in parts), strict=True))
    return replace(first, levels=levels, laterals=laterals or None, trunk=None)


def _row(features: ImageFeatures, index: int) -> ImageFeatures:
    """The features of one image of a batch; all share the positions."""
    own = map_tensors(features, lambda part: part[index : index + 1])
    return replace(own, positions=features.positions)

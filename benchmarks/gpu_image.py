"""Steps of `benchmarks.gpu` about images: agreement with the CPU, and speed beside transformers."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.gpu_setup import PHRASES, Setting, milliseconds, peak_gigabytes, wait
from benchmarks.gpu_steps import Report, SkipStepError
from benchmarks.random_models import randomise
from sam3model.compile import CompileMode, compile_model
from sam3model.config import IMAGE_PARTS
from sam3model.detector.model import Sam3ImageModel
from sam3model.detector.scoring import scores_of
from sam3model.image import EncodedImage, Sam3ImagePredictor
from sam3model.ops.masks import mask_iou
from sam3model.ops.resize import preprocess
from sam3model.text import Tokenizer

SURVIVORS = 10
"""Instances of a phrase that get masks."""

BATCH = 8
GOAL_MS, GOAL_RATIO = 25.0, 1.5
"""One H100: an image and a phrase in bfloat16, compiled, and how much faster than transformers."""


def agreement(setting: Setting, report: Report) -> None:
    """The image model on the device, in float32 and bfloat16, against float32 on the CPU with the same weights."""
    torch.backends.cudnn.allow_tf32 = False  # else convolutions would round like TF32
    model = setting.model(parts=IMAGE_PARTS).detector
    exact = _outputs(copy.deepcopy(model).cpu(), torch.float32, setting)
    for dtype, most, least in ((torch.float32, 2e-3, 0.99), (torch.bfloat16, 0.15, 0.8)):
        name = str(dtype).removeprefix("torch.")
        rounded = _outputs(model.to(dtype), dtype, setting)
        for stage, value in exact.items():
            if stage == "masks":
                continue
            error = (rounded[stage] - value).square().mean().sqrt() / value.std()
            report.check(f"{name}: error of {stage} in standard deviations", error.item(), most=most)
        report.check(f"{name}: IoU of masks with the CPU", _mean_iou(rounded["masks"], exact["masks"]), least=least)
    report.figure("peak memory", peak_gigabytes(setting), "GB")


def eager(setting: Setting, report: Report) -> None:
    """Time of an image and of phrases in bfloat16, beside transformers' model; then compiled, in the same process."""
    ours = Ours(setting)
    report.figure("preprocessing, which is on the CPU", milliseconds(setting, ours.preprocess), "ms")
    before = _times(setting, report, "eager", ours)
    _five(setting, report, "eager", ours)
    report.figure("peak memory", peak_gigabytes(setting), "GB")
    _batches(setting, report, ours)
    theirs = None
    try:
        other = theirs_of(setting)
        theirs = _times(setting, report, "transformers", other)
        _five(setting, report, "transformers", other)
        report.figure("peak memory, both models", peak_gigabytes(setting), "GB")
        report.figure("transformers : ours, image and phrase, both eager", theirs / before, "x")
    except SkipStepError as error:
        report.note(f"transformers is left out: {error}")
    if setting.device.type != "cuda":
        report.note("compiling is left out: it is for CUDA")
        return
    after = compiled(setting, report, ours, "default")
    if theirs is not None:
        report.check("transformers : ours, compiled", theirs / after, least=GOAL_RATIO)
    _five(setting, report, "compiled", ours)  # last: another number of phrases is compiled anew


def graphs(setting: Setting, report: Report) -> None:
    """CUDA graphs: the same times, and encoded images that stay what they were when the next one is encoded."""
    if setting.device.type != "cuda":
        raise SkipStepError("CUDA graphs need CUDA")
    ours = Ours(setting)
    plain = ours.scores(ours.encode(0))
    compiled(setting, report, ours, "reduce-overhead")
    first = ours.encode(0)
    before = ours.scores(first)
    ours.encode(1)
    report.check("change of scores after another image", (ours.scores(first) - before).abs().max().item(), most=0.0)
    report.check("change of scores to eager", (before - plain).abs().max().item(), most=0.1)


def compiled(setting: Setting, report: Report, ours: "Ours", mode: CompileMode) -> float:
    """Compile, report how long that takes and the times after it; returns milliseconds of an image and a phrase."""
    name = "compiled" if mode == "default" else mode
    compile_model(ours.predictor.model, mode=mode)
    start = time.perf_counter()
    ours.ground(ours.encode(0), ["compile"])
    wait(setting.device)
    report.figure(f"{name}: first image and phrase", time.perf_counter() - start, "s")
    total = _times(setting, report, name, ours)
    report.check(f"{name}: image and phrase, ms", total, most=GOAL_MS)
    report.figure(f"{name}: peak memory", peak_gigabytes(setting), "GB")
    return total


class Contender(Protocol):
    """What is timed."""

    def encode(self, number: int) -> Any:
        """Encode the image with this number."""
        ...

    def ground(self, encoded: Any, phrases: list[str]) -> int:
        """Full-size masks of the phrases' instances."""
        ...


def _times(setting: Setting, report: Report, name: str, contender: Contender) -> float:
    """Report the times of a contender; returns milliseconds of an image and a phrase."""
    encoded = contender.encode(0)
    report.figure(f"{name}: masks of the first phrase", contender.ground(encoded, [PHRASES[0]]), "masks")
    report.figure(f"{name}: encode", milliseconds(setting, contender.encode), "ms")
    one = milliseconds(setting, lambda number: contender.ground(encoded, [f"{name} {number}"]))
    report.figure(f"{name}: ground a new phrase", one, "ms")
    again = milliseconds(setting, lambda _: contender.ground(encoded, [PHRASES[0]]))
    report.figure(f"{name}: ground a known phrase", again, "ms")
    total = milliseconds(setting, lambda number: contender.ground(contender.encode(number), [f"new {name} {number}"]))
    report.figure(f"{name}: image and phrase", total, "ms")
    return total


def _five(setting: Setting, report: Report, name: str, contender: Contender) -> None:
    encoded = contender.encode(0)
    took = milliseconds(setting, lambda number: contender.ground(encoded, [f"{one} {number}" for one in PHRASES]))
    report.figure(f"{name}: ground five new phrases", took, "ms")


def _batches(setting: Setting, report: Report, ours: "Ours") -> None:
    """Images in one batch against one by one."""
    images = [setting.image(number) for number in range(BATCH)]
    together = milliseconds(setting, lambda _: ours.predictor.encode(images), repeats=3) / BATCH
    report.figure(f"eager: encode, per image of a batch of {BATCH}", together, "ms")
    encoded = ours.predictor.encode(images)
    grounded = milliseconds(
        setting, lambda _: ours.predictor.predict_images(encoded, PHRASES[:1], threshold=ours.threshold), repeats=3
    )
    report.figure(f"eager: ground a known phrase, per image of a batch of {BATCH}", grounded / BATCH, "ms")
    report.figure("peak memory of the batch", peak_gigabytes(setting), "GB")


class Ours:
    """Our predictor in bfloat16."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.predictor = Sam3ImagePredictor(setting.model(torch.bfloat16, IMAGE_PARTS).detector)
        self.images = setting.images()
        ordered = self.scores(self.encode(0)).flatten().sort(descending=True).values
        self.threshold = float(ordered[min(SURVIVORS, len(ordered) - 1)])

    def preprocess(self, number: int) -> Tensor:
        """The model input of an image, on the device."""
        return preprocess(self.images[number], self.predictor.model.config.vit.image_size, self.setting.device)

    def encode(self, number: int) -> EncodedImage:
        """Encode the image with this number."""
        return self.predictor.encode(self.images[number])

    def ground(self, encoded: EncodedImage, phrases: list[str]) -> int:
        """About `SURVIVORS` masks of each phrase."""
        return sum(len(found) for found in self.predictor.predict(encoded, phrases, threshold=self.threshold))

    @torch.inference_mode()
    def scores(self, encoded: EncodedImage) -> Tensor:
        """Scores (1, Q) of all queries for a phrase."""
        model, index = self.predictor.model, torch.zeros(1, dtype=torch.long, device=self.setting.device)
        text = self.predictor._phrases([PHRASES[0]], self.setting.device)
        geometry = model.encode_geometry(None, encoded.features, index)
        grounding = model.fuse_and_decode(encoded.features, text, geometry, index)
        return scores_of(grounding.logits, grounding.presence)


@dataclass(frozen=True, slots=True)
class Theirs:
    """transformers' model in bfloat16, with our preprocessing and tokens; its best masks are resized as ours are."""

    setting: Setting
    model: Any
    tokenizer: Tokenizer
    images: list[np.ndarray]

    @torch.inference_mode()
    def encode(self, number: int) -> Any:
        """Encode the image with this number."""
        side = self.model.config.vision_config.backbone_config.image_size
        pixels = preprocess(self.images[number], side, self.setting.device)
        return self.model.get_vision_features(pixel_values=pixels.unsqueeze(0).to(self.model.dtype))

    def ground(self, encoded: Any, phrases: list[str]) -> int:
        """The best `SURVIVORS` masks of each phrase; one after the other, since it has no batch of phrases."""
        return sum(self._ground_one(encoded, phrase) for phrase in phrases)

    @torch.inference_mode()
    def _ground_one(self, encoded: Any, phrase: str) -> int:
        ids = self.tokenizer([phrase]).to(self.setting.device)
        out = self.model(vision_embeds=encoded, input_ids=ids, attention_mask=(ids != 0).long())
        scores = out.pred_logits[0].sigmoid() * out.presence_logits[0].sigmoid()
        best = scores.topk(min(SURVIVORS, len(scores))).indices
        masks = out.pred_masks[0][best].unsqueeze(1).float()
        width, height = self.setting.clip
        return len((F.interpolate(masks, (height, width), mode="bilinear") > 0).cpu().numpy())


def theirs_of(setting: Setting) -> Contender:
    """transformers' model of the same sizes. Raises `SkipStepError` without transformers, or for another size."""
    if setting.size != "released":
        raise SkipStepError("it is measured at the released size only")
    try:
        from transformers import Sam3Config
        from transformers.initialization import no_init_weights
        from transformers.models.sam3.modeling_sam3 import Sam3Model  # this import path does not require torchvision
    except ImportError as error:
        raise SkipStepError(f"it cannot be imported ({error})") from error
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with no_init_weights(), torch.device(setting.device):
            model = Sam3Model(Sam3Config()).eval()
    finally:
        torch.set_default_dtype(before)
    randomise(model)
    return Theirs(setting, model, Tokenizer(32), setting.images())


@torch.inference_mode()
def _outputs(model: Sam3ImageModel, dtype: torch.dtype, setting: Setting) -> dict[str, Tensor]:
    """Outputs of every stage for an image and two phrases, on the CPU in float32; masks of queries of the first."""
    device = model.decoder.query_embed.weight.device
    pixels = preprocess(setting.image(), model.config.vit.image_size, device).unsqueeze(0).to(dtype)
    ids = Tokenizer(model.config.text.context_length)(PHRASES[:2]).to(device)
    index = torch.zeros(2, dtype=torch.long, device=device)
    features = model.encode_image(pixels, keep_trunk=True)
    geometry = model.encode_geometry(None, features, index)
    grounding = model.fuse_and_decode(features, model.encode_text(ids), geometry, index)
    rows = torch.arange(min(2 * SURVIVORS, grounding.logits.shape[1]), device=device)
    select = torch.stack((torch.zeros_like(rows), rows), dim=1)
    found = {
        "trunk": features.trunk, "image memory": grounding.memory, "queries": grounding.queries,
        "logits": grounding.logits, "boxes": grounding.boxes,
        "masks": model.decode_masks(grounding, replace(features, trunk=None), index, select),
    }  # fmt: skip
    wait(device)
    return {name: value.float().cpu() for name, value in found.items() if value is not None}


def _mean_iou(masks: Tensor, exact: Tensor) -> float:
    """Mean IoU of mask logits (n, h, w) > 0 with the exact ones, over those that are not empty."""
    pairs = [(one[None] > 0, other[None] > 0) for one, other in zip(masks, exact, strict=True)]
    ious = [mask_iou(one, other).item() for one, other in pairs if other.any()]
    return float(np.mean(ious))


STEPS: dict[str, Callable[[Setting, Report], None]] = {"agreement": agreement, "image": eager, "graphs": graphs}

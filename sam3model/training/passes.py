"""Forward passes of the image model in training: one, or one more after each correction of the prompts."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sam3model.data.queries import Batch
from sam3model.detector.model import Sam3ImageModel
from sam3model.structures import Detections, GeometryPrompt, map_tensors

Correction = Callable[[Detections, GeometryPrompt | None], GeometryPrompt]
"""Takes the detections of a pass and its prompts, and returns the prompts of the next pass."""


class MultiPassModel(nn.Module):
    """An image model that is prompted again after each correction."""

    def __init__(self, model: Sam3ImageModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        pixels: Tensor,
        ids: Tensor,
        prompt: GeometryPrompt | None,
        image_index: Tensor,
        mask_prompts: Tensor | None = None,
        corrections: Sequence[Correction] = (),
    ) -> tuple[Detections, ...]:
        """Detections of the first pass and of the one after each correction; inputs as in `Sam3ImageModel.forward`.

        Images and phrases are encoded once for all passes.
        """
        model = self.model
        features, text = model.encode_image(pixels), model.encode_text(ids)
        if corrections and (mask_prompts is None or mask_prompts.any()):
            features = model.prepare_masks(features)
        passes = [model.detect(features, text, prompt, image_index, mask_prompts)]
        for correct in corrections:
            prompt = correct(passes[-1], prompt)
            passes.append(model.detect(features, text, prompt, image_index, mask_prompts))
        return tuple(passes)


def detect(
    network: nn.Module,
    batch: Batch,
    precision: torch.dtype,
    corrections: Sequence[Correction] = (),
    min_masks: int = 0,
) -> tuple[Detections, ...]:
    """Detections of every pass in float32, computed under autocast to `precision`.

    network: a `MultiPassModel`, possibly spread over processes. In training mode, only prompts whose targets have masks
    get masks, and the first `min_masks` prompts.
    """
    device, masked = batch.pixels.device, batch.targets.masked() if network.training else None
    if masked is not None:
        masked[:min_masks] = True
    with torch.autocast(device.type, dtype=precision, enabled=precision is not torch.float32):
        passes = network(batch.pixels, batch.ids, batch.geometry, batch.image_index, masked, corrections)
    return map_tensors(passes, lambda part: part.float() if part.is_floating_point() else part)

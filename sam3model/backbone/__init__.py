"""Images to feature pyramids: the vision trunk and its neck."""

from collections.abc import Sequence

from torch import Tensor, nn

from sam3model.backbone.neck import ViTDetNeck
from sam3model.backbone.vit import ViT
from sam3model.config import DetectorConfig
from sam3model.errors import InputError
from sam3model.ops.position import PositionEmbeddingSine
from sam3model.structures import ImageFeatures

__all__ = ["ViT", "ViTDetNeck", "VisionBackbone"]


class VisionBackbone(nn.Module):
    """`trunk` (ViT) and `neck` (`ViTDetNeck`)."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.trunk = ViT(config.vit)
        self.neck = ViTDetNeck(config.neck, config.vit.width, config.d_model)
        self._position = PositionEmbeddingSine(config.d_model)

    def forward(self, pixels: Tensor, keep_trunk: bool = False) -> ImageFeatures:
        """Normalised pixels (B, 3, S, S) -> features of the detection head.

        keep_trunk: also keep the trunk output, which `pyramid` needs.

        Raises:
            InputError: the token grid of the images is not a multiple of the attention window.
        """
        trunk = self.trunk(pixels)  # (B, C, H, W)
        levels = self.neck(trunk)
        positions = tuple(self._position.map(*level.shape[-2:], device=level.device) for level in levels)
        return ImageFeatures(levels, positions, trunk if keep_trunk else None)

    def pyramid(
        self, features: ImageFeatures, head: str, projections: Sequence[nn.Conv2d | None] | None = None
    ) -> tuple[Tensor, ...]:
        """Pyramid of a neck head for encoded images, finest first, each (B, D, H_i, W_i).

        projections: see `ViTDetNeck.forward`.

        Raises:
            InputError: the features were computed without `keep_trunk=True`.
            ConfigError: the neck has no such head.
        """
        if features.trunk is None:
            raise InputError("these features do not include the trunk output: encode the image with keep_trunk=True")
        return self.neck(features.trunk, head, projections)

"""Pictures to feature pyramids: the vision trunk and its neck."""

from torch import Tensor, nn

from sam3model.backbone.neck import Sam3DualViTDetNeck
from sam3model.backbone.vit import ViT
from sam3model.config import DetectorConfig
from sam3model.errors import InputError
from sam3model.ops.position import PositionEmbeddingSine
from sam3model.structures import ImageFeatures

__all__ = ["Sam3DualViTDetNeck", "ViT", "VisionBackbone"]


class VisionBackbone(nn.Module):
    """`trunk` (ViT) and `neck` (`Sam3DualViTDetNeck`)."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.trunk = ViT(config.vit)
        self.neck = Sam3DualViTDetNeck(config.neck, config.vit.width, config.d_model)
        self._position = PositionEmbeddingSine(config.d_model)

    def forward(self, pixels: Tensor, tracker: bool = False) -> ImageFeatures:
        """Normalised pixels (B, 3, S, S) -> features; with `tracker` the trunk's output is kept for `tracker_pyramid`.

        Raises:
            InputError: the picture's token grid is not a multiple of the attention window.
        """
        trunk = self.trunk(pixels)  # (B, C, H, W)
        levels = self.neck(trunk)
        positions = tuple(self._position.map(*level.shape[-2:], device=level.device) for level in levels)
        return ImageFeatures(levels, positions, trunk if tracker else None)

    def tracker_pyramid(self, features: ImageFeatures) -> tuple[Tensor, ...]:
        """The tracker's pyramid, finest first, each (B, D, H_i, W_i).

        Raises:
            InputError: the features were made without `tracker=True`.
            ConfigError: the model was built without the tracker's neck.
        """
        if features.trunk is None:
            raise InputError("these features keep no trunk output: encode the picture with tracker=True")
        return self.neck.tracker(features.trunk)

"""Every size of the model, as frozen dataclasses: the released numbers appear here once, as the defaults.

`PRESETS["sam3"]` is the released model; `PRESETS["sam3_tiny"]` is the same architecture at the size of the shipped
weights.
Widths that the parts share (`d_model`, `heads`, `dropout`) live in `DetectorConfig`.
"""

from dataclasses import dataclass, field
from typing import Any

from sam3model.errors import ConfigError


def require_positive(config: Any, *names: str) -> None:
    """Raise ConfigError for the first of these fields that is not above zero."""
    for name in names:
        if not getattr(config, name) > 0:
            raise ConfigError(f"{type(config).__name__}.{name} must be positive, not {getattr(config, name)}")


@dataclass(frozen=True, slots=True)
class ViTConfig:
    """Vision trunk: a plain ViT with windowed and global attention blocks and axial rotary embedding."""

    image_size: int = 1008
    patch_size: int = 14
    pretrain_image_size: int = 336
    width: int = 1024
    depth: int = 32
    heads: int = 16
    mlp_ratio: float = 4.625
    window: int = 24
    global_blocks: tuple[int, ...] = (7, 15, 23, 31)
    rope_theta: float = 10000.0
    drop_path: float = 0.1

    def __post_init__(self) -> None:
        require_positive(self, "image_size", "patch_size", "pretrain_image_size", "width", "depth", "heads", "window")
        if self.image_size % self.patch_size:
            raise ConfigError(f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}")
        if self.width % self.heads or (self.width // self.heads) % 4:
            raise ConfigError(f"width {self.width} over {self.heads} heads must give a head size divisible by 4")
        if self.grid % self.window:
            raise ConfigError(f"window {self.window} does not divide the token grid {self.grid}")
        if not self.global_blocks or self.global_blocks[-1] != self.depth - 1:
            raise ConfigError("the last block must be a global one: its output is the trunk's output")

    @property
    def grid(self) -> int:
        """Tokens along one side of the picture."""
        return self.image_size // self.patch_size

    @property
    def pretrain_grid(self) -> int:
        """Tokens along one side of the pretraining picture; the position table has this size."""
        return self.pretrain_image_size // self.patch_size


@dataclass(frozen=True, slots=True)
class NeckConfig:
    """`Sam3DualViTDetNeck`: two feature pyramids of one shape over the trunk, for the detector and for the tracker."""

    scale_factors: tuple[float, ...] = (4.0, 2.0, 1.0, 0.5)
    dropped_levels: int = 1
    tracker_neck: bool = True


@dataclass(frozen=True, slots=True)
class TextConfig:
    """`VETextEncoder`: a causal transformer over CLIP byte-pair tokens."""

    width: int = 1024
    heads: int = 16
    layers: int = 24
    mlp_ratio: float = 4.0
    context_length: int = 32
    vocabulary: int = 49408
    projection_dim: int = 512
    layer_scale: float | None = None

    def __post_init__(self) -> None:
        require_positive(self, "width", "heads", "layers", "context_length", "vocabulary", "projection_dim")
        if self.width % self.heads:
            raise ConfigError(f"text.width {self.width} is not a multiple of text.heads {self.heads}")


@dataclass(frozen=True, slots=True)
class GeometryConfig:
    """Encoder of boxes, points and (optionally) masks given as prompts."""

    layers: int = 3
    ffn: int = 2048
    roi_size: int = 7
    mask_encoder: bool = False


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """Encoder that lets image tokens attend to the prompt."""

    layers: int = 6
    ffn: int = 2048


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """DETR decoder with box refinement, log box position bias and a presence token."""

    layers: int = 6
    ffn: int = 2048
    queries: int = 200
    one_to_many: bool = True


@dataclass(frozen=True, slots=True)
class ScoringConfig:
    """Dot-product scoring of queries against the pooled prompt."""

    hidden: int = 2048
    clamp: float = 12.0


@dataclass(frozen=True, slots=True)
class SegmentationConfig:
    """Pixel decoder and mask heads."""

    stages: int = 3
    groups: int = 8


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """The whole image model.

    nms: instances of one prompt that share more than this part of the smaller one are one, the best-scoring; None, as
    released, keeps all.
    """

    d_model: int = 256
    heads: int = 8
    dropout: float = 0.1
    vit: ViTConfig = field(default_factory=ViTConfig)
    neck: NeckConfig = field(default_factory=NeckConfig)
    text: TextConfig = field(default_factory=TextConfig)
    geometry: GeometryConfig = field(default_factory=GeometryConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    segmentation: SegmentationConfig = field(default_factory=SegmentationConfig)
    nms: float | None = None

    def __post_init__(self) -> None:
        require_positive(self, "d_model", "heads")
        require_positive(self.decoder, "layers", "queries")
        require_positive(self.segmentation, "groups")
        if self.d_model % self.heads or self.d_model % 4:
            raise ConfigError(f"d_model {self.d_model} must be a multiple of heads {self.heads} and of 4")
        if self.d_model % self.segmentation.groups:
            raise ConfigError(f"segmentation.groups {self.segmentation.groups} do not divide d_model {self.d_model}")
        climbs = len(self.neck.scale_factors) - self.neck.dropped_levels - 1
        if not 1 <= climbs <= self.segmentation.stages:
            raise ConfigError(
                f"the neck leaves {climbs + 1} levels: at least 2 are needed, and segmentation.stages "
                f"({self.segmentation.stages}) for all but the last"
            )


def sam3() -> DetectorConfig:
    """The released sizes: about 840 M parameters at 1008 pixels."""
    return DetectorConfig()


def sam3_tiny() -> DetectorConfig:
    """The sizes of the shipped weights: a few million parameters, made for two CPU cores."""
    return DetectorConfig(
        d_model=64,
        heads=4,
        dropout=0.0,
        vit=ViTConfig(
            image_size=256,
            patch_size=8,
            pretrain_image_size=128,
            width=128,
            depth=6,
            heads=4,
            mlp_ratio=4.0,
            window=8,
            global_blocks=(2, 5),
            drop_path=0.0,
        ),
        neck=NeckConfig(scale_factors=(2.0, 1.0, 0.5, 0.5), tracker_neck=False),
        text=TextConfig(width=64, heads=2, layers=2, context_length=16, projection_dim=64),
        geometry=GeometryConfig(layers=1, ffn=128, roi_size=3),
        fusion=FusionConfig(layers=2, ffn=192),
        decoder=DecoderConfig(layers=3, ffn=192, queries=24),
        scoring=ScoringConfig(hidden=128),
        nms=0.6,
    )


PRESETS = {"sam3": sam3, "sam3_tiny": sam3_tiny}

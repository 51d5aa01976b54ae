"""Model configuration as frozen dataclasses; the defaults are the released sizes of SAM 3.

`PRESETS` names complete configurations: `sam3` and `sam3_1` as released, `sam3_tiny` for the shipped weights.
Values shared by several modules (`d_model`, `heads`, `dropout`) live in `DetectorConfig`. The configurations of clicks
and clips are written down in `video_config`, and imported from here.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise

from sam3model.errors import ConfigError
from sam3model.parse import require_positive
from sam3model.video_config import InteractiveConfig, TrackerConfig, VideoConfig


@dataclass(frozen=True, slots=True)
class ViTConfig:
    """Vision trunk: a plain ViT with windowed and global attention blocks and axial rotary embedding.

    Sizes are in pixels; `window` is in tokens. `global_blocks` are the indices of the blocks with global attention.
    """

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
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        require_positive(self, "image_size", "patch_size", "pretrain_image_size", "width", "depth", "heads", "window")
        require_positive(self, "mlp_ratio", "rope_theta", "layer_norm_eps")
        if self.image_size % self.patch_size:
            raise ConfigError(f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}")
        if self.width % self.heads or (self.width // self.heads) % 4:
            raise ConfigError(f"width {self.width} over {self.heads} heads must give a head width divisible by 4")
        if self.grid % self.window:
            raise ConfigError(f"window {self.window} does not divide the token grid {self.grid}")
        if not self.global_blocks or self.global_blocks[-1] != self.depth - 1:
            raise ConfigError("the last block must be in global_blocks: its output is the output of the trunk")

    @property
    def grid(self) -> int:
        """Tokens along one side of the image."""
        return self.image_size // self.patch_size

    @property
    def pretrain_grid(self) -> int:
        """Tokens along one side of the pretraining image: the size of the position table."""
        return self.pretrain_image_size // self.patch_size


@dataclass(frozen=True, slots=True)
class NeckHeadConfig:
    """One feature pyramid; its last `dropped_levels` levels are in the weights but never computed."""

    dropped_levels: int = 1


@dataclass(frozen=True, slots=True)
class NeckConfig:
    """Feature pyramids over the trunk: heads with the same scale factors and separate weights.

    `detection` feeds the detector, `interactive` point prompts, `propagation` the tracker; in SAM 3 the tracker uses
    `interactive` too. A head that is None does not exist.
    """

    scale_factors: tuple[float, ...] = (4.0, 2.0, 1.0, 0.5)
    detection: NeckHeadConfig = field(default_factory=NeckHeadConfig)
    interactive: NeckHeadConfig | None = field(default_factory=NeckHeadConfig)
    propagation: NeckHeadConfig | None = None

    def __post_init__(self) -> None:
        for name, head in self.heads.items():
            if not 0 <= head.dropped_levels < len(self.scale_factors):
                raise ConfigError(
                    f"neck.{name}.dropped_levels is {head.dropped_levels}, with {len(self.scale_factors)} scale factors"
                )

    @property
    def heads(self) -> dict[str, NeckHeadConfig]:
        """The existing heads by name."""
        heads = {name: getattr(self, name) for name in NECK_HEADS}
        return {name: head for name, head in heads.items() if head is not None}

    def used(self, head: str) -> tuple[float, ...]:
        """Scale factors of the levels that a head computes."""
        return self.scale_factors[: len(self.scale_factors) - self.heads[head].dropped_levels]


NECK_HEADS = ("detection", "interactive", "propagation")


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
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        require_positive(self, "width", "heads", "layers", "context_length", "vocabulary", "projection_dim")
        require_positive(self, "mlp_ratio", "layer_norm_eps")
        if self.width % self.heads:
            raise ConfigError(f"text.width {self.width} is not a multiple of text.heads {self.heads}")


@dataclass(frozen=True, slots=True)
class GeometryConfig:
    """Encoder of box, point and (optionally) mask prompts."""

    layers: int = 3
    ffn: int = 2048
    roi_size: int = 7
    mask_encoder: bool = False


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """Encoder in which image tokens attend to the prompt; at least one layer."""

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
    """The image model.

    nms: of two instances of one prompt whose masks overlap by more than this (intersection over the smaller mask), only
    the one with the higher score is kept. None, as released, keeps all.
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
        require_positive(self.geometry, "ffn", "roi_size")
        require_positive(self.fusion, "layers", "ffn")
        require_positive(self.decoder, "layers", "ffn", "queries")
        require_positive(self.scoring, "hidden", "clamp")
        require_positive(self.segmentation, "groups")
        if self.d_model % self.heads or self.d_model % 4:
            raise ConfigError(f"d_model {self.d_model} must be a multiple of heads {self.heads} and of 4")
        if self.d_model % self.segmentation.groups:
            raise ConfigError(f"segmentation.groups {self.segmentation.groups} do not divide d_model {self.d_model}")
        levels = len(self.neck.used("detection"))
        if not 2 <= levels <= self.segmentation.stages + 1:
            raise ConfigError(
                f"the detection head of the neck has {levels} levels: give it at least 2, and at most one more than "
                f"segmentation.stages ({self.segmentation.stages})"
            )


@dataclass(frozen=True, slots=True)
class Sam3Config:
    """A model and its parts. A part that is None does not exist.

    `interactive` needs the neck head of the same name; `tracker` needs `interactive`; `video` is rules without weights,
    and needs `tracker`.
    """

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    interactive: InteractiveConfig | None = None
    tracker: TrackerConfig | None = None
    video: VideoConfig | None = None

    def __post_init__(self) -> None:
        require_parts(self.parts)
        if self.interactive is not None:
            _check_interactive(self.detector, self.interactive)
        if self.tracker is not None:
            _check_tracker(self.detector, self.tracker)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that exist."""
        return tuple(part for part in PARTS if getattr(self, part) is not None)

    def only(self, parts: Collection[str] | None) -> "Sam3Config":
        """The configuration with these parts alone; None means all. Video rules that are missing are the defaults.

        Raises:
            ConfigError: a part is unknown, missing here, or asked for without one that it needs.
        """
        if parts is None:
            return self
        require_parts(parts)
        if lacking := self.lacking(parts):
            raise ConfigError(f"the configuration has no {lacking}: set it, or leave out the parts that need it")
        video = (self.video or VideoConfig()) if "video" in parts else None
        return Sam3Config(
            self.detector, self.interactive if "interactive" in parts else None,
            self.tracker if "tracker" in parts else None, video,
        )  # fmt: skip

    def lacking(self, parts: Collection[str]) -> str:
        """What the last of these parts would need and this configuration lacks, in words, or an empty string."""
        if "tracker" in parts and self.tracker is None:
            return "tracker"
        return "interactive heads" if "interactive" in parts and self.interactive is None else ""


PARTS = ("detector", "interactive", "tracker", "video")
"""Each part needs those before it."""

IMAGE_PARTS = ("detector",)
"""The parts that are built and loaded by default."""


def require_parts(parts: Collection[str]) -> None:
    """Raise `ConfigError` if a part is unknown, or if another part that it needs is not among them."""
    for part in parts:
        if part not in PARTS:
            raise ConfigError(f"unknown part {part!r}: choose from {', '.join(PARTS)}")
    if "detector" not in parts:
        raise ConfigError("parts must include 'detector'")
    for needed, part in pairwise(PARTS):
        if part in parts and needed not in parts:
            raise ConfigError(f"part {part!r} needs {needed!r}: add it to the parts")


def _check_interactive(detector: DetectorConfig, interactive: InteractiveConfig) -> None:
    if detector.neck.interactive is None:
        raise ConfigError("part 'interactive' needs the neck head of that name: set detector.neck.interactive")
    for width in (detector.d_model, detector.d_model / interactive.attention_downsample):
        if width % interactive.heads:
            raise ConfigError(f"interactive.heads {interactive.heads} do not divide the attention width {width:g}")
    if detector.d_model % 8:
        raise ConfigError(f"d_model {detector.d_model} must be a multiple of 8 for the mask decoder")


def _check_tracker(detector: DetectorConfig, tracker: TrackerConfig) -> None:
    if detector.d_model % tracker.memory_dim or tracker.memory_dim % 4:
        raise ConfigError(f"tracker.memory_dim {tracker.memory_dim} must divide d_model and be a multiple of 4")
    if detector.d_model % (4 * tracker.heads):
        raise ConfigError(f"d_model over {tracker.heads} tracker.heads must be a multiple of 4")


def sam3() -> Sam3Config:
    """SAM 3 as released: about 860 M parameters in all, 1008 pixels."""
    return Sam3Config(interactive=InteractiveConfig(), tracker=TrackerConfig(), video=VideoConfig())


def sam3_1() -> Sam3Config:
    """The detector of SAM 3.1: that of SAM 3 with three neck heads of three levels."""
    head = NeckHeadConfig(dropped_levels=0)
    return Sam3Config(DetectorConfig(neck=NeckConfig((4.0, 2.0, 1.0), head, head, head)))


def sam3_tiny() -> Sam3Config:
    """The shipped weights: a few million parameters, for two CPU cores."""
    detector = DetectorConfig(
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
        neck=NeckConfig(scale_factors=(2.0, 1.0, 0.5, 0.5)),
        text=TextConfig(width=64, heads=2, layers=2, context_length=16, projection_dim=64),
        geometry=GeometryConfig(layers=1, ffn=128, roi_size=3),
        fusion=FusionConfig(layers=2, ffn=192),
        decoder=DecoderConfig(layers=3, ffn=192, queries=24),
        scoring=ScoringConfig(hidden=128),
        nms=0.6,
    )
    interactive = InteractiveConfig(heads=4, mlp=256, iou_hidden=64, mask_width=16)
    tracker = TrackerConfig(
        memory_dim=32, memory_frames=5, layers=4, ffn=256, dropout=0.0, max_pointers=8, memory_mask_stride=8
    )
    return Sam3Config(detector, interactive, tracker, VideoConfig())


PRESETS = {"sam3": sam3, "sam3_1": sam3_1, "sam3_tiny": sam3_tiny}

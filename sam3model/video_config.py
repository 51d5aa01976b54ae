"""Configuration of clicks, tracker and video rules; import it from `sam3model.config`."""

from dataclasses import dataclass, fields
from math import isnan

from sam3model.errors import ConfigError
from sam3model.parse import require_positive


@dataclass(frozen=True, slots=True)
class InteractiveConfig:
    """Heads that turn clicks, boxes and masks into the mask of one object (SAM 2's prompt encoder and mask decoder).

    d_model and image size are those of the detector. stability_delta, stability_threshold: a single mask whose area
    shrinks by more than this when the logit threshold rises from -delta to +delta is replaced by the best of three.
    mask_width: channels of the map that masks are read from; None, as released, is an eighth of d_model.
    """

    depth: int = 2
    heads: int = 8
    mlp: int = 2048
    attention_downsample: int = 2
    mask_channels: int = 16
    iou_depth: int = 3
    iou_hidden: int = 256
    stability_delta: float = 0.05
    stability_threshold: float = 0.98
    mask_width: int | None = None

    def __post_init__(self) -> None:
        require_positive(self, "depth", "heads", "mlp", "attention_downsample", "mask_channels", "iou_depth")
        require_positive(self, "iou_hidden")
        if self.mask_width is not None:
            require_positive(self, "mask_width")
        if self.mask_channels % 4:
            raise ConfigError(f"interactive.mask_channels {self.mask_channels} must be a multiple of 4")


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Memory of earlier frames: how it is encoded, kept and read.

    memory_frames: slots with one row of the temporal code each; one of them is for all conditioning frames.
    memory_selection: read only frames on which the object was seen, instead of the last ones.
    bfloat16_memory: round stored memory to bfloat16, as the released code does.
    memory_mask_stride: pixels, along the side of a cell, of the masks that are written to memory; a power of two.
    """

    memory_dim: int = 64
    memory_frames: int = 7
    layers: int = 4
    ffn: int = 2048
    heads: int = 1
    dropout: float = 0.1
    rope_theta: float = 10000.0
    fuser_layers: int = 2
    max_pointers: int = 16
    max_conditioning_frames: int = 4
    mask_scale: float = 20.0
    mask_bias: float = -10.0
    memory_selection: bool = True
    selection_threshold: float = 0.01
    bfloat16_memory: bool = False
    memory_mask_stride: int = 16

    def __post_init__(self) -> None:
        require_positive(self, "memory_dim", "memory_frames", "layers", "ffn", "heads", "rope_theta", "fuser_layers")
        require_positive(self, "max_pointers", "max_conditioning_frames", "mask_scale")
        if self.memory_mask_stride < 1 or self.memory_mask_stride & (self.memory_mask_stride - 1):
            raise ConfigError(f"tracker.memory_mask_stride {self.memory_mask_stride} must be a power of two")


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """Rules of the video pipeline. Frames are counted, IoUs and scores are in 0..1; areas are in low-resolution pixels.

    detection_score: minimum score of a detection (exclusive). new_object_score: minimum score of a detection that
    starts an object. detection_nms: of two detections that overlap more, the better is kept. match_iou: a detection
    that overlaps a track this much is not new. track_match_iou: a track that no detection overlaps this much is
    unmatched. confident_score, confident_iou: from these on, a detection may correct its track every
    `recondition_every` frames (0 or less: never), and on frames where the IoU of their boxes is below
    `recondition_box_iou`, if the detection scores `recondition_box_score` (an IoU of 0: never).
    hotstart_delay: frames that an output is held back, and within which a young object may be removed because it was
    unmatched (`hotstart_unmatched`) or matched the same detection as an older one (`hotstart_duplicate`) this often.
    keep_alive_initial, _max, _min: bounds of the counter of matched minus unmatched frames.
    suppress_unmatched_only_within_hotstart: whether an unmatched object is hidden only while it is young.
    empty_lowers_keep_alive: whether an empty mask counts as unmatched for the counter.
    occlusion_iou: of two objects that overlap this much, the one occluded more recently is hidden (0: off).
    shrink_ratio: an object that keeps less than this of its area once overlaps are resolved is left out of memory.
    hole_area: holes and specks of at most this area are removed.
    boundary_margin: drop detections whose box has its centre within this part of the side from the border (0: off).
    one_to_one_matching: match detections and tracks by the Hungarian method.
    confirmation_frames: consecutive matched frames before an object is shown (0: at once).
    max_objects: maximum number of objects at once; phrases start no more (None: no limit).
    click_window: detector prompts within this many frames of a click lose their rank as conditioning frames.
    retire_after: an object not seen for this many frames gives its memory back (None: never).
    """

    detection_score: float = 0.5
    new_object_score: float = 0.7
    detection_nms: float = 0.1
    match_iou: float = 0.1
    track_match_iou: float = 0.5
    one_to_one_matching: bool = False
    confident_score: float = 0.8
    confident_iou: float = 0.8
    recondition_every: int = 16
    recondition_box_iou: float = 0.0
    recondition_box_score: float = 0.0
    hotstart_delay: int = 15
    hotstart_unmatched: int = 8
    hotstart_duplicate: int = 8
    suppress_unmatched_only_within_hotstart: bool = True
    keep_alive_initial: int = 30
    keep_alive_max: int = 30
    keep_alive_min: int = -1
    empty_lowers_keep_alive: bool = False
    occlusion_iou: float = 0.7
    shrink_ratio: float = 0.3
    hole_area: int = 16
    boundary_margin: float = 0.0
    confirmation_frames: int = 0
    max_objects: int | None = None
    click_window: int = 16
    retire_after: int | None = 256

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None and item.name in ("max_objects", "retire_after"):
                continue
            if not isinstance(value, int | float) or isnan(value):
                raise ConfigError(f"VideoConfig.{item.name} must be a number, not {value!r}")
            if value < 0 and item.name not in ("keep_alive_min", "recondition_every"):
                raise ConfigError(f"VideoConfig.{item.name} must not be negative, but is {value}")

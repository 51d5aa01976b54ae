"""Settings of the clips that are trained on. `sam3model.parse` reads them from plain mappings."""

from dataclasses import dataclass, field
from typing import Any, Literal

from sam3model.data.affine_motion import AffineMotion
from sam3model.errors import ConfigError
from sam3model.training.limits import require_above_zero, require_fraction

ClipSetSource = Literal[
    "playground", "playground_stills", "playground_scenes", "coco", "saco",
    "davis", "mose", "sav", "ytvis", "lvvis", "burst", "veval",
]  # fmt: skip
_RENDERED = ("playground", "playground_stills", "playground_scenes")


@dataclass(frozen=True, slots=True)
class ClipSetConfig:
    """Training and validation clips.

    source: rendered Playground clips, or its scenes as clips of one frame (`playground_stills`); scenes
    (`playground_scenes`) or still images (COCO, SA-Co) that are moved; or a data set of clips in the layout of its
    download: DAVIS 2017, MOSE (also YouTube-VOS), SA-V, YouTube-VIS, LV-VIS, BURST, SA-Co/VEval. root: its folder.
    split, val_split: names of the splits. Without a validation split, the fraction
    `held_out` of the training clips is used for validation. annotations, images, val_annotations, val_images: as for
    the training of phrases; still images only. max_clips: number of training clips to use.
    stride: minimum and maximum distance of the frames of a sample, counted in annotated frames. reverse: fraction of
    samples that run backwards. between: count the distance in all frames of a clip, annotated or not. automatic: also
    use the automatic masks of SA-V. motion: how far still images move. transforms: augmentations in order, each
    `{name: {setting: value}}`, the same for all frames of a sample; annotated clips only.
    broken: fraction of clips, frames or masks that may be unusable; the data set is refused if there are more.
    """

    source: ClipSetSource = "playground"
    root: str | None = None
    split: str = "train"
    val_split: str = "val"
    held_out: float = 0.1
    annotations: str | None = None
    images: str | None = None
    val_annotations: str | None = None
    val_images: str | None = None
    max_clips: int | None = None
    stride: tuple[int, int] = (1, 3)
    reverse: float = 0.0
    between: bool = False
    automatic: bool = False
    motion: AffineMotion = field(default_factory=AffineMotion)
    transforms: tuple[dict[str, dict[str, Any]], ...] = ()
    broken: float = 0.1

    def __post_init__(self) -> None:
        require_above_zero(self, "data", "max_clips", "stride")
        require_fraction(self, "data", "reverse", "held_out", "broken")
        if self.stride[0] > self.stride[1]:
            raise ConfigError(f"data.stride must be a minimum and a maximum, not {list(self.stride)}")
        if self.source not in _RENDERED and self.root is None:
            raise ConfigError("data.root is missing: give the folder of the data set, as data.root=DIR")

"""What finds masks: a Protocol, so that the agent runs over the local model, a remote one, or a fake.

`LocalSegmenter` wraps `sam3model.image.Sam3ImagePredictor` and imports torch on first use only.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

LEAST_SCORE = 0.5
"""The threshold where none is given."""


class InstancesLike(Protocol):
    """Masks (n, H, W) bool, boxes (n, 4) xyxy pixels, scores (n,), as `sam3model.image.Instances` carries them."""

    @property
    def masks(self) -> np.ndarray:
        """(n, H, W) bool, at the size of the picture."""
        ...

    @property
    def boxes(self) -> np.ndarray:
        """(n, 4) float32 xyxy in pixels of the picture."""
        ...

    @property
    def scores(self) -> np.ndarray:
        """(n,) float32, 0..1."""
        ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt of marks, in pixels of the picture; label 1 means "like this", 0 "not like this"."""

    phrase: str | None = None
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    box_labels: tuple[int, ...] = ()
    points: tuple[tuple[float, float], ...] = ()
    point_labels: tuple[int, ...] = ()


class SegmenterSession(Protocol):
    """One picture, encoded once and asked many times."""

    def segment_phrases(self, phrases: Sequence[str], threshold: float | None = None) -> Sequence[InstancesLike]:
        """Every instance of each phrase, one result per phrase in order, best score first."""
        ...

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None) -> InstancesLike:
        """Every instance of what the boxes, points and phrase show."""
        ...


@runtime_checkable
class Segmenter(Protocol):
    """Opens pictures. `name` goes into answers and traces."""

    @property
    def name(self) -> str:
        """Which weights answer, e.g. "tiny"."""
        ...

    def open(self, image: "Image.Image") -> SegmenterSession:
        """A session on an RGB picture."""
        ...


class LocalSegmenter:
    """The image model in this process. Weights are loaded when the first picture is opened, then kept.

    Any thread may ask; one is served at a time, since the model keeps a cache and all the cores.
    """

    def __init__(self, weights: str = "tiny", device: str = "auto", dtype: str = "auto") -> None:
        self.name = weights
        self.device = device
        self.dtype = dtype
        self._predictor: Any = None
        self._turn = threading.Lock()

    def open(self, image: "Image.Image") -> SegmenterSession:
        """Encode the picture once; raises `CheckpointError` where the weights cannot be loaded."""
        with self._turn:
            if self._predictor is None:
                from sam3model.image import Sam3ImagePredictor

                self._predictor = Sam3ImagePredictor.from_weights(self.name, device=self.device, dtype=self.dtype)
            return _LocalSession(self._predictor, self._predictor.encode(image), self._turn)


class _LocalSession:
    """A predictor and the features of one picture."""

    def __init__(self, predictor: Any, encoded: Any, turn: threading.Lock) -> None:
        self._predictor = predictor
        self._encoded = encoded
        self._turn = turn

    def segment_phrases(self, phrases: Sequence[str], threshold: float | None = None) -> Sequence[InstancesLike]:
        least = LEAST_SCORE if threshold is None else threshold
        with self._turn:
            return self._predictor.predict(self._encoded, list(phrases), threshold=least)

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None) -> InstancesLike:
        with self._turn:
            return self._predictor.predict_prompt(
                self._encoded,
                phrase=prompt.phrase,
                boxes=np.asarray(prompt.boxes, np.float32).reshape(-1, 4),
                box_labels=list(prompt.box_labels),
                points=np.asarray(prompt.points, np.float32).reshape(-1, 2),
                point_labels=list(prompt.point_labels),
                threshold=LEAST_SCORE if threshold is None else threshold,
            )

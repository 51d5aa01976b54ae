"""The model in this process, for frames and for clips. Torch, and what clips need, are imported on first use."""

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sam3model.build import Sam3Model
    from sam3model.checkpoint import LoadReport
    from sam3model.image import Sam3ImagePredictor
    from sam3model.video_predictor import Sam3VideoPredictor


class LocalModel:
    """Weights that are loaded on first use, and kept. Safe to call from any thread."""

    def __init__(
        self, weights: str = "tiny", device: str = "auto", dtype: str = "auto", *, for_clips: bool = False
    ) -> None:
        """for_clips: load the tracker with the rest, if the weights have one: it is small, and the detector is then in
        memory once, whatever is asked for first.
        """
        self.weights, self.device, self.dtype = weights, device, dtype
        self._for_clips = for_clips
        self._image: Sam3ImagePredictor | None = None
        self._video: Sam3VideoPredictor | None = None
        self._with_tracker: tuple[Sam3Model, LoadReport] | None = None
        self._lock = threading.Lock()

    def image_predictor(self) -> "Sam3ImagePredictor":
        """What segments images. Raises `CheckpointError` if the weights cannot be loaded."""
        with self._lock:
            if self._image is None and self._for_clips:
                self._load_all()
            if self._image is None:
                from sam3model.image import Sam3ImagePredictor

                self._image = Sam3ImagePredictor.from_weights(self.weights, device=self.device, dtype=self.dtype)
            return self._image

    def video_predictor(self) -> "Sam3VideoPredictor":
        """What follows objects. Raises `CheckpointError` if the weights cannot be loaded or have no tracker."""
        with self._lock:
            if self._image is None and self._for_clips:
                self._load_all()
            if self._video is None:
                from sam3model.video_predictor import Sam3VideoPredictor

                if self._with_tracker is None:
                    self._video = Sam3VideoPredictor.from_weights(self.weights, device=self.device, dtype=self.dtype)
                else:
                    model, report = self._with_tracker
                    self._video = Sam3VideoPredictor(model, report=report)
            return self._video

    def _load_all(self) -> None:
        """Load all parts of the weights, and make the predictor for images. That for clips is made on first use."""
        from sam3model.devices import resolve_device
        from sam3model.image import Sam3ImagePredictor
        from sam3model.quantise import load_in_precision

        device = resolve_device(self.device)
        model, report = load_in_precision(self.weights, device=device, dtype=self.dtype, parts=None)
        self._image = Sam3ImagePredictor(model.detector, interactive=model.interactive, report=report)
        if model.tracker is not None:
            self._with_tracker = model, report

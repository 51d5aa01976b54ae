"""The video predictor: find phrases in a clip and follow every instance, or follow objects that a user points at."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam3model.build import Sam3Model
from sam3model.checkpoint import LoadReport
from sam3model.compile import CompileMode, compile_model, usable_mode
from sam3model.config import PARTS, VideoConfig
from sam3model.devices import resolve_device, resolve_dtype
from sam3model.errors import ConfigError, InputError
from sam3model.frame_results import FrameResult
from sam3model.frames import FrameSource, open_frames, prefetched
from sam3model.frames.frame_source import DEFAULT_RATE
from sam3model.ops.resize import preprocess
from sam3model.quantise import load_in_precision
from sam3model.structures import TextTokens
from sam3model.text import PhraseCache
from sam3model.tracker.group import TrackerParts
from sam3model.video.pushed_frames import PushedFrames
from sam3model.video.session import PromptedObject, SessionParts, VideoSession

__all__ = ["FrameResult", "PromptedObject", "Sam3VideoPredictor", "VideoSession"]


class Sam3VideoPredictor:
    """Segments clips with a loaded model. Sessions of one predictor share its weights and its encoded phrases.

    >>> session = predictor.open("clip.mp4")                    # doctest: +SKIP
    >>> session.add_phrases(["player in white", "ball"])        # doctest: +SKIP
    >>> for result in session.propagate(): print(result.frame, result.ids)  # doctest: +SKIP
    """

    def __init__(self, model: Sam3Model, *, report: LoadReport | None = None) -> None:
        """model: with interactive heads and a tracker; without rules of its own, the released rules are used.

        Raises:
            InputError: the model lacks a part.
        """
        if model.interactive is None or model.tracker is None:
            raise InputError("video needs a model with interactive heads and a tracker: load it with these parts")
        self.model = model.eval()
        self.config = model.video or VideoConfig()
        self.report = report
        self._tracking = TrackerParts(model.interactive, model.tracker)
        self._phrases = PhraseCache(model.detector, model.detector.config.text.context_length)

    @classmethod
    def from_weights(
        cls,
        name_or_path: str | Path = "tiny",
        *,
        device: str = "auto",
        dtype: str = "auto",
        compile_mode: CompileMode | None = None,
    ) -> "Sam3VideoPredictor":
        """Load weights (see `sam3model.checkpoint.load_with_report`) onto a device, by default in its best precision.

        compile_mode: of torch.compile, for CUDA only: the first frames take minutes. The parts whose input grows with
            the number of objects or of remembered frames record no CUDA graphs, which would be new ones every time.

        Raises:
            CheckpointError: the weights cannot be found, do not fit the model, or have no tracker.
            InputError: unknown device, dtype or mode.
        """
        target = resolve_device(device)
        resolve_dtype(dtype, target)  # a mistyped one is named before any file is read
        mode = None if compile_mode is None else usable_mode(compile_mode, target)
        model, report = load_in_precision(name_or_path, device=target, dtype=dtype, parts=PARTS)
        if mode is not None:
            compile_model(model, mode=mode)
        return cls(model, report=report)

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self._tracking.tracker.no_obj_ptr.device

    def open(
        self,
        source: FrameSource | str | Path | Sequence[Any] | Iterable[Any],
        *,
        rate: float = DEFAULT_RATE,
        **rules: Any,
    ) -> VideoSession:
        """A session on a clip. Close it at the end, or use it in a `with` statement.

        Clips and folders are read ahead in a thread. A `FrameSource` is left open for its owner to close.

        Args:
            source: what `sam3model.frames.open_frames` accepts: a clip, a folder, a list or an iterator of images.
            rate: frames per second of sources that have no times.
            rules: fields of `VideoConfig` to change for this session, e.g. `detection_score=0.3`.

        Raises:
            InputError: the source cannot be read, or an unknown rule.
        """
        parts, frames = self._parts(rules), open_frames(source, rate=rate)
        if isinstance(source, str | Path):
            frames = prefetched(frames, ahead=1)
        return VideoSession(parts, frames, owned=frames is not source)

    def open_live(self, *, rate: float = DEFAULT_RATE, **rules: Any) -> VideoSession:
        """A session whose frames arrive one by one: give them to `push`. Arguments as for `open`."""
        return VideoSession(self._parts(rules), PushedFrames(rate))

    def _parts(self, rules: dict[str, Any]) -> SessionParts:
        try:
            config = replace(self.config, **rules)
        except ConfigError as error:
            raise InputError(str(error)) from error
        except TypeError as error:
            raise InputError(f"unknown rule among {', '.join(rules)}: see VideoConfig for their names") from error
        return SessionParts(self.model.detector, self._tracking, config, self._encode_phrases, self._preprocess)

    @torch.inference_mode()
    def _encode_phrases(self, phrases: Sequence[str]) -> TextTokens:
        return self._phrases(phrases, self.device)

    def _preprocess(self, frame: NDArray[np.uint8]) -> Tensor:
        return preprocess(frame, self.model.detector.config.vit.image_size, self.device)

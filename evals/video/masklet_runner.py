"""Runs a method on annotated clips: the tracker, or a baseline that shows what tracking gives."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from evals.samples import MaskedClip, MaskletPrediction, MaskletSample, PredictedTrack
from sam3model.errors import InputError

Tick = Callable[[], None]
"""Called once per frame; raises `InputError` if the run was cancelled."""
Tracks = tuple[PredictedTrack, ...]


class MaskletMethod(Protocol):
    """Finds and follows objects of a clip under one of three protocols.

    title: what distinguishes the method in tables, "" for the tracker itself.
    """

    title: str

    def follow(self, clip: MaskedClip, *, clicks: bool, tick: Tick) -> Tracks:
        """Follow every prompted object from the frame of its prompt on, given by its mask there or by one click."""
        ...

    def find(self, clip: MaskedClip, phrases: Sequence[str], *, tick: Tick) -> Tracks:
        """Every instance of the phrases on all frames."""
        ...


class MaskletRunner:
    """Predicts one clip at a time under the chosen protocols: "mask", "click" and "phrase"."""

    def __init__(self, method: MaskletMethod, name: str, protocols: Sequence[str]) -> None:
        self.system = f"{name} ({method.title})" if method.title else name
        self.method = method
        self.protocols = tuple(protocols)
        self._cancelled = threading.Event()

    async def __call__(self, sample: MaskletSample) -> MaskletPrediction:
        """The tracks under every protocol."""
        try:
            return await asyncio.to_thread(self._predict, sample)
        except asyncio.CancelledError:
            self._cancelled.set()  # the thread stops after the current frame, so that Ctrl-C need not wait for the clip
            raise

    def _predict(self, sample: MaskletSample) -> MaskletPrediction:
        clip = sample.load()
        return MaskletPrediction(sample.phrases, {name: self._tracks(name, clip, sample) for name in self.protocols})

    def _tracks(self, protocol: str, clip: MaskedClip, sample: MaskletSample) -> Tracks:
        if protocol == "phrase":
            return self.method.find(clip, sample.phrases, tick=self._tick)
        return self.method.follow(clip, clicks=protocol == "click", tick=self._tick)

    def _tick(self) -> None:
        if self._cancelled.is_set():
            raise InputError("the run was cancelled")

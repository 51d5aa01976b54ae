"""What tools work on: a picture, a segmenter session and the mask pool. Immutable: a tool returns the next pool."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sam3agent.agent.pool import MaskPool
from sam3agent.mllm.base import Picture
from sam3agent.segmenter import SegmenterSession

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, eq=False)
class Workbench:
    """picture: RGB. session: its open segmenter session. threshold: the least score to keep; None: the segmenter's."""

    picture: "Image.Image"
    session: SegmenterSession
    pool: MaskPool = field(default_factory=MaskPool)
    threshold: float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.picture.size

    @property
    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8 view of the picture."""
        return np.asarray(self.picture)

    def with_pool(self, pool: MaskPool) -> "Workbench":
        """The same bench over another pool."""
        return replace(self, pool=pool)


@dataclass(frozen=True, eq=False, slots=True)
class ToolResult:
    """What a tool did.

    text: a sentence or table for a model to read. data: the same as JSON values (MCP's structured content).
    pool: the pool afterwards. pictures: rendered only if somebody looks (an MCP server sends them as image content).
    """

    text: str
    data: Mapping[str, Any]
    pool: MaskPool
    pictures: tuple[Picture, ...] = ()

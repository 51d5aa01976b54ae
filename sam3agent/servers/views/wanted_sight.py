"""What a page wants to see of its view: the arguments of a look, checked."""

from typing import Annotated

from pydantic import BaseModel, Field

from sam3agent.servers.studio.studio_actions import FrameNumber

MAX_FRAMES = 8
"""Maximum number of frames in one message."""


class WantedSight(BaseModel):
    """What is wanted; each kind of look uses some of it.

    frame, last: the first and the last frame of masks. frames, side: of images, and their longest side in pixels. part,
    index: of a message in parts. image: what a call named.
    """

    frame: FrameNumber = 0
    last: FrameNumber = 0
    frames: Annotated[list[FrameNumber], Field(max_length=MAX_FRAMES)] = [0]
    side: Annotated[float, Field(allow_inf_nan=False)] = 1600
    part: Annotated[str, Field(max_length=64)] = ""
    index: Annotated[int, Field(ge=0, lt=1 << 31)] = 0
    image: str = ""

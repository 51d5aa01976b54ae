"""The frames that a propagation visits, in order."""

import sys


def video_order(start: int, limit: int | None, frames: int | None, *, reverse: bool = False) -> range:
    """Frames of a propagation of the video pipeline from `start`, at most `limit` frames away from it.

    `frames` is the length of the clip; None means that it is not known, and a clip without end. Backwards, the start
    frame itself is left out, because its output exists already.

    >>> list(video_order(4, 2, 8)), list(video_order(4, 2, 8, reverse=True))
    ([4, 5, 6], [3, 2])
    """
    order = tracker_order(start, limit, frames, reverse=reverse)
    return order[1:] if reverse else order


def tracker_order(start: int, limit: int | None, frames: int | None, *, reverse: bool = False) -> range:
    """As `video_order`, for the tracker alone: the start frame is included in both directions.

    >>> list(tracker_order(4, 2, 8, reverse=True))
    [4, 3, 2]
    """
    if reverse:
        return range(start, (0 if limit is None else max(0, start - limit)) - 1, -1)
    last = sys.maxsize - 1 if frames is None else frames - 1
    return range(start, (last if limit is None else min(last, start + limit)) + 1)

"""Region and boundary similarity of two masks (DAVIS J and F), with each mask as one Python integer.

A pixel of the window around both masks is the bit `column * stride + row`. A run within a column is then the difference
of two powers of two, moving to a neighbour is a shift, dilation by a disk is a few dozen shifts of the whole mask, and
an area is `int.bit_count`. No pixel arrays are needed.
"""

import math
from functools import cache

import numpy as np

from sam3model.metrics.column_runs import Runs

BOUNDARY_TOLERANCE = 0.008


def boundary_radius(height: int, width: int) -> int:
    """Boundary tolerance in pixels: 0.8 % of the image diagonal, rounded up.

    >>> boundary_radius(480, 640)
    7
    """
    return math.ceil(BOUNDARY_TOLERANCE * math.hypot(height, width))


@cache
def disk_widths(radius: int) -> tuple[int, ...]:
    """Half the height of each column of a disk, from the centre outwards.

    >>> disk_widths(3)
    (3, 2, 2, 0)
    """
    return tuple(math.isqrt(radius * radius - x * x) for x in range(radius + 1))


class Window:
    """A region of the image, box x0, y0, x1, y1, with enough padding between columns for a disk."""

    def __init__(self, box: tuple[int, int, int, int], height: int, width: int, radius: int):
        self.x0, self.y0, x1, y1 = box
        self.columns, self.rows = x1 - self.x0, y1 - self.y0
        self.at_right, self.at_bottom = x1 == width, y1 == height
        self.radius = radius
        self.stride = self.rows + max(radius, 1)

    def bits(self, runs: Runs) -> int:
        """The mask as an integer."""
        offset = (runs.column - self.x0) * self.stride - self.y0
        ends = np.zeros((2, (self.columns + 1) * self.stride), bool)
        ends[0, offset + runs.top] = True
        ends[1, offset + runs.bottom] = True
        starts, stops = np.packbits(ends, axis=1, bitorder="little")
        return int.from_bytes(stops.tobytes(), "little") - int.from_bytes(starts.tobytes(), "little")

    def boundary(self, mask: int) -> int:
        """Pixels that differ from the right, lower or lower right neighbour; the image border is not a boundary."""
        stride = self.stride
        first_row = _repeat(1, stride, self.columns)
        if self.at_bottom:
            mask |= (mask & first_row << (self.rows - 1)) << 1
        if self.at_right:
            mask |= mask >> stride * (self.columns - 1) << stride * self.columns
        edges = (mask ^ mask >> 1) | (mask ^ mask >> stride) | (mask ^ mask >> stride + 1)
        return edges & ((first_row << self.rows) - first_row)

    def dilate(self, points: int) -> int:
        """All pixels within the radius of a point. May also set pixels outside the window."""
        widths = disk_widths(self.radius)
        columns = [points]
        for width in range(1, widths[0] + 1):
            line = columns[-1]
            columns.append(line << 1 | line >> 1 | (points if width == 1 else 0))
        left = right = 0
        for width in reversed(widths[1:]):
            left = (left | columns[width]) << self.stride
            right = (right | columns[width]) >> self.stride
        return columns[widths[0]] | left | right


def _repeat(bits: int, stride: int, times: int) -> int:
    """`bits` repeated at 0, stride, 2 * stride .. (times - 1) * stride, by doubling."""
    result, placed = bits, 1
    while placed < times:
        step = min(placed, times - placed)
        result |= result << stride * step
        placed += step
    return result


def region_and_boundary(target: Runs, prediction: Runs, height: int, width: int, radius: int) -> tuple[float, float]:
    """J (IoU) and F (boundary F-measure) of two masks in one frame, each 0 to 1.

    J is 1 if both masks are empty. For F, boundary pixels match if they are within the radius of the other boundary.
    """
    if not len(target.column) or not len(prediction.column):
        area = target.area + prediction.area
        return float(area == 0), float(area in (0, height * width))  # a mask of the whole image has no boundary
    boxes = np.array([target.box, prediction.box])
    x0, y0 = np.maximum(boxes[:, :2].min(0) - 1, 0).tolist()
    x1, y1 = boxes[:, 2:].max(0).tolist()
    window = Window((x0, y0, x1, y1), height, width, radius)
    bits = window.bits(target), window.bits(prediction)
    common = (bits[0] & bits[1]).bit_count()
    j = common / (target.area + prediction.area - common)
    return j, boundary_f(window.boundary(bits[0]), window.boundary(bits[1]), window)


def boundary_f(target: int, prediction: int, window: Window) -> float:
    """F-measure of two boundaries; an empty one (of a mask of the whole image) only matches an empty one."""
    if not target or not prediction:
        return float(target == prediction)
    precision = (prediction & window.dilate(target)).bit_count() / prediction.bit_count()
    recall = (target & window.dilate(prediction)).bit_count() / target.bit_count()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

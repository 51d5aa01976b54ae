"""Reading a long clip does not need more memory than a short one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sam3model.frames.frame_source import FrameCache
from tests.clips import write_clip

SCRIPT = """
import resource, sys
from sam3model.frames import open_frames, read_frames
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
source = open_frames(sys.argv[1])
early = 0
for t, frame in read_frames(source):
    if t == 200:
        early = peak()
print(t + 1, len(source._cache), peak() - early)
"""


def test_the_cache_is_bounded_in_number_and_bytes() -> None:
    cache = FrameCache((100, 100), frames=5, limit=100_000)  # three frames of 30,000 bytes
    for t in range(50):
        cache.put(t, np.zeros((100, 100, 3), np.uint8))
        cache.get(0)
    assert cache.capacity == len(cache) == 3
    assert 0 in cache  # used all the time
    assert FrameCache((64, 64)).capacity == 32
    assert FrameCache((7680, 4320)).capacity == 1


@pytest.mark.slow
def test_reading_3000_frames_keeps_memory_flat(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 3000, size=(64, 64), gop=250)
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=True)
    count, cached, grown = map(int, done.stdout.split())
    assert (count, cached) == (3000, 32)
    assert grown < 4096  # KiB

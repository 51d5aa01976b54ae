"""Time a question costs apart from its MLLM and its masks: both are free here, and every image is drawn and encoded.

python benchmarks/agent_overhead.py [--runs 20] [--masks 5] [--effort medium]
"""

import argparse
import asyncio
import statistics
import time
from dataclasses import replace

import numpy as np
from PIL import Image

from sam3agent.agent.policy import policy_of
from sam3agent.api import Agent
from sam3agent.images import LazyImage
from sam3agent.mllm.base import MLLMReply, MLLMRequest
from sam3agent.testing import ScriptedBackend, ScriptedSegmenter, call

SIZE = (640, 360)


class SeeingBackend(ScriptedBackend):
    """Reads the bytes of all images, as a server would."""

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """The next line of the script."""
        for message in request.messages:
            for part in message.parts:
                if isinstance(part, LazyImage):
                    _ = part.data
        return await super().decide(request)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--masks", type=int, default=5)
    parser.add_argument("--effort", choices=("low", "medium", "high"), default="medium")
    flags = parser.parse_args()
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE[1] // 8, SIZE[0] // 8, 3), np.uint8)
    image = Image.fromarray(pixels).resize(SIZE, Image.Resampling.BICUBIC)
    step = SIZE[0] // flags.masks
    boxes = [(n * step + 4, 100, n * step + step // 2, 240) for n in range(flags.masks)]
    ids = list(range(2, flags.masks + 1))  # mask 1 is left out, so that it is looked at
    selection = call("select_masks", what="player", ids=ids, keep=["leftmost"])
    lines = [call("segment_phrase", phrases=["player"]), selection, *['{"wrong": [], "missing": []}'] * 2]
    times, calls = [], 0
    for _ in range(flags.runs + 1):
        backend = SeeingBackend(lines, {None: '{"verdict": "accept"}'})
        agent = Agent(ScriptedSegmenter({"player": boxes}), backend, policy=replace(policy_of(flags.effort)))
        started = time.process_time()
        answer = asyncio.run(agent.aask(image, "leftmost player"))
        times.append(time.process_time() - started)
        calls = answer.costs.mllm_calls
    print(f"{1000 * statistics.median(times[1:]):.0f} ms of processor time per question ({flags.masks} masks, {calls} calls, {SIZE})")


if __name__ == "__main__":
    main()

"""Steps of `benchmarks.gpu` about clips: time per frame by number of objects."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from benchmarks.gpu_setup import PHRASES, Setting, peak_gigabytes, wait
from benchmarks.gpu_steps import Report, SkipStepError
from sam3model.detector.scoring import joint_logits
from sam3model.frames import FrameList
from sam3model.ops.resize import preprocess
from sam3model.video_predictor import Sam3VideoPredictor

OBJECTS = (1, 5, 16, 64)
FRAMES, WARM_UP = 16, 8
"""Memory grows until its seven frames are full; frames before that do not count."""

RULES = {
    "new_object_score": 2.0, "detection_nms": 1.0, "hotstart_delay": 0, "hotstart_unmatched": 0,
    "hotstart_duplicate": 0, "recondition_every": 0, "max_objects": None,
}  # fmt: skip
"""Objects of the first frame are followed, and nothing else happens."""


def follow(setting: Setting, report: Report, objects: int) -> None:
    """Follow this many objects through a clip in bfloat16."""
    if objects > setting.config.detector.decoder.queries // 2:
        raise SkipStepError(f"this size finds at most {setting.config.detector.decoder.queries // 2} objects")
    predictor = Sam3VideoPredictor(setting.model(torch.bfloat16))
    images = [np.roll(setting.image(), 4 * shift, axis=1) for shift in range(FRAMES)]
    with predictor.open(FrameList(images), detection_score=_threshold(setting, predictor, objects), **RULES) as session:
        session.add_phrases([PHRASES[0]])
        times, start = [], time.perf_counter()
        for _ in session.propagate():
            wait(setting.device)
            times.append(1e3 * (time.perf_counter() - start))
            start = time.perf_counter()
        report.check("objects that were followed", len(session.object_ids), least=objects, most=objects)
    report.figure("frame", float(np.median(times[WARM_UP:])), "ms")
    report.figure("slowest frame with full memory", max(times[WARM_UP:]), "ms")
    report.figure("peak memory", peak_gigabytes(setting), "GB")


@torch.inference_mode()
def _threshold(setting: Setting, predictor: Sam3VideoPredictor, objects: int) -> float:
    """A detection score that exactly this many queries exceed on the first frame."""
    detector = predictor.model.detector
    weight = detector.decoder.query_embed.weight
    pixels = preprocess(setting.image(), detector.config.vit.image_size, weight.device).unsqueeze(0).to(weight.dtype)
    features, index = detector.encode_image(pixels), torch.zeros(1, dtype=torch.long, device=weight.device)
    geometry = detector.encode_geometry(None, features, index)
    grounding = detector.fuse_and_decode(features, predictor._encode_phrases([PHRASES[0]]), geometry, index)
    scores = joint_logits(grounding.logits.float(), grounding.presence.float()).sigmoid()
    best = scores.flatten().sort(descending=True).values
    return float(best[objects - 1] + best[objects]) / 2


STEPS: dict[str, Callable[[Setting, Report], None]] = {
    f"video-{count}": partial(follow, objects=count) for count in OBJECTS
}

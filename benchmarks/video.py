"""Seconds per frame and peak memory of the video pipeline, beside transformers' `Sam3VideoModel` with the same weights.

    python -m benchmarks.video                 # reduced size: 1, 4 and 16 objects
    python -m benchmarks.video --released      # released size, few frames; needs 16 GB and an hour on two cores
    python -m benchmarks.video --length        # memory against the length of a clip

Weights are random; thresholds are set so that exactly as many objects are found on the first frame, and no more later.
Every cell of a table runs in a process of its own. The first frames, on which objects start, do not count. The last
column is what decoding the clip, encoding an overlay and run-length encoding the masks take of our time per frame.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.apart import measure_apart, peak_memory
from sam3model.build import build
from sam3model.checkpoint import load, save_transformers
from sam3model.config import PARTS, DetectorConfig, InteractiveConfig, Sam3Config, TrackerConfig, VideoConfig, ViTConfig
from sam3model.frames import ClipWriter, FrameList, open_frames
from sam3model.ops.masks import encode_rle
from sam3model.ops.resize import preprocess
from sam3model.text import PhraseCache, Tokenizer
from sam3model.video_predictor import Sam3VideoPredictor

PHRASE = "ball"
WARM_UP = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement. threads: of torch."""

    folder: str
    ours: bool
    objects: int
    frames: int
    size: tuple[int, int]
    threads: int


def reduced() -> Sam3Config:
    """The released tracker and decoder on a small trunk at 336 pixels, so that the tracker's share shows."""
    vit = ViTConfig(
        image_size=336, width=256, depth=4, heads=4, window=12, global_blocks=(1, 3), pretrain_image_size=168
    )
    return Sam3Config(DetectorConfig(vit=vit), InteractiveConfig(), TrackerConfig(), VideoConfig())


class DriftingNoise(Sequence[np.ndarray]):
    """Noise that drifts slowly, in tiles of 16 pixels; a frame is drawn when it is read, so that no clip is held."""

    def __init__(self, frames: int, size: tuple[int, int]) -> None:
        """size: width and height, rounded down to whole tiles."""
        self.frames, self.columns = frames, size[0] // 16
        self.noise = np.random.RandomState(0).randint(0, 256, (size[1] // 16, self.columns + frames, 3), np.uint8)

    def __len__(self) -> int:
        return self.frames

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self.frames:
            raise IndexError(index)
        return self.noise[:, index : index + self.columns].repeat(16, 0).repeat(16, 1)


@torch.inference_mode()
def threshold_for(predictor: Sam3VideoPredictor, image: np.ndarray, objects: int) -> float:
    """Detection score that exactly this many queries exceed on an image."""
    detector = predictor.model.detector
    features = detector.encode_image(preprocess(image, detector.config.vit.image_size).unsqueeze(0))
    index = torch.zeros(1, dtype=torch.long)
    text = PhraseCache(detector, detector.config.text.context_length)([PHRASE], torch.device("cpu"))
    grounding = detector.fuse_and_decode(features, text, detector.encode_geometry(None, features, index), index)
    return between((grounding.logits.sigmoid() * grounding.presence.sigmoid()[:, None])[0], objects)


def between(scores: torch.Tensor, objects: int) -> float:
    """A threshold that this many of the scores exceed."""
    best = scores.sort(descending=True).values
    return float(best[objects - 1] + best[objects]) / 2


def rules(threshold: float) -> dict[str, Any]:
    """Settings under which the objects of the first frame are followed and nothing else happens."""
    return {
        "detection_score": threshold, "new_object_score": 2.0, "detection_nms": 1.0, "hotstart_delay": 0,
        "hotstart_unmatched": 0, "hotstart_duplicate": 0, "recondition_every": 0,
    }  # fmt: skip


def run_ours(cell: Cell) -> list[float]:
    """Seconds of every frame."""
    model = load(cell.folder, parts=PARTS)
    if model.tracker is None:
        raise SystemExit("the model has no tracker")
    model.tracker.config = replace(model.tracker.config, memory_selection=False)  # transformers has no such choice
    predictor = Sam3VideoPredictor(model)
    images = DriftingNoise(cell.frames, cell.size)
    session = predictor.open(FrameList(images), **rules(threshold_for(predictor, images[0], cell.objects)))
    session.add_phrases([PHRASE])
    times, start = [], time.perf_counter()
    for _ in session.propagate():
        times.append(time.perf_counter() - start)
        start = time.perf_counter()
    if len(session.object_ids) != cell.objects:
        raise SystemExit(f"{len(session.object_ids)} objects were followed, not {cell.objects}")
    return times


def run_theirs(cell: Cell) -> list[float]:
    """Seconds of every frame; masks are resized to the clip and thresholded, as ours are."""
    from transformers import Sam3VideoModel
    from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession

    images = DriftingNoise(cell.frames, cell.size)
    model: Any = Sam3VideoModel.from_pretrained(cell.folder, attn_implementation="sdpa").eval()
    side = model.config.detector_config.vision_config.backbone_config.image_size
    tokens = Tokenizer(model.config.detector_config.text_config.max_position_embeddings)([PHRASE])
    pixels = torch.stack([preprocess(image, side) for image in images])
    with torch.inference_mode():
        found = model.detector_model(pixels[:1], input_ids=tokens, attention_mask=(tokens != 0).long())
        threshold = between((found.pred_logits.sigmoid() * found.presence_logits.sigmoid())[0], cell.objects)
    for name, value in {
        "score_threshold_detection": threshold, "new_det_thresh": 2.0, "det_nms_thresh": 1.0, "hotstart_delay": 0,
        "recondition_every_nth_frame": 0,
    }.items():  # fmt: skip
        setattr(model, name, value)
    width, height = cell.size
    session = Sam3VideoInferenceSession(video=pixels, video_height=height, video_width=width, dtype=torch.float32)
    prompt = session.add_prompt(PHRASE)
    session.prompt_input_ids[prompt], session.prompt_attention_masks[prompt] = tokens, (tokens != 0).long()
    times = []
    for frame in range(cell.frames):
        start = time.perf_counter()
        output = model(inference_session=session, frame_idx=frame)
        for mask in output.obj_id_to_mask.values():
            low_res = mask.view(1, 1, *mask.shape[-2:]).float()
            torch.nn.functional.interpolate(low_res, (height, width), mode="bilinear").gt_(0)
        times.append(time.perf_counter() - start)
    if len(session.obj_ids) != cell.objects:
        raise SystemExit(f"{len(session.obj_ids)} objects were followed, not {cell.objects}")
    return times


def measure(cell: Cell, **environment: str) -> tuple[float, float]:
    """Median seconds per frame and peak memory in MB, in a process of its own."""
    seconds, memory = measure_apart("video", cell, **environment)
    return seconds, memory


def write_model(config: Sam3Config, folder: str) -> None:
    """Save a random model that both libraries open."""
    torch.manual_seed(0)
    save_transformers(build(config, parts=None), Path(folder))


def compare(config: Sam3Config, counts: list[int], frames: int, size: tuple[int, int], threads: int) -> None:
    """Print the table of both libraries."""
    side = config.detector.vit.image_size
    print(
        f"model input {side}x{side}, clip {size[0]}x{size[1]}, {frames - WARM_UP} frames measured, "
        f"float32, {threads} threads"
    )
    print(f"{'objects':>8} {'ours s':>8} {'theirs s':>9} {'faster':>7} {'ours MB':>8} {'theirs MB':>10} {'files':>7}")
    with tempfile.TemporaryDirectory() as folder:
        write_model(config, folder)
        for objects in counts:
            ours = measure(Cell(folder, True, objects, frames, size, threads))
            theirs = measure(Cell(folder, False, objects, frames, size, threads))
            print(
                f"{objects:>8} {ours[0]:>8.3f} {theirs[0]:>9.3f} {theirs[0] / ours[0]:>6.2f}x "
                f"{ours[1]:>8.0f} {theirs[1]:>10.0f} {files_seconds(size, objects) / ours[0]:>7.2%}",
                flush=True,
            )


def files_seconds(size: tuple[int, int], objects: int, frames: int = 40) -> float:
    """Seconds per frame for decoding a clip, encoding one, and run-length encoding a mask of each object."""
    images = DriftingNoise(frames, size)
    height, width = images[0].shape[:2]
    rows, columns = np.ogrid[:height, :width]
    mask = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (height / 4) ** 2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        start = time.perf_counter()
        with ClipWriter(path, (width, height), 25) as writer:
            for image in images:
                writer.write(image)
        source = open_frames(path)
        for frame in range(frames):
            source.frame(frame)
        source.close()
        for _ in range(objects * frames):
            encode_rle(mask)
        return (time.perf_counter() - start) / frames


def memory_against_length(config: Sam3Config, threads: int) -> None:
    """Print the peak memory of our session for clips of growing length, and the slope.

    The results of noise are long (16 kB per mask). glibc raises its limit for direct mappings as a process runs, and
    then results and tensors share one heap, whose holes count as peak memory; with a fixed limit they do not.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_model(config, folder)
        for frames in (20, 40, 80, 160):
            cell = Cell(folder, True, 4, frames, (320, 240), threads)
            seconds, memory = measure(cell, MALLOC_MMAP_THRESHOLD_=str(64 * 1024))
            rows.append((frames, memory))
            print(f"{frames:>6} frames {memory:>8.0f} MB {seconds:>8.3f} s/frame", flush=True)
    slope = np.polyfit([frames for frames, _ in rows[1:]], [memory for _, memory in rows[1:]], 1)[0]
    print(f"slope {slope:.3f} MB per frame")


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--released", action="store_true", help="the released size, few frames")
    parser.add_argument("--length", action="store_true", help="memory against the length of a clip")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--frames", type=int, help="frames of the clip; default 12, or 5 at the released size")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args()
    if chosen.task:
        cell = Cell(**json.loads(chosen.task))
        torch.set_num_threads(cell.threads)
        times = (run_ours if cell.ours else run_theirs)(cell)
        print(json.dumps([float(np.median(times[WARM_UP:])), peak_memory() / 1e6]))
    elif chosen.length:
        memory_against_length(reduced(), chosen.threads)
    elif chosen.released:
        released = Sam3Config(DetectorConfig(), InteractiveConfig(), TrackerConfig(), VideoConfig())
        compare(released, chosen.objects, chosen.frames or 5, (1280, 720), chosen.threads)
    else:
        compare(reduced(), chosen.objects, chosen.frames or 12, (640, 360), chosen.threads)


if __name__ == "__main__":
    main()

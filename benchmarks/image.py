"""Speed and peak memory of the image model at its released size, compared with transformers' `Sam3Model`.

    python -m benchmarks.image                                     # about ten minutes on two cores
    python -m benchmarks.image --image-size 336 --depth 4          # a smaller model, for a quick try

Weights are random, since speed does not depend on them. Every configuration runs in its own process, to measure peak
memory. Each figure is the fastest of `--repeats` measurements.

encode      one image of 1280x720 pixels, including preprocessing.
ground      one phrase: text, boxes, scores, and full-size masks of ten instances.
image+5     a new image and five phrases. Ours runs them in one batch; transformers, which has no such call, gets the
            encoded image five times, its fastest way.
default     each library with its defaults: ours in bfloat16 if the processor supports it, transformers in float32.
int8        ours in int8, transformers in float32.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from benchmarks.apart import measure_apart, peak_memory

IMAGE = (720, 1280)
SURVIVORS = 10
PHRASES = ("player in white", "red ball", "goalkeeper", "referee", "corner flag")
TARGETS = {"float32": 1.3, "bfloat16": 2.0, "default": 4.0, "int8": 6.0}
PEAK_TARGETS = {"float32": 6.0, "bfloat16": 3.5, "int8": 2.0}


@dataclass(frozen=True)
class Task:
    """One configuration to measure."""

    library: str
    dtype: str
    image_size: int
    depth: int
    threads: int
    repeats: int
    clock: str


@dataclass(frozen=True)
class Figures:
    """Seconds (the fastest of all repeats) and peak resident memory in GB."""

    encode: float
    ground: float
    image_and_five: float
    peak: float


class Contender(Protocol):
    """The operations that are measured."""

    def encode(self, image: np.ndarray) -> Any:
        """Encode an image (H, W, 3) uint8."""
        ...

    def prepare(self, encoded: Any, phrases: list[str]) -> None:
        """Make sure that `SURVIVORS` instances of a phrase are found; not measured."""
        ...

    def ground(self, encoded: Any, phrases: list[str]) -> int:
        """Segment the phrases with full-size masks, and return the number of instances."""
        ...


def ours(task: Task) -> Contender:
    """Our predictor, through its public interface."""
    import torch

    from benchmarks.random_models import random_image_model, released_detector
    from sam3model.detector.scoring import scores_of
    from sam3model.image import EncodedImage, Sam3ImagePredictor
    from sam3model.text import PhraseCache

    class Ours:
        def __init__(self) -> None:
            config = released_detector(task.image_size, task.depth)
            self.predictor = Sam3ImagePredictor(random_image_model(config, task.dtype))
            self.threshold = 1.0

        def encode(self, image: np.ndarray) -> EncodedImage:
            return self.predictor.encode(image)

        def ground(self, encoded: EncodedImage, phrases: list[str]) -> int:
            return sum(len(found) for found in self.predictor.predict(encoded, phrases, threshold=self.threshold))

        @torch.inference_mode()
        def prepare(self, encoded: EncodedImage, phrases: list[str]) -> None:
            model, index = self.predictor.model, torch.zeros(len(phrases), dtype=torch.long)
            text = PhraseCache(model, model.config.text.context_length)(phrases, self.predictor.device)
            geometry = model.encode_geometry(None, encoded.features, index)
            grounding = model.fuse_and_decode(encoded.features, text, geometry, index)
            scores = scores_of(grounding.logits, grounding.presence)
            self.threshold = scores.flatten().sort(descending=True).values[SURVIVORS * len(phrases)].item()

    return Ours()


def theirs(task: Task) -> Contender:
    """transformers' model; the best masks are resized to full size as by its processor."""
    import torch
    import torch.nn.functional as F
    from transformers import Sam3Config
    from transformers.initialization import no_init_weights
    from transformers.models.sam3.modeling_sam3 import Sam3Model  # this import path does not require torchvision

    from benchmarks.random_models import global_blocks, randomise
    from sam3model.ops.resize import preprocess
    from sam3model.text import Tokenizer

    side = task.image_size // 14
    vit = {
        "model_type": "sam3_vit_model",
        "image_size": task.image_size,
        "num_hidden_layers": task.depth,
        "global_attn_indexes": list(global_blocks(task.depth)),
    }
    vision = {"backbone_config": vit, "backbone_feature_sizes": [[side * n, side * n] for n in (4, 2, 1)]}
    torch.set_default_dtype(getattr(torch, task.dtype))
    with no_init_weights():
        model = Sam3Model(Sam3Config(vision_config=vision)).eval()
    torch.set_default_dtype(torch.float32)
    randomise(model)
    tokenizer = Tokenizer(32)

    class Theirs:
        @torch.inference_mode()
        def encode(self, image: np.ndarray) -> Any:
            pixels = preprocess(image, task.image_size).unsqueeze(0).to(model.dtype)
            return model.get_vision_features(pixel_values=pixels)

        def prepare(self, encoded: Any, phrases: list[str]) -> None:
            """Nothing: the best masks are taken."""

        def ground(self, encoded: Any, phrases: list[str]) -> int:
            return sum(self.ground_one(encoded, phrase) for phrase in phrases)

        @torch.inference_mode()
        def ground_one(self, encoded: Any, phrase: str) -> int:
            ids = tokenizer([phrase])
            out = model(vision_embeds=encoded, input_ids=ids, attention_mask=(ids != 0).long())
            scores = out.pred_logits[0].sigmoid() * out.presence_logits[0].sigmoid()
            masks = out.pred_masks[0][scores.topk(SURVIVORS).indices].unsqueeze(1)
            masks = F.interpolate(masks.float().sigmoid(), IMAGE, mode="bilinear") > 0.5
            return len(masks.numpy())

    return Theirs()


def measure(task: Task) -> Figures:
    """Measure one configuration in this process."""
    import torch

    torch.set_num_threads(task.threads)
    clock = {"wall": time.perf_counter, "cpu": time.process_time}[task.clock]
    contender = {"ours": ours, "transformers": theirs}[task.library](task)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*IMAGE, 3), dtype=np.uint8) for _ in range(task.repeats + 1)]
    first = contender.encode(images[0])
    contender.prepare(first, ["warm up"])
    contender.ground(first, ["warm up"])
    del first  # the peak is that of one encoded image
    encode, ground, five = [], [], []
    for repeat, image in enumerate(images[1:]):
        seconds, encoded = _timed(clock, contender.encode, image)
        encode.append(seconds)
        phrases = [f"{phrase} {repeat}" for phrase in PHRASES]  # new phrases each time, since ours caches them
        contender.prepare(encoded, [f"image {repeat}"])
        ground.append(_timed(clock, contender.ground, encoded, [f"image {repeat}"])[0])
        contender.prepare(encoded, phrases)
        five.append(seconds + _timed(clock, contender.ground, encoded, phrases)[0])
        del encoded
    return Figures(min(encode), min(ground), min(five), peak_memory() / 1e9)


def _timed(clock: Callable[[], float], call: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    start = clock()
    result = call(*arguments)
    return clock() - start, result


def report(results: dict[tuple[str, str], Figures], default: str) -> None:
    """Print the table, and the ratios with their targets."""
    print(f"\n{'':24}{'encode':>10}{'ground':>10}{'image+5':>11}{'peak':>10}")
    for (library, dtype), f in results.items():
        times = f"{f.encode:>9.2f}s{f.ground:>9.2f}s{f.image_and_five:>10.2f}s"
        print(f"{library:<13}{dtype:<11}{times}{f.peak:>7.2f} GB")
    print(f"\n{'transformers : ours':<24}{'encode':>10}{'ground':>10}{'image+5':>11}   target")
    rows = [(f"equal dtype, {dtype}", dtype, dtype, dtype) for dtype in ("float32", "bfloat16")]
    for name, mine, other, target in [
        *rows,
        (f"default, {default}", default, "float32", "default"),
        ("int8", "int8", "float32", "int8"),
    ]:
        if ("ours", mine) not in results or ("transformers", other) not in results:
            continue
        a, b = results["ours", mine], results["transformers", other]
        ratios = f"{b.encode / a.encode:>9.2f}x{b.ground / a.ground:>9.2f}x"
        print(f"{name:<24}{ratios}{b.image_and_five / a.image_and_five:>10.2f}x   >= {TARGETS[target]}x")
    for dtype, most in PEAK_TARGETS.items():
        if ("ours", dtype) in results:
            print(f"peak of ours in {dtype}: {results['ours', dtype].peak:.2f} GB, target < {most} GB")


def main() -> None:
    """Measure the configurations that the arguments select, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image-size", type=int, default=1008, help="side of the model input, a multiple of 336")
    parser.add_argument("--depth", type=int, default=32, help="blocks of the vision trunk")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a busy machine")
    parser.add_argument("--libraries", nargs="+", choices=["ours", "transformers"], default=["ours", "transformers"])
    parser.add_argument(
        "--dtypes", nargs="+", choices=["float32", "bfloat16", "int8"], default=["float32", "bfloat16", "int8"]
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        print(json.dumps(asdict(measure(Task(**json.loads(arguments.task))))))
        return
    import torch

    from sam3model.devices import resolve_dtype

    threads = arguments.threads or torch.get_num_threads()
    default = str(resolve_dtype("auto", torch.device("cpu"))).removeprefix("torch.")
    results = {}
    for dtype in arguments.dtypes:
        for library in (name for name in arguments.libraries if dtype != "int8" or name == "ours"):
            task = Task(
                library, dtype, arguments.image_size, arguments.depth, threads, arguments.repeats, arguments.clock
            )
            print(f"measuring {library} in {dtype}", file=sys.stderr)
            results[library, dtype] = Figures(**measure_apart("image", task))
    if arguments.json:
        print(json.dumps({f"{library} {dtype}": asdict(figures) for (library, dtype), figures in results.items()}))
        return
    print(f"{platform.machine()}, {threads} threads, torch {torch.__version__}, {arguments.clock} time")
    report(results, default)


if __name__ == "__main__":
    main()

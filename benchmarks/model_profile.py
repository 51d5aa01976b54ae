"""Where the time of an image and a phrase goes, part by part, and its share of what the processor can do.

    python -m benchmarks.model_profile [--dtypes float32 bfloat16 int8] [--image-size 1008] [--depth 32] [--threads 1]

The peak is the measured speed of a matrix product of the trunk's size in the same precision. A share is the arithmetic
of a part over its processor time and the peak; parts whose arithmetic is not in linear layers and attention have none.
Weights are random, since speed does not depend on them.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.random_models import random_image_model, released_detector
from sam3model.backbone.vit import Attention, Mlp
from sam3model.config import ViTConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.devices import DTYPES, INT8
from sam3model.layers.int8_layers import Int8Linear
from sam3model.layers.linear import Linear

PARTS = ("vision.trunk", "vision.neck", "text", "geometry", "fusion", "decoder")
LINEAR, ATTENTION, REST = "trunk: linear layers and GELU", "trunk: attention", "trunk: the rest"
OTHER = "scores, masks, other"
PRODUCT = (1024, 1024, 4736)


def peak(dtype: str, repeats: int = 3) -> float:
    """Operations per processor second of a linear layer of the trunk."""
    tokens, width, hidden = PRODUCT
    exact, kind = Linear(width, hidden), torch.bfloat16 if dtype == INT8 else DTYPES[dtype]
    layer = Int8Linear(exact.weight, exact.bias) if dtype == INT8 else exact.to(kind)
    x = torch.randn(tokens, width).to(kind)
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        layer(x)
        times.append(time.process_time() - start)
    return 2.0 * tokens * width * hidden / min(times[1:])


class Profile:
    """Processor seconds and operations by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.operations: dict[str, float] = defaultdict(float)

    @contextmanager
    def watching(self, model: Sam3ImageModel) -> Iterator[None]:
        """Count what runs inside the `with` statement."""
        hooks = [hook for part in PARTS for hook in self._timed(part, model.get_submodule(part))]
        vit = model.config.vit
        hidden = round(vit.width * vit.mlp_ratio)
        for module in model.vision.trunk.modules():
            if isinstance(module, Mlp):
                hooks += self._timed("mlp", module, lambda x: 4.0 * x.numel() * hidden)
            elif isinstance(module, Attention):
                hooks += self._timed("attention blocks", module, _attention_operations)
                hooks += self._timed("projections", module.qkv, lambda x: 6.0 * x.numel() * vit.width)
                hooks += self._timed("projections", module.proj, lambda x: 2.0 * x.numel() * vit.width)
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _timed(self, part: str, module: nn.Module, operations: Callable[..., float] = lambda *_: 0.0) -> list:
        """Hooks that add the time and the operations of every call to a part."""
        starts: list[float] = []

        def before(_module: nn.Module, _inputs: tuple) -> None:
            starts.append(time.process_time())

        def after(_module: nn.Module, inputs: tuple, _out: object) -> None:
            self.seconds[part] += time.process_time() - starts.pop()
            self.operations[part] += operations(*inputs)

        return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]

    def by_part(self, total: float) -> dict[str, tuple[float, float]]:
        """Seconds and operations of every line of the table; 0 operations if they are not known."""
        seconds, operations = self.seconds, self.operations
        linear = seconds["mlp"] + seconds["projections"]
        attention = seconds["attention blocks"] - seconds["projections"]
        return {
            LINEAR: (linear, operations["mlp"] + operations["projections"]),
            ATTENTION: (attention, operations["attention blocks"]),
            REST: (seconds[PARTS[0]] - linear - attention, 0.0),
            **{part: (seconds[part], 0.0) for part in PARTS[1:]},
            OTHER: (total - sum(seconds[part] for part in PARTS), 0.0),
        }

    def table(self, most: float, total: float) -> list[str]:
        """Lines by part: seconds, share of all, share of the peak. most: operations per second. total: all seconds."""
        parts = self.by_part(total)
        trunk = [parts[name] for name in (LINEAR, ATTENTION, REST)]
        sums = {"trunk": (sum(took for took, _ in trunk), sum(count for _, count in trunk)), "all": (total, 0.0)}
        return [
            f"{name:<29} {took:8.2f} s {took / total:6.0%}" + (f" {count / took / most:7.0%}" if count else "")
            for name, (took, count) in (parts | sums).items()
        ]


def _attention_operations(x: Tensor, _grid: object, config: ViTConfig, is_global: bool) -> float:
    batch, tokens, width = x.shape
    return 4.0 * batch * tokens * width * (tokens if is_global else config.window**2)


@torch.inference_mode()
def profile(model: Sam3ImageModel, dtype: str) -> list[str]:
    """Lines for a model in this precision."""
    side = model.config.vit.image_size
    pixels = torch.randn(1, 3, side, side).to(model.decoder.query_embed.weight.dtype)
    ids = F.pad(torch.randint(1, 49000, (1, 6)), (0, model.config.text.context_length - 6))
    index, seen = torch.zeros(1, dtype=torch.long), Profile()
    wall, processor = time.perf_counter(), time.process_time()
    with seen.watching(model):
        features = model.encode_image(pixels)
        geometry = model.encode_geometry(None, features, index)
        grounding = model.fuse_and_decode(features, model.encode_text(ids), geometry, index)
        model.decode_masks(grounding, features, index)
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    most = peak(dtype)
    head = f"{dtype}: processor {processor:.1f} s, wall {wall:.1f} s; peak {most / 1e9:.0f} GFLOP/s"
    return [f"\n{head}", f"{'part':<29} {'processor':>10} {'share':>6} {'of peak':>8}", *seen.table(most, processor)]


def main() -> None:
    """Profile every precision in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = ["float32", "bfloat16", INT8]
    parser.add_argument("--dtypes", nargs="+", choices=known, default=known)
    parser.add_argument("--image-size", type=int, default=1008, help="side of the model input, a multiple of 336")
    parser.add_argument("--depth", type=int, default=32, help="blocks of the vision trunk")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for dtype in arguments.dtypes:
        model = random_image_model(released_detector(arguments.image_size, arguments.depth), dtype)
        print("\n".join(profile(model, dtype)), flush=True)


if __name__ == "__main__":
    main()

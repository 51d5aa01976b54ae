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
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.backbone.vit import Attention
from sam3model.config import sam3
from sam3model.detector.model import Sam3ImageModel
from sam3model.devices import DTYPES, INT8
from sam3model.layers.int8_layers import Int8Linear
from sam3model.layers.linear import Linear
from sam3model.quantise import quantise

PARTS = ("vision.trunk", "vision.neck", "text", "geometry", "fusion", "decoder")
LINEAR, ATTENTION, REST = "trunk: linear layers", "trunk: attention", "trunk: the rest"
OTHER = "scores, masks, other"
PRODUCT = (1024, 1024, 4736)


def build(dtype: str, image_size: int, depth: int) -> Sam3ImageModel:
    """The released model with random weights, or a smaller one."""
    config = sam3().detector
    blocks = tuple(sorted({*range(7, depth, 8), depth - 1}))
    vit = replace(config.vit, image_size=image_size, depth=depth, global_blocks=blocks)
    with torch.device("meta"):
        model = Sam3ImageModel(replace(config, vit=vit))
    model = model.to(torch.bfloat16 if dtype == INT8 else DTYPES[dtype]).to_empty(device="cpu").eval()
    for name, parameter in model.named_parameters():
        one = 1.0 if name.endswith("weight") else 0.0
        parameter.data.fill_(one) if parameter.ndim == 1 else parameter.data.normal_(0, 0.02)
    return quantise(model) if dtype == INT8 else model


def peak(dtype: str, repeats: int = 3) -> float:
    """Operations per processor second of a linear layer of the trunk."""
    tokens, width, hidden = PRODUCT
    exact, x = Linear(width, hidden), torch.randn(tokens, width)
    work: Callable[[], object]
    if dtype == INT8:
        small, low = Int8Linear(exact.weight, exact.bias), x.bfloat16()
        work = lambda: small(low)  # noqa: E731
    else:
        layer, low = exact.to(DTYPES[dtype]), x.to(DTYPES[dtype])
        work = lambda: layer(low)  # noqa: E731
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        work()
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
        for module in model.vision.trunk.modules():
            if isinstance(module, nn.Linear | Int8Linear):
                hooks += self._timed(LINEAR, module)
            elif isinstance(module, Attention):
                hooks += self._timed("attention blocks", module)
                for projection in (module.qkv, module.proj):
                    hooks += self._timed("projections", projection)
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _timed(self, part: str, module: nn.Module) -> list:
        """Hooks that add the time of every call to a part. The GELU of a layer is not in it."""
        starts: list[float] = []

        def before(_module: nn.Module, _inputs: tuple) -> None:
            starts.append(time.process_time())

        def after(module: nn.Module, inputs: tuple, out: object) -> None:
            self.seconds[part] += time.process_time() - starts.pop()
            if part == LINEAR and isinstance(out, Tensor):
                self.operations[part] += 2.0 * inputs[0].numel() * out.shape[-1]
            elif isinstance(module, Attention):
                batch, tokens, width = inputs[0].shape
                config, is_global = inputs[2], inputs[3]
                self.operations[ATTENTION] += 4.0 * batch * tokens * width * (tokens if is_global else config.window**2)

        return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]

    def table(self, most: float, total: float) -> list[str]:
        """Lines by part: seconds, share of all, share of the peak. most: operations per second. total: all seconds."""
        seconds = dict(self.seconds)
        seconds[ATTENTION] = seconds.pop("attention blocks") - seconds.pop("projections")
        trunk = seconds.pop("vision.trunk")
        seconds[REST] = trunk - seconds[ATTENTION] - seconds[LINEAR]
        seconds[OTHER] = total - sum(seconds.values())
        lines = []
        for part in (LINEAR, ATTENTION, REST, *PARTS[1:], OTHER):
            took, share = seconds.get(part, 0.0), ""
            if part in self.operations and took > 0:
                share = f"{self.operations[part] / took / most:7.0%}"
            lines.append(f"{part:<22} {took:8.2f} s {took / total:6.0%} {share}")
        operations = self.operations[LINEAR] + self.operations[ATTENTION]
        lines.append(f"{'trunk':<22} {trunk:8.2f} s {trunk / total:6.0%} {operations / trunk / most:7.0%}")
        lines.append(f"{'all':<22} {total:8.2f} s")
        return lines


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
    return [f"\n{head}", f"{'part':<22} {'processor':>10} {'share':>6} {'of peak':>8}", *seen.table(most, processor)]


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
        model = build(dtype, arguments.image_size, arguments.depth)
        print("\n".join(profile(model, dtype)), flush=True)


if __name__ == "__main__":
    main()

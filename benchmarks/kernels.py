"""Which kernels are the faster ones on this machine, and which of them the model chooses.

    python -m benchmarks.kernels [--threads 1] [--repeats 3] [--heads 2]

Matrix products and attention of the trunk's sizes, by every way that the model has for them. Ways of one row are run in
turn, A B A B, and the fastest run of each counts: by processor time (all threads together) and by wall time. If the two
differ by more than the number of threads explains, the machine was busy, and processor time is the one to trust.
"""

import argparse
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from sam3model.devices import cpu_has
from sam3model.layers.int8_layers import Int8Linear
from sam3model.layers.linear import Linear
from sam3model.ops.blocked_attention import attend_in_blocks, prefers_blocks
from sam3model.ops.int8_product import has_int8_product

INSTRUCTIONS = ("avx2", "avx512", "vnni", "avx512_bf16", "amx_tile", "arm_bf16")
PRODUCT = (1024, 1024, 4736)
"""Tokens, inputs and outputs of a layer of the released trunk."""

HEAD = 64
"""Channels of a head."""

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Seconds:
    """The fastest run of a way: seconds of the processor and on the wall."""

    processor: float
    wall: float


def measure(ways: Mapping[str, Work], repeats: int) -> dict[str, Seconds]:
    """Time every way, in turn, after one run that does not count."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, work in ways.items():
            wall, processor = time.perf_counter(), time.process_time()
            work()
            took = time.process_time() - processor, time.perf_counter() - wall
            if repeat:
                runs[name].append(took)
    return {name: Seconds(min(p for p, _ in took), min(w for _, w in took)) for name, took in runs.items()}


def product_ways(size: tuple[int, int, int]) -> tuple[dict[str, Work], str]:
    """Linear layers by precision, for sizes (tokens, inputs, outputs); which int8 product the model chooses."""
    count, width, outputs = size
    x, exact = torch.randn(count, width), Linear(width, outputs)
    low, x_low, small = Linear(width, outputs).bfloat16(), x.bfloat16(), Int8Linear(exact.weight, exact.bias)
    tokens, weights = (torch.randint(-127, 128, (n, width), dtype=torch.int8) for n in (count, outputs))
    ways: dict[str, Work] = {
        "float32 layer": lambda: exact(x),
        "bfloat16 layer": lambda: low(x_low),
        "int8 layer": lambda: small(x_low),
        "int8 product in hardware": lambda: torch.ops.aten._int_mm(tokens, weights.T),
        "int8 product in float32": lambda: torch.mm(tokens.float(), weights.float().T),
    }
    return ways, f"int8 product in {'hardware' if has_int8_product() else 'float32'}"


def attention_ways(tokens: int, heads: int, dtype: torch.dtype) -> tuple[dict[str, Work], str]:
    """Attention over all tokens by torch's kernel and in blocks, and which one the model chooses."""
    query, key, value = (torch.randn(1, heads, tokens, HEAD).to(dtype) for _ in range(3))
    ways: dict[str, Work] = {
        "torch": lambda: F.scaled_dot_product_attention(query, key, value),
        "blocks": lambda: attend_in_blocks(query, key, value),
    }
    return ways, "blocks" if prefers_blocks(query, key) else "torch"


def rows(
    title: str, taken: Mapping[str, Seconds], operations: float, chosen: str, rivals: tuple[str, ...]
) -> list[str]:
    """Lines of one size. rivals: the ways among which the model chooses."""
    best = min(rivals, key=lambda name: taken[name].processor)
    lines = []
    for name, seconds in taken.items():
        mark = "chosen" if name == chosen else ""
        if name == best != chosen:
            mark = "faster than the chosen one"
        speeds = f"{operations / seconds.processor / 1e9:9.1f} {operations / seconds.wall / 1e9:9.1f}"
        lines.append(
            f"{title:<28} {name:<26} {speeds} {1e3 * seconds.processor:9.1f} {1e3 * seconds.wall:9.1f}  {mark}"
        )
    return lines


def table(
    repeats: int, heads: int, product: tuple[int, int, int] = PRODUCT, tokens: tuple[int, ...] = (5184, 576)
) -> list[str]:
    """All lines of the table. product: sizes of the linear layers. tokens: of the attentions."""
    lines = [f"{'':<28} {'way':<26} {'GFLOP/s':>9} {'(wall)':>9} {'ms':>9} {'(wall)':>9}"]
    with torch.inference_mode():
        ways, chosen = product_ways(product)
        taken = measure(ways, repeats)
        rivals = ("int8 product in hardware", "int8 product in float32")
        lines += rows(" x ".join(map(str, product)), taken, 2.0 * math.prod(product), chosen, rivals)
        for count in tokens:
            for dtype in (torch.float32, torch.bfloat16):
                ways, chosen = attention_ways(count, heads, dtype)
                title = f"attention {count} {str(dtype).removeprefix('torch.')}"
                operations = 4.0 * heads * count * count * HEAD
                lines += rows(title, measure(ways, repeats), operations, chosen, ("torch", "blocks"))
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--heads", type=int, default=2, help="heads of the attention; the trunk has 16")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    has = ", ".join(name for name in INSTRUCTIONS if cpu_has(name)) or "none that torch knows"
    print(f"instructions: {has}; {arguments.threads} thread(s); torch {torch.__version__}")
    print("\n".join(table(arguments.repeats, arguments.heads)))


if __name__ == "__main__":
    main()

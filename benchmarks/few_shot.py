"""From sam3-tiny to a domain it never saw, by a few pictures: how much 0, 1, 5 and 10 shots teach, and at what price.

    python -m benchmarks.few_shot [--picture docs/images/few_shot.png]          # about 25 minutes of one core
    python -m benchmarks.few_shot --shots 0 10 --methods lora --steps 20        # a quick look

The shifted domain (`sam3model.playground.shifted`) is written as a COCO folder, and the trainer learns from its
first pictures by `experiment=few_shot` (all of the model) and `few_shot_lora` (adapters). More shots hold the fewer.
Judged are 40 other pictures of the domain, with phrases that differ in one word from something shown among those that
match nothing; and, for what is forgotten, 60 held-out Playground scenes.
"""

import argparse
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from sam3model.checkpoint import load
from sam3model.data.dataset import CachedTokenizer, Sam3ImageDataset, Source, batches
from sam3model.data.scenes import PlaygroundSource
from sam3model.errors import Sam3Error
from sam3model.files import replacing
from sam3model.losses import Sam3LossWrapper
from sam3model.playground.export import write_folder
from sam3model.text import Tokenizer
from sam3model.training.concept_task import ConceptTask
from sam3model.training.panel import Example, paint
from sam3model.training.passes import MultiPassModel
from sam3model.training.run import train
from sam3model.training.settings import TrainConfig
from sam3model.training.sources import open_sources
from sam3model.training.start import initial_model
from sam3model.training.validate import Validation, validate
from train.app import settings

METHODS = {"full": "few_shot", "lora": "few_shot_lora"}
HEADS = ("shots", "method", "cgF1", "positive F1", "presence MCC", "AP", "CPU s", "learnt", "Playground cgF1")
FORGETTING = 60
"""Playground scenes, of the split that nothing is trained or chosen on."""
TILE, LINE, GAP, SHOWN = 224, 22, 8, 6


@dataclass(frozen=True, slots=True)
class Judged:
    """Weights on the domain and on Playground, and what they took: processor seconds and parameters that learnt."""

    shifted: Validation
    playground: Validation
    seconds: float = 0.0
    learnt: int = 0

    def row(self, shots: int, method: str) -> str:
        """A line of the table."""
        found = self.shifted.metrics
        figures = [100 * found["cgF1"], 100 * found["positive_micro_F1"], found["IL_MCC"], 100 * found["AP"]]
        told = [f"{value:.2f}" if index == 2 else f"{value:.1f}" for index, value in enumerate(figures)]
        learnt = f"{self.learnt / 1e6:.2f} M" if self.learnt else "0"
        forgotten = f"{100 * self.playground.metrics['cgF1']:.1f}"
        return table_row((str(shots), method, *told, f"{self.seconds:.0f}", learnt, forgotten))


def table_row(cells: Iterable[str]) -> str:
    """Cells as wide as their heads."""
    return "| " + " | ".join(f"{cell:>{len(head)}}" for cell, head in zip(cells, HEADS, strict=True)) + " |"


def judge(weights: str | Path, config: TrainConfig, held_out: tuple[Source, int]) -> Validation:
    """What the trainer's own validation says of weights on these pictures, every prompt kept to be drawn."""
    model = load(weights, dtype=torch.float32).eval()
    tokenize = CachedTokenizer(Tokenizer(model.config.text.context_length))
    source, count = held_out
    rules = config.validation
    pictures = batches(Sam3ImageDataset(source), tokenize, batch=rules.batch, pictures=count)
    return validate(
        MultiPassModel(model).eval(), Sam3LossWrapper(config.loss), pictures, threshold=rules.threshold,
        precision=getattr(torch, config.precision), nms=model.config.nms, examples=count * rules.phrases,
    )  # fmt: skip


class Bench:
    """One folder of pictures, on which any number of fine-tunes are made and judged."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder
        write_folder(folder / "shifted", "shifted", max(1, *args.shots), args.held_out)
        config = self.config("full", 0)
        self.base = config.sized(config.model.resolve().vit.image_size)
        size, phrases = self.base.stages[-1].size, config.validation.phrases
        self.domain = open_sources(self.base).validation()
        self.playground = PlaygroundSource("heldout", size=size, phrases=phrases), args.forgetting

    def config(self, method: str, shots: int) -> TrainConfig:
        """Settings of a fine-tune, as the command line would make them."""
        args = self.args
        words = [f"data.root={self.folder / 'shifted'}", f"out={self.folder}", f"name={method}_{shots}"]
        words += [f"model.weights={args.weights}", f"seed={args.seed}", f"data.max_images={max(1, shots)}"]
        words += [f"budget.steps={args.steps}"] if args.steps else []
        words += [f"budget.minutes={args.minutes}", "budget.steps=null"] if args.minutes else []
        return settings([f"experiment={METHODS[method]}", *words, *args.set])

    def judged(self, weights: str | Path, seconds: float = 0.0, learnt: int = 0) -> Judged:
        """Both figures of some weights."""
        shifted, playground = (judge(weights, self.base, pictures) for pictures in (self.domain, self.playground))
        return Judged(shifted, playground, seconds, learnt)

    def tuned(self, method: str, shots: int) -> Judged:
        """Fine-tune on so many pictures, and judge what comes out (here, and so hardly by the trainer as well)."""
        config = self.config(method, shots)
        config = replace(config, validation=replace(config.validation, images=1))
        model = initial_model(config.model, config.model.resolve())
        learnt = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        del model
        start = time.process_time()
        result = train(config, ConceptTask)
        seconds = time.process_time() - start
        if result.weights is None:
            raise KeyboardInterrupt
        judged = self.judged(result.weights, seconds, learnt)
        shutil.rmtree(result.weights.parent)
        return judged


def draw(before: Judged, after: Judged, title: str) -> Image.Image:
    """Of each of the first pictures, the phrase that names most of it: the truth, what was found before and after."""
    pictures: dict[bytes, list[tuple[Example, Example]]] = {}
    for pair in zip(before.shifted.examples, after.shifted.examples, strict=True):
        pictures.setdefault(pair[0].image.tobytes(), []).append(pair)
    firsts = [max(pairs, key=lambda pair: pair[0].truth.sum()) for pairs in list(pictures.values())[:SHOWN]]
    width, height = 3 * (TILE + GAP) + GAP, TILE + LINE + GAP
    sheet = Image.new("RGB", (2 * width, LINE + -(-len(firsts) // 2) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (old, new) in enumerate(firsts):
        x, y = index % 2 * width + GAP, LINE + index // 2 * height
        pen.text((x, y + 3), f"“{old.phrase}”", fill="black", font_size=14)
        for place, masks in enumerate((old.truth, old.predicted, new.predicted)):
            sheet.paste(tile(old, masks), (x + place * (TILE + GAP), y + LINE))
    for index, head in enumerate(("truth", "before", title) * 2):
        pen.text((index // 3 * width + GAP + index % 3 * (TILE + GAP), 4), head, fill=(110, 110, 116), font_size=14)
    return sheet


def tile(example: Example, masks: np.ndarray) -> Image.Image:
    """The example's picture with masks on it."""
    return Image.fromarray(paint(example.image, masks)).resize((TILE, TILE))


def run(args: argparse.Namespace, folder: Path) -> None:
    """Print the table, line by line as it is made, and draw the picture."""
    bench = Bench(args, folder)
    print(table_row(HEADS), "|" + "|".join("-" * (len(head) + 1) + ":" for head in HEADS) + "|", sep="\n", flush=True)
    tasks = [(shots, method) for shots in sorted(set(args.shots) - {0}) for method in args.methods]
    made: dict[tuple[int, str], Judged] = {}
    for shots, method in [(0, "-")] * (0 in args.shots) + tasks:
        print(f"{shots} shots, {method} …", file=sys.stderr, flush=True)
        judged = made[shots, method] = bench.tuned(method, shots) if shots else bench.judged(args.weights)
        print(judged.row(shots, method), flush=True)
    if args.picture:
        before = made.get((0, "-")) or bench.judged(args.weights)
        (shots, method), after = max(made.items(), key=lambda item: item[1].shifted.metrics["cgF1"])
        with replacing(args.picture) as temporary:
            draw(before, after, f"after {shots} pictures ({method})").save(temporary, "PNG", optimize=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="tiny", help="where every fine-tune begins (default: tiny)")
    parser.add_argument("--shots", type=int, nargs="+", default=[0, 1, 5, 10])
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, help="of each fine-tune, instead of the experiment's")
    budget.add_argument("--minutes", type=float, help="of each fine-tune, instead of its steps")
    parser.add_argument("--held-out", type=int, default=40, help="pictures of the domain to judge on (default: 40)")
    parser.add_argument("--forgetting", type=int, default=FORGETTING, help="Playground scenes, likewise (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the fine-tunes and of which pictures are the shots")
    parser.add_argument("--picture", type=Path, help="write before and after, drawn, to this PNG")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings over those of experiments")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            run(args, Path(folder))
    except Sam3Error as error:
        parser.exit(2, f"few_shot: {error}\n")


if __name__ == "__main__":
    main()

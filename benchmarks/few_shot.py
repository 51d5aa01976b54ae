"""Few-shot fine-tuning of sam3-tiny on an unseen domain: what 0, 1, 5 and 10 images gain, and what they cost.

    python -m benchmarks.few_shot [--figure docs/images/few_shot.png]          # about 25 minutes of one core
    python -m benchmarks.few_shot --shots 0 10 --methods lora --steps 20        # a quick look

The shifted domain (`sam3model.playground.shifted`) is written as a COCO dataset. The trainer fine-tunes on its first
images with `experiment=few_shot` (the whole model) and `few_shot_lora` (adapters); more shots include the fewer ones.
The results are evaluated on 40 other images of the domain, where the negative phrases include ones that differ from a
matching phrase in one word, and on 60 held-out Playground scenes, to measure what is forgotten.
"""

import argparse
import logging
import math
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
from sam3model.data.dataset import CachedTokenizer, Sam3ImageDataset, SampleSource, batches
from sam3model.data.playground_source import PlaygroundSource
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
from train.compose import concept_settings

METHODS = {"full": "few_shot", "lora": "few_shot_lora"}
HEADS = ("shots", "method", "cgF1", "positive F1", "presence MCC", "AP", "CPU s", "trained", "Playground cgF1")
FORGETTING = 60
"""Number of Playground scenes, from the split that is used neither for training nor for model selection."""
TILE, LINE, GAP, SHOWN = 224, 22, 8, 6


def _figure(validated: Validation, name: str) -> float:
    """A metric; nan if it does not apply to the images."""
    value = validated.metrics[name]
    return math.nan if value is None else value


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Validation of weights on the domain and on Playground, with CPU seconds and trained parameters."""

    shifted: Validation
    playground: Validation
    seconds: float = 0.0
    trained: int = 0

    def row(self, shots: int, method: str) -> str:
        """A row of the table."""
        names = ("cgF1", "positive_micro_F1", "IL_MCC", "AP")
        figures = [(1 if name == "IL_MCC" else 100) * _figure(self.shifted, name) for name in names]
        cells = [f"{value:.2f}" if index == 2 else f"{value:.1f}" for index, value in enumerate(figures)]
        trained = f"{self.trained / 1e6:.2f} M" if self.trained else "0"
        playground = f"{100 * _figure(self.playground, 'cgF1'):.1f}"
        return table_row((str(shots), method, *cells, f"{self.seconds:.0f}", trained, playground))


def table_row(cells: Iterable[str]) -> str:
    """A Markdown row, with every cell as wide as its head."""
    return "| " + " | ".join(f"{cell:>{len(head)}}" for cell, head in zip(cells, HEADS, strict=True)) + " |"


def evaluate(weights: str | Path, config: TrainConfig, held_out: tuple[SampleSource, int]) -> Validation:
    """The trainer's validation of weights on these samples, with all examples kept for drawing."""
    model = load(weights, dtype=torch.float32).detector
    tokenize = CachedTokenizer(Tokenizer(model.config.text.context_length))
    source, count = held_out
    rules = config.validation
    held_out_batches = batches(Sam3ImageDataset(source), tokenize, batch=rules.batch, images=count)
    return validate(
        MultiPassModel(model).eval(), Sam3LossWrapper(config.loss), held_out_batches, threshold=rules.threshold,
        precision=getattr(torch, config.precision), nms=model.config.nms, examples=count * rules.phrases,
    )  # fmt: skip


class Bench:
    """A dataset of the domain, on which any number of fine-tunes are run and evaluated."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder
        write_folder(folder / "shifted", "shifted", max(1, *args.shots), args.held_out)
        config = self.config("full", 0)
        self.base = config.sized(config.model.resolve().vit.image_size)
        size, phrases = self.base.stages[-1].size, config.validation.phrases
        self.domain = open_sources(self.base).validation()
        self.playground = PlaygroundSource("heldout", size=size, phrases=phrases), args.forgetting

    def config(self, method: str, shots: int) -> TrainConfig:
        """Settings of a fine-tune, as from the command line."""
        args = self.args
        words = [f"data.root={self.folder / 'shifted'}", f"out={self.folder}", f"name={method}_{shots}"]
        words += [f"model.weights={args.weights}", f"seed={args.seed}", f"data.max_images={max(1, shots)}"]
        words += [f"budget.steps={args.steps}"] if args.steps else []
        words += [f"budget.minutes={args.minutes}", "budget.steps=null"] if args.minutes else []
        return concept_settings([f"experiment={METHODS[method]}", *words, *args.set])

    def evaluated(self, weights: str | Path, seconds: float = 0.0, trained: int = 0) -> Evaluated:
        """Evaluate weights on the domain and on Playground."""
        shifted, playground = (evaluate(weights, self.base, samples) for samples in (self.domain, self.playground))
        return Evaluated(shifted, playground, seconds, trained)

    def fine_tuned(self, method: str, shots: int) -> Evaluated:
        """Fine-tune on `shots` images, and evaluate the result; the trainer's own validation is kept minimal."""
        config = self.config(method, shots)
        config = replace(config, validation=replace(config.validation, images=1))
        model = initial_model(config.model, config.model.resolve())
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        del model
        start = time.process_time()
        result = train(config, ConceptTask)
        seconds = time.process_time() - start
        if result.weights is None:
            raise KeyboardInterrupt
        evaluated = self.evaluated(result.weights, seconds, trained)
        shutil.rmtree(result.weights.parent)
        return evaluated


def draw(before: Evaluated, after: Evaluated, title: str) -> Image.Image:
    """For each of the first images, the phrase with the largest masks: ground truth, prediction before and after."""
    by_image: dict[bytes, list[tuple[Example, Example]]] = {}
    for pair in zip(before.shifted.examples, after.shifted.examples, strict=True):
        by_image.setdefault(pair[0].image.tobytes(), []).append(pair)
    firsts = [max(pairs, key=lambda pair: pair[0].truth.sum()) for pairs in list(by_image.values())[:SHOWN]]
    width, height = 3 * (TILE + GAP) + GAP, TILE + LINE + GAP
    sheet = Image.new("RGB", (2 * width, LINE + -(-len(firsts) // 2) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (old, new) in enumerate(firsts):
        x, y = index % 2 * width + GAP, LINE + index // 2 * height
        pen.text((x, y + 3), f"“{old.phrase}”", fill="black", font_size=14)
        for place, masks in enumerate((old.truth, old.predicted, new.predicted)):
            sheet.paste(tile(old, masks), (x + place * (TILE + GAP), y + LINE))
    for index, head in enumerate(("ground truth", "before", title) * 2):
        pen.text((index // 3 * width + GAP + index % 3 * (TILE + GAP), 4), head, fill=(110, 110, 116), font_size=14)
    return sheet


def tile(example: Example, masks: np.ndarray) -> Image.Image:
    """The image of an example with masks drawn on it."""
    return Image.fromarray(paint(example.image, masks)).resize((TILE, TILE))


def run(args: argparse.Namespace, folder: Path) -> None:
    """Print the table row by row, and draw the image."""
    bench = Bench(args, folder)
    print(table_row(HEADS), "|" + "|".join("-" * (len(head) + 1) + ":" for head in HEADS) + "|", sep="\n", flush=True)
    tasks = [(shots, method) for shots in sorted(set(args.shots) - {0}) for method in args.methods]
    results: dict[tuple[int, str], Evaluated] = {}
    for shots, method in [(0, "-")] * (0 in args.shots) + tasks:
        print(f"{shots} shots, {method} …", file=sys.stderr, flush=True)
        evaluated = results[shots, method] = bench.fine_tuned(method, shots) if shots else bench.evaluated(args.weights)
        print(evaluated.row(shots, method), flush=True)
    if args.figure:
        before = results.get((0, "-")) or bench.evaluated(args.weights)
        (shots, method), after = max(results.items(), key=lambda item: _figure(item[1].shifted, "cgF1"))
        with replacing(args.figure) as temporary:
            draw(before, after, f"after {shots} images ({method})").save(temporary, "PNG", optimize=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="tiny", help="weights to fine-tune (default: tiny)")
    parser.add_argument(
        "--shots", type=int, nargs="+", default=[0, 1, 5, 10], help="numbers of training images (default: 0 1 5 10)"
    )
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), help="default: both")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, help="training steps of each fine-tune; overrides the experiment")
    budget.add_argument("--minutes", type=float, help="minutes of each fine-tune, instead of a number of steps")
    parser.add_argument("--held-out", type=int, default=40, help="evaluation images of the domain (default: 40)")
    parser.add_argument(
        "--forgetting", type=int, default=FORGETTING, help="evaluation scenes of Playground (default: 60)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the fine-tunes and of the choice of images")
    parser.add_argument("--figure", type=Path, help="draw predictions before and after to this PNG")
    parser.add_argument("--picture", dest="figure", type=Path, help=argparse.SUPPRESS, default=argparse.SUPPRESS)
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings that override those of the experiments"
    )
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

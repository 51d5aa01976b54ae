"""A certificate of fine-tuned weights: what they answer, and no longer tell apart, compared with where they started.

A model that was trained on a few classes may answer to every phrase. Figures on those classes do not show it, so the
certificate also asks for nouns that are not there, for other colours of what is there, and for the old domain.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor

from sam3model.data.annotated_source import AnnotatedSource
from sam3model.data.common_nouns import chosen_nouns
from sam3model.data.dataset import CachedTokenizer, Sam3ImageDataset, batches
from sam3model.data.image_view import ImageView
from sam3model.data.playground_source import PlaygroundSource
from sam3model.data.queries import Tokenize
from sam3model.detector.model import Sam3ImageModel
from sam3model.detector.scoring import scores_of
from sam3model.losses.terms import LossTerms
from sam3model.playground.palette import COLOURS
from sam3model.text import Tokenizer
from sam3model.training.passes import MultiPassModel
from sam3model.training.sources import MIN_SCENE
from sam3model.training.validate import validate

NOUNS = 50
"""Number of foreign nouns that are asked."""

_CLASSES = 4
_SCENES = 8
_BATCH = 16
_FOREIGN_FALL, _DOMAIN_FALL = 0.05, 0.1
"""How much these figures may fall by."""
_CONTRAST, _CONTRAST_KEPT = 0.1, 0.5
"""The least contrast that can fall, and the fraction of it that must be kept."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A held-out image (3, S, S) as the model takes it, with the classes that are annotated in it."""

    name: str
    pixels: Tensor
    present: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """What one model answers, from 0 to 1; None: it was not asked.

    own_classes: fraction of the present classes of an image that are found. foreign_nouns: fraction of the foreign
    nouns that are not found. contrast: mean range of the scores of a class in different colours. old_domain: cgF1 on
    drawn scenes. nouns, colours: highest score of each noun, and mean score of each class in each colour.
    """

    own_classes: float | None
    foreign_nouns: float | None
    contrast: float | None
    old_domain: float | None
    nouns: Mapping[str, float] = field(default_factory=dict)
    colours: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Figures of the weights that a run started from, and of its best weights, on `images` held-out images."""

    start: str
    weights: str
    images: int
    threshold: float
    before: Figures
    after: Figures

    def lost(self) -> tuple[str, ...]:
        """A line for every ability that fell by more than chance explains."""
        lines = []
        before, after = self.before, self.after
        fell = "discrimination fell"
        if _fell(before.foreign_nouns, after.foreign_nouns, lambda old, new: new < old - _FOREIGN_FALL):
            worst = max(after.nouns, key=lambda noun: after.nouns[noun])
            change = _change(before.foreign_nouns, after.foreign_nouns)
            answered = f"{worst!r} is answered with {after.nouns[worst]:.2f}"
            lines.append(f"{fell}: foreign nouns left unanswered, {change}; {answered}")
        if _fell(before.contrast, after.contrast, lambda old, new: old >= _CONTRAST and new < _CONTRAST_KEPT * old):
            change = _change(before.contrast, after.contrast)
            lines.append(f"{fell}: contrast between colours of a class, {change}")
        if _fell(before.old_domain, after.old_domain, lambda old, new: new < old - _DOMAIN_FALL):
            change = _change(before.old_domain, after.old_domain)
            lines.append(f"the old domain was partly forgotten: cgF1 on drawn scenes, {change}")
        return tuple(lines)

    def content(self) -> dict[str, object]:
        """The certificate as JSON-ready values."""
        return asdict(self) | {"lost": list(self.lost())}


def _fell(before: float | None, after: float | None, rule: Callable[[float, float], bool]) -> bool:
    return before is not None and after is not None and rule(before, after)


def _change(before: float | None, after: float | None) -> str:
    return f"from {before:.2f} to {after:.2f}"


def probes(source: AnnotatedSource, count: int) -> list[Probe]:
    """The first `count` images of a validation source, without augmentation."""
    found = []
    for record in source.data.images[:count]:
        view = ImageView.whole(record.size, np.zeros((0, 4)), keep_whole=True)
        present = tuple(one.phrase for one in record.phrases if one.annotations)
        found.append(Probe(record.name, view.pixels(source.read(record), source.size), present))
    return found


def figures(
    model: Sam3ImageModel, images: Sequence[Probe], nouns: Sequence[str], *, threshold: float, old_domain: bool
) -> Figures:
    """Ask a model for everything. nouns: foreign ones. old_domain: also validate on drawn scenes."""
    tokenize = CachedTokenizer(Tokenizer(model.config.text.context_length))
    classes = list(dict.fromkeys(phrase for image in images for phrase in image.present))[:_CLASSES]
    asked = chosen_nouns(nouns, NOUNS)
    found, scores = list[float](), dict.fromkeys(asked, 0.0)
    silent, seen = 0, dict[str, list[dict[str, float]]]()
    for image in images:
        coloured = {name: in_colours(name) for name in classes if name in image.present}
        phrases = [*image.present, *asked, *(phrase for some in coloured.values() for phrase in some.values())]
        top = dict(zip(phrases, top_scores(model, image.pixels, phrases, tokenize), strict=True))
        found += [top[phrase] for phrase in image.present]
        scores |= {noun: max(scores[noun], top[noun]) for noun in asked}
        silent += sum(top[noun] <= threshold for noun in asked)
        for name, some in coloured.items():
            seen.setdefault(name, []).append({colour: top[phrase] for colour, phrase in some.items()})
    ranges = [max(one.values()) - min(one.values()) for some in seen.values() for one in some]
    return Figures(
        own_classes=float(np.mean([score > threshold for score in found])) if found else None,
        foreign_nouns=silent / (len(images) * len(asked)) if asked and images else None,
        contrast=float(np.mean(ranges)) if ranges else None,
        old_domain=drawn_scenes(model, threshold) if old_domain else None,
        nouns=scores,
        colours={
            name: {colour: float(np.mean([one[colour] for one in some])) for colour in some[0]}
            for name, some in seen.items()
        },
    )


def in_colours(name: str) -> dict[str, str]:
    """A class in every colour: "forklift" and "orange forklift" as "yellow forklift" and so on."""
    first, _, rest = name.partition(" ")
    noun = rest if first.lower() in COLOURS and rest else name
    return {colour: f"{colour} {noun}" for colour in COLOURS}


@torch.inference_mode()
def top_scores(model: Sam3ImageModel, pixels: Tensor, phrases: Sequence[str], tokenize: Tokenize) -> list[float]:
    """The highest score of each phrase in one image (3, S, S). No mask is computed."""
    weight = model.decoder.query_embed.weight
    features = model.encode_image(pixels[None].to(weight.device, weight.dtype))
    found = list[float]()
    for start in range(0, len(phrases), _BATCH):
        some = list(phrases[start : start + _BATCH])
        text = model.encode_text(tokenize(some).to(weight.device))
        index = torch.zeros(len(some), dtype=torch.long, device=weight.device)
        grounding = model.fuse_and_decode(features, text, model.encode_geometry(None, features, index), index)
        found += scores_of(grounding.logits, grounding.presence).amax(1).tolist()
    return found


def drawn_scenes(model: Sam3ImageModel, threshold: float) -> float | None:
    """cgF1 on scenes of Playground, from 0 to 1; None if the model is too small for them."""
    size = model.config.vit.image_size
    if size < MIN_SCENE:
        return None
    tokenize = CachedTokenizer(Tokenizer(model.config.text.context_length))
    images = batches(Sam3ImageDataset(PlaygroundSource("val", size=size)), tokenize, batch=2, images=_SCENES)
    weight = model.decoder.query_embed.weight
    network = MultiPassModel(model).eval()
    cast = (batch_of.to(weight.device) for batch_of in images)

    def no_loss(*_: object) -> LossTerms:
        return LossTerms(torch.zeros(()), {})

    return validate(network, no_loss, cast, threshold=threshold, precision=torch.float32, nms=model.config.nms).metrics[
        "cgF1"
    ]

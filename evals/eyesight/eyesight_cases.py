"""Images with a phrase, and masks of which it is known whether they show it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evals.dataset_files import image_opener
from evals.readers.coco import image_targets, load
from sam3agent.masks import Mask
from sam3model.data.coco_file import class_phrase
from sam3model.errors import ConfigError, DataError
from sam3model.playground import Scene, SceneObject, scene
from sam3model.playground.descriptions import Description, say
from sam3model.playground.dice import Dice

if TYPE_CHECKING:
    from PIL import Image

SPLIT = "heldout"
MOST = 6
"""Masks of an image that show the phrase, and as many that do not."""
SMALLEST = 80
"""Pixels of the smallest mask that is shown."""
VISIBLE = 0.4
"""Visible fraction of the smallest part of a drawn object that is shown as a whole one."""


@dataclass(frozen=True, eq=False)
class ShownTruth:
    """A mask, and whether it shows the phrase."""

    mask: Mask
    fits: bool


@dataclass(frozen=True, eq=False)
class EyesightCase:
    """One image. query: the question that is asked; phrase: what its masks were found for, rightly or wrongly.

    shown: the masks in the order of their numbers, some of each kind.
    """

    key: str
    open: "Callable[[], Image.Image]"
    query: str
    phrase: str
    shown: tuple[ShownTruth, ...]


def playground_cases(count: int, first: int = 0) -> Iterator[EyesightCase]:
    """Drawn scenes. What does not fit is of the same kind with another colour first, then of another kind."""
    found, index = 0, first
    while found < count:
        if case := _drawn(scene(SPLIT, index)):
            found += 1
            yield case
        index += 1


def coco_cases(annotations: Path, images: Path, count: int) -> Iterator[EyesightCase]:
    """Images of a COCO file with at least two categories, one of which is asked for.

    Raises `DataError` if the file is damaged, or has no such image.
    """
    file = load(annotations)
    names, by_image, found = file.categories(), file.annotations_by_image(), 0
    for row in file.unique_images():
        if found == count:
            return
        name, size, targets = image_targets(file, row, by_image.get(row["id"], ()), masks=True)
        masks = {
            category: [mask for target in own if not target.crowd and target.mask and (mask := _usable(target.mask))]
            for category, own in targets.items()
            if not any(target.crowd for target in own)
        }
        masks = {category: own for category, own in masks.items() if own}
        if len(masks) > 1:
            found += 1
            dice = Dice("eyesight", str(row["id"]))
            asked = dice.pick(sorted(masks))
            wrong = [mask for category, own in sorted(masks.items()) if category != asked for mask in own]
            phrase = class_phrase(names[asked])
            shown = _mixed(dice, masks[asked], wrong)
            opener = image_opener(images, ("",), name, size)
            yield EyesightCase(str(row["id"]), opener, f"every {phrase}", phrase, shown)
    if not found:
        raise DataError(f"{annotations}: no image has masks of two categories")


def check_sources(annotations: Path | None, images: Path | None) -> None:
    """Raises `ConfigError` unless both are given or none."""
    if (annotations is None) != (images is None):
        raise ConfigError("--coco and --images belong together: the annotations, and the folder of their images")


def _drawn(drawn: Scene) -> EyesightCase | None:
    """The case of a scene; None if no description fits some of its objects and not others."""
    from PIL import Image

    dice = Dice("eyesight", *drawn.name)
    usable = [thing for thing in drawn.objects if thing.area >= SMALLEST and thing.visible >= VISIBLE]
    described = [Description(thing.kind, thing.colour) for thing in usable]
    described = [what for what in dict.fromkeys(described) if not all(map(what.matches, usable))]
    if not described:
        return None
    # A description is worth asking for if some of its kind do not fit it.
    hard = [what for what in described if any(o.kind == what.kind and not what.matches(o) for o in usable)]
    asked = dice.pick(hard or described)
    right = [thing for thing in usable if asked.matches(thing)]
    wrong = sorted((thing for thing in usable if not asked.matches(thing)), key=lambda thing: thing.kind != asked.kind)
    query = f"all {say(asked, dice, plural=True, plain=True)}"
    shown = _mixed(dice, _masks(right), _masks(wrong))
    image = Image.fromarray(drawn.image)
    return EyesightCase("/".join(map(str, drawn.name)), lambda: image, query, say(asked, dice, plain=True), shown)


def _masks(things: Sequence[SceneObject]) -> list[Mask]:
    return [mask for thing in things if (mask := Mask.from_full(thing.mask))]


def _usable(rle: object) -> Mask | None:
    mask = Mask.from_rle(rle)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    return mask if mask and mask.area >= SMALLEST else None


def _mixed(dice: Dice, right: Sequence[Mask], wrong: Sequence[Mask]) -> tuple[ShownTruth, ...]:
    """Some of each kind, in random order, so that numbers tell nothing."""
    listed = [ShownTruth(m, True) for m in right[:MOST]] + [ShownTruth(m, False) for m in wrong[:MOST]]
    return tuple(sorted(listed, key=lambda _: dice.random()))

"""Synthetic image data sets: phrases with three annotators (cgF1), and many categories (COCO AP)."""

from typing import Any

from benchmarks.metric_sets import JITTER, Canvas, Draws, EncodedMask, Json, Shape

ANNOTATORS = "abc"


def phrase_set(seed: int, images: int, objects: int, width: int, height: int) -> tuple[list[Json], list[Json]]:
    """One phrase per image: a file per annotator, and predictions. Boxes and areas are relative to the image size.

    A quarter of the phrases are negative. The second and third annotators have jittered objects, miss some and
    sometimes disagree completely. A few objects are crowds, and a few images are not annotated exhaustively.
    """
    dice, canvas = Draws(seed), Canvas.of(width, height, 0.06, 0.5)
    files: list[Json] = [
        {"info": {"annotator": a}, "images": [], "annotations": [], "categories": [{"id": 1, "name": "object"}]}
        for a in ANNOTATORS
    ]
    predictions: list[Json] = []
    for i in range(images):
        count = 0 if dice.chance(0.25) else objects
        base = [dice.shape(canvas) for _ in range(count)]
        for rank, file in enumerate(files):
            _annotate(dice, canvas, file, i, base, rank > 0)
        predictions += _answer(dice, canvas, 1000 + 3 * i, base, objects)
    return files, predictions


def _annotate(dice: Draws, canvas: Canvas, file: Json, index: int, base: list[Shape], differs: bool) -> None:
    shapes = base
    if differs:
        shapes = [dice.jitter(s, 0.12) for s in base if not dice.chance_at_most(0.08)]
        if dice.chance(0.1):
            shapes = [] if shapes else [dice.shape(canvas)]
    image = {
        "id": 1000 + 3 * index,
        "file_name": f"im_{index:05d}.jpg",
        "width": canvas.width,
        "height": canvas.height,
        "text_input": f"phrase {index}",
        "is_instance_exhaustive": int(not dice.chance(0.04)),
        "is_pixel_exhaustive": 1,
    }
    file["images"].append(image)
    for mask in (EncodedMask.of(s, canvas) for s in shapes):
        if mask:
            place = {"id": len(file["annotations"]) + 1, "image_id": image["id"], "category_id": 1}
            extent = {**_relative(mask, canvas), "segmentation": mask.rle, "iscrowd": int(dice.chance(0.06))}
            file["annotations"].append(place | extent)


def _answer(dice: Draws, canvas: Canvas, image: int, base: list[Shape], objects: int) -> list[Json]:
    candidates: list[tuple[Shape, bool]] = []
    silent = dice.chance(0.1)
    for shape in base:
        luck = dice.state.uniform()
        if luck < 0.82 and not silent:
            candidates.append((dice.jitter(shape, dice.pick(JITTER)), True))
        if luck < 0.12:
            candidates.append((dice.jitter(shape, 0.15), False))
    extra = int(dice.state.poisson(0.15 * max(objects, 2))) if base else dice.below(4)
    candidates += [(dice.shape(canvas), False) for _ in range(extra)]
    answers = []
    for shape, good in candidates:
        mask = EncodedMask.of(shape, canvas)
        if mask:
            score = dice.score(good)
            score = 0.5 if dice.chance(0.03) else score
            entry: Json = {"image_id": image, "category_id": 1, "segmentation": mask.rle}
            answers.append(entry | _relative(mask, canvas) | {"score": score})
    return answers


def _relative(mask: EncodedMask, canvas: Canvas) -> Json:
    x, y, w, h = mask.box
    width, height = canvas.width, canvas.height
    return {"bbox": [x / width, y / height, w / width, h / height], "area": mask.area / (width * height)}


def category_set(
    seed: int, images: int, objects: int, width: int, height: int, kinds: int = 6
) -> tuple[Json, list[Json]]:
    """Many categories with crowds, boxes in pixels; the last image has many objects of one category."""
    dice, canvas = Draws(seed), Canvas.of(width, height, 0.03, 0.6)
    categories = [{"id": 3 * c + 1, "name": f"cat{c}"} for c in range(kinds)]
    truth: Json = {"info": {}, "images": [], "annotations": [], "categories": categories}
    predictions: list[Json] = []
    for i in range(images):
        last, image = i == images - 1, 10 + 7 * i
        truth["images"].append({"id": image, "file_name": f"im_{i:05d}.jpg", "width": width, "height": height})
        candidates: list[tuple[Shape, int, bool]] = []
        for _ in range(objects + 30 * last):
            category = 1 if last else 3 * dice.below(kinds) + 1
            shape = dice.shape(canvas)
            mask = EncodedMask.of(shape, canvas)
            if not mask:
                continue
            truth["annotations"].append(
                _absolute(len(truth["annotations"]) + 1, image, category, mask, dice.chance(0.06))
            )
            candidates += _guesses(dice, shape, category, kinds)
        for _ in range(int(dice.state.poisson(0.3 * objects)) + 130 * last):
            shape, category = dice.shape(canvas), 1 if last else 3 * dice.below(kinds) + 1
            candidates.append((shape, category, last and dice.chance(0.5)))
        predictions += _scored(dice, canvas, image, candidates)
    return truth, predictions


def _absolute(number: int, image: int, category: int, mask: EncodedMask, crowd: bool) -> Json:
    place: dict[str, Any] = {"id": number, "image_id": image, "category_id": category}
    return place | {"bbox": mask.box, "area": mask.area, "segmentation": mask.rle, "iscrowd": int(crowd)}


def _guesses(dice: Draws, shape: Shape, category: int, kinds: int) -> list[tuple[Shape, int, bool]]:
    luck, guesses = dice.state.uniform(), []
    if luck < 0.85:
        moved = dice.jitter(shape, dice.pick(JITTER))
        label = 3 * dice.below(kinds) + 1 if dice.chance_at_most(0.07) else category
        guesses.append((moved, label, True))
    if luck < 0.2:
        guesses.append((dice.jitter(shape, 0.2), category, False))
    return guesses


def _scored(dice: Draws, canvas: Canvas, image: int, candidates: list[tuple[Shape, int, bool]]) -> list[Json]:
    entries = []
    for shape, category, good in candidates:
        mask = EncodedMask.of(shape, canvas)
        if mask:
            entry = {"image_id": image, "category_id": category, "segmentation": mask.rle, "bbox": mask.box}
            entries.append(entry | {"score": dice.score(good)})
    return entries

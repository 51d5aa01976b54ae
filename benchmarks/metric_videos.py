"""Synthetic video data sets: tracks of several phrases (YT-VIS format), and objects with masks per frame (J&F)."""

import numpy as np

from benchmarks.metric_sets import Canvas, Draws, EncodedMask, Json, Shape

Trail = list[Shape | None]


class Phrases:
    """Tracks of three phrases per video, of which two are positive; in the last video none is."""

    def __init__(self, seed: int, frames: int, objects: int, width: int, height: int, kinds: int = 5):
        self.dice, self.canvas = Draws(seed), Canvas.of(width, height, 0.12, 0.5)
        self.frames, self.objects, self.kinds = frames, objects, kinds
        categories = [{"id": c + 1, "name": f"np {c}"} for c in range(kinds)]
        tables: Json = {"videos": [], "annotations": [], "categories": categories, "video_np_pairs": []}
        self.truth: Json = {"info": {}, **tables}
        self.predictions: list[Json] = []

    def add_video(self, index: int, empty: bool) -> None:
        """Draw one video with its annotations and predictions."""
        video, name = 5 + 2 * index, f"vid_{index:04d}"
        files = [f"{name}/{t:05d}.jpg" for t in range(self.frames)]
        size = {"height": self.canvas.height, "width": self.canvas.width}
        self.truth["videos"].append(
            {"id": video, "video_name": name, "file_names": files, **size, "length": self.frames}
        )
        drawn = self.dice.state.choice(self.kinds, size=min(self.kinds, 3), replace=False)
        prompted = sorted(int(c) + 1 for c in drawn)
        positive = [] if empty else prompted[:2]
        tracks = dict.fromkeys(prompted, 0)
        for o in range(self.objects if positive else 0):
            category = positive[o % len(positive)]
            tracks[category] += self._add_object(video, category, positive)
        for category in prompted:
            pair = {"id": len(self.truth["video_np_pairs"]) + 1, "video_id": video, "category_id": category}
            more = {"noun_phrase": f"np {category - 1}", "num_masklets": tracks[category]}
            self.truth["video_np_pairs"].append(pair | more)
            for _ in range(int(self.dice.state.poisson(0.4 if tracks[category] else 0.5))):
                trail = self.dice.track(self.dice.shape(self.canvas), self.frames, self.canvas)
                self._predict(video, category, trail, False)

    def _add_object(self, video: int, category: int, positive: list[int]) -> bool:
        dice = self.dice
        trail = dice.track(dice.shape(self.canvas), self.frames, self.canvas)
        masks = [EncodedMask.of(s, self.canvas) for s in trail]
        if not any(masks):
            return False
        place = {"id": len(self.truth["annotations"]) + 1, "video_id": video, "category_id": category}
        size = {"height": self.canvas.height, "width": self.canvas.width, "iscrowd": 0}
        extent = {
            "segmentations": [m and m.rle for m in masks],
            "bboxes": [m and m.box for m in masks],
            "areas": [m and m.area for m in masks],
        }
        self.truth["annotations"].append({**place, "noun_phrase": f"np {category - 1}", **size, **extent})
        if dice.chance(0.85):
            self._follow(video, category, positive, trail)
        if dice.chance(0.12):
            self._predict(video, category, [s and dice.jitter(s, 0.15) for s in trail], False)
        return True

    def _follow(self, video: int, category: int, positive: list[int], trail: Trail) -> None:
        """Predict an object, sometimes as two tracks, sometimes as another phrase."""
        dice = self.dice
        amount = dice.pick((0.03, 0.08, 0.2, 0.35))
        moved = [None if s is None or dice.chance_at_most(0.05) else dice.jitter(s, amount) for s in trail]
        parts = [range(self.frames)]
        if dice.chance(0.3):
            cut = int(dice.state.randint(1, self.frames))
            parts = [range(cut), range(cut, self.frames)]
        other = positive[(positive.index(category) + 1) % len(positive)]
        for part in parts:
            label = other if dice.chance_at_most(0.08) else category
            self._predict(video, label, [s if t in part else None for t, s in enumerate(moved)], True)

    def _predict(self, video: int, category: int, trail: Trail, good: bool) -> None:
        masks = [EncodedMask.of(s, self.canvas) for s in trail]
        if not any(masks):
            return
        with_null = self.dice.chance(0.5)
        away = EncodedMask.encode(np.zeros((self.canvas.height, self.canvas.width), np.uint8)).rle
        blank = (None, None, None) if with_null else (away, [0.0, 0.0, 0.0, 0.0], 0)
        entry = {"video_id": video, "category_id": category, "score": self.dice.score(good)}
        rows = [(m.rle, m.box, m.area) if m else blank for m in masks]
        columns = zip(("segmentations", "bboxes", "areas"), map(list, zip(*rows, strict=True)), strict=True)
        self.predictions.append(entry | dict(columns))


def phrase_videos(
    seed: int, videos: int, frames: int, objects: int, width: int, height: int
) -> tuple[Json, list[Json]]:
    """Ground truth with `video_np_pairs`, and predictions."""
    made = Phrases(seed, frames, objects, width, height)
    for v in range(videos):
        made.add_video(v, empty=v == videos - 1 and videos >= 3)
    return made.truth, made.predictions


def object_videos(seed: int, videos: int, frames: int, objects: int, width: int, height: int) -> Json:
    """Masks of target and prediction per object and frame; predictions sometimes miss or hallucinate."""
    dice, result = Draws(seed), {}
    large, small = Canvas.of(width, height, 0.12, 0.5), Canvas.of(width, height, 0.1, 0.2)
    empty = EncodedMask.encode(np.zeros((height, width), np.uint8))
    for v in range(videos):
        tracks = {}
        for o in range(objects):
            trail, target = _visible(dice, large, frames)
            amount = dice.pick((0.03, 0.08, 0.2))
            guess = [_blink(dice, s, amount, small) for s in trail]
            prediction = [EncodedMask.of(s, large) for s in guess]
            pair = {"gt": target, "pred": prediction}
            tracks[f"{o:03d}"] = {side: [(m or empty).rle for m in masks] for side, masks in pair.items()}
        result[f"vid_{v:03d}"] = {"height": height, "width": width, "frames": frames, "objects": tracks}
    return result


def _visible(dice: Draws, canvas: Canvas, frames: int) -> tuple[Trail, list[EncodedMask | None]]:
    """A track that is visible in at least two frames other than the first and the last."""
    while True:
        trail = dice.track(dice.shape(canvas), frames, canvas)
        masks = [EncodedMask.of(s, canvas) for s in trail]
        if sum(m is not None for m in masks[1:-1]) >= 2:
            return trail, masks


def _blink(dice: Draws, shape: Shape | None, amount: float, small: Canvas) -> Shape | None:
    if shape is None:
        return dice.shape(small) if dice.chance(0.15) else None
    return None if dice.chance_at_most(0.08) else dice.jitter(shape, amount)

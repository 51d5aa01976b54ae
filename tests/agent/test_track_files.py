"""Files of tracks: read back by the metrics of the field, and drawn."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam3agent.masks import Mask
from sam3agent.render.labels import LabelPlaces, place
from sam3agent.render.palette import colour_of
from sam3agent.tracking.clip_overlay import drawn, write_overlay, write_strip
from sam3agent.tracking.track_files import ClipFacts, mot_lines, write_davis, write_format, write_tracks
from sam3agent.tracking.track_prompts import PromptTexts, TrackPrompts, TrackSpan
from sam3agent.tracking.track_run import TrackRun
from sam3agent.tracking.tracked_frames import FrameTracks, TrackedObject
from sam3model.data.label_maps import objects_of, read_labels
from sam3model.errors import OutputError
from sam3model.metrics.video_tracks import load_videos
from sam3model.ops.masks import decode_rle, encode_rle
from tests.agent.moving_blocks import SIZE, clip, tracker, white

FACTS = ClipFacts("blocks.mp4", SIZE)


def tracked(every: int = 1) -> list[FrameTracks]:
    prompts = TrackPrompts.read(PromptTexts(phrases=("player in white",), object_boxes=("2:70,3,85,20",)))
    return list(TrackRun(clip(), prompts, TrackSpan.of(clip(), every=every)).track(tracker()))


def test_tracks_json_is_ytvis(tmp_path: Path) -> None:
    write_tracks(tmp_path / "tracks.json", FACTS, tracked(every=2), {"weights": "scripted"})
    content = json.loads((tmp_path / "tracks.json").read_text())
    (video,), (shown, first, second) = content["videos"], content["annotations"]
    assert video["frames"] == [0, 2, 4, 6, 8, 10] and video["times"][1] == pytest.approx(0.2)
    assert [category["name"] for category in content["categories"]] == ["object", "player in white"]
    assert (shown["phrase"], first["phrase"], first["id"], second["id"]) == (None, "player in white", 2, 3)
    assert [mask is not None for mask in first["segmentations"]] == [True, True, True, False, True, True]
    assert first["bboxes"][1] == [10, 20, 12, 24] and first["areas"][1] == 288 and first["bboxes"][3] is None
    assert first["scores"][1] == pytest.approx(0.95) and first["score"] == pytest.approx(0.9)
    assert decode_rle(first["segmentations"][1])[20:44, 10:22].all()
    videos = load_videos(content, content["annotations"])
    assert videos.target_tracks("segm", (1, 2)).present.sum(1).tolist() == [5, 4]


def test_coco_vid_has_an_annotation_for_each_mask(tmp_path: Path) -> None:
    path, left_out = write_format("coco-vid", tmp_path, FACTS, tracked())
    content = json.loads(path.read_text())
    assert left_out == 0 and len(content["images"]) == 12 and content["images"][3]["frame_id"] == 3
    of_first = [a for a in content["annotations"] if a["instance_id"] == 2]
    assert [a["image_id"] for a in of_first] == [1, 2, 3, 4, 5, 8, 9, 10, 11, 12]
    assert len({a["id"] for a in content["annotations"]}) == len(content["annotations"])


def test_mot_counts_frames_from_one() -> None:
    lines = list(mot_lines(tracked()))
    assert lines[0] == "1,2,4,20,12,24,0.9000,-1,-1,-1\n"
    assert all(len(line.split(",")) == 10 for line in lines)


def test_davis_images_hold_ids_and_replace_older_ones(tmp_path: Path) -> None:
    folder = tmp_path / "davis"
    folder.mkdir()
    (folder / "99999.png").touch()
    write_format("davis", tmp_path, FACTS, tracked())
    assert sorted(path.name for path in folder.iterdir()) == [f"{t:05d}.png" for t in range(12)]
    labels = read_labels(tmp_path, "davis", "00003.png")
    box = white(3)
    assert box and (labels[box[1] : box[3], box[0] : box[2]] == 2).all() and set(objects_of(labels)) == {1, 2, 3}
    palette = Image.open(folder / "00003.png").getpalette()
    assert palette and tuple(palette[6:9]) == colour_of(2)
    assert [path.name for path in tmp_path.iterdir()] == ["davis"]


def test_davis_leaves_out_ids_that_do_not_fit(tmp_path: Path) -> None:
    rle = encode_rle(np.ones((SIZE[1], SIZE[0]), bool))
    frames = [FrameTracks(0, 0.0, (TrackedObject(254, None, 1, 1, rle), TrackedObject(255, None, 1, 1, rle)))]
    assert write_davis(frames, SIZE, tmp_path / "davis") == 1
    assert set(np.unique(read_labels(tmp_path, "davis", "00000.png"))) == {254}
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        write_davis(frames, SIZE, tmp_path / "file" / "davis")


def test_the_overlay_is_a_clip_with_stable_colours(tmp_path: Path) -> None:
    from sam3model.frames import open_frames

    frames, steps = tracked(), list[None]()
    write_overlay(tmp_path / "overlay.mp4", clip(), frames, 10.0, lambda: steps.append(None))
    written = open_frames(tmp_path / "overlay.mp4")
    assert (written.count, written.size, len(steps)) == (12, SIZE, 12) and written.time(4) == pytest.approx(0.4)
    plain, marked = np.asarray(clip().frame(8), int), np.asarray(drawn(clip(), frames[8]), int)
    box = white(8)
    assert box
    inside = (slice(box[1] + 18, box[3] - 2), slice(box[0] + 3, box[2] - 3))
    tint = (marked - plain * 0.66)[inside].mean((0, 1)) / 0.34
    assert np.abs(tint - colour_of(2)).max() < 12
    assert (marked[60:, :40] == plain[60:, :40]).all()


def test_the_strip_shows_the_first_and_the_last_frame(tmp_path: Path) -> None:
    write_strip(tmp_path / "preview.png", clip(), tracked())
    with Image.open(tmp_path / "preview.png") as image:
        assert image.width > 3 * SIZE[0] and image.height > 2 * SIZE[1]
        assert image.getpixel((10, 10)) == drawn(clip(), tracked()[0]).getpixel((6, 6))
    write_strip(tmp_path / "one.png", clip(), tracked()[:1])
    assert Image.open(tmp_path / "one.png").width < 2 * SIZE[0]


def test_labels_move_with_their_masks() -> None:
    """A shape whose deepest point changes from frame to frame keeps its label where it was."""

    def dumbbell(t: int) -> Mask:
        full = np.zeros((200, 300), bool)
        full[60:140, 20 + t : 100 + t] = full[60:140, 180 + t : 260 + t] = full[95:105, 20 + t : 260 + t] = True
        hole = 55 if t % 2 else 215
        full[76:80, hole + t : hole + t + 6] = False
        mask = Mask.from_full(full)
        assert mask is not None
        return mask

    def corners(places: LabelPlaces) -> list[int]:
        found = []
        for t in range(6):
            mask = dumbbell(t)
            (spot,) = place([mask], [(20, 20)], (300, 200), [places.remembered(1, mask, (20, 20))])
            places.keep(1, mask, spot)
            found.append(spot[0])
        return found

    steady = corners(LabelPlaces())
    assert np.abs(np.diff(steady)).max() <= 2
    alone = [place([dumbbell(t)], [(20, 20)], (300, 200))[0][0] for t in range(6)]
    assert np.abs(np.diff(alone)).max() > 50

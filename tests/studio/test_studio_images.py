"""Find, click, box, paint, keep, rename, undo and accept, and that nothing is lost."""

import os
from pathlib import Path

import pytest

from sam3agent.api import Agent
from sam3agent.masks import Mask
from sam3agent.testing import ScriptedTracker
from tests.studio.studio_desk import PATHS, SIZE, PathSegmenter, StudioClient, counts, studio


def mask_of(view: dict, object_id: int) -> Mask:
    (one,) = [one for one in view["objects"] if one["id"] == object_id]
    mask = Mask.from_rle({"size": [SIZE[1], SIZE[0]], "counts": view["masks"][str(one["shape"])]})
    assert mask is not None
    return mask


def test_a_folder_is_listed_as_people_count_and_bad_files_are_named(desk: StudioClient) -> None:
    assert list(desk.items) == ["bad.jpg", "one.png", "two.png", "walk.mp4"]
    reply = desk.client.get(f"/api/items/{desk.items['bad.jpg']}")
    assert reply.status_code == 400 and "bad.jpg is not an image" in reply.json()["error"]
    assert "bad.jpg" in desk.refusal("find", "bad.jpg", phrases=["player"])


def test_phrases_find_objects_and_weak_ones_are_rejected_with_the_reason(desk: StudioClient) -> None:
    view = desk.post("find", phrases=["player", " ball "])
    assert counts(view) == [("player", True), ("player", True), ("ball", False)]
    weak = view["objects"][2]
    assert weak["why"] == "“ball” matches with score 0.35, below the threshold of 0.50"
    assert mask_of(view, 1).box == (4, 20, 16, 44)
    again = desk.post("find", phrases=["player"])
    assert again["version"] == view["version"], "the same objects are not added twice"


def test_a_click_adds_an_object_and_clicks_correct_it(desk: StudioClient) -> None:
    added = desk.post("click", click=[6, 22, 1], label="keeper")
    assert counts(added) == [("keeper", True)] and mask_of(added, added["object"]).area == 12 * 24
    more = desk.post("click", object=1, click=[72, 40, 1])
    assert mask_of(more, 1).area == 12 * 24 + 12 * 26
    less = desk.post("click", object=1, click=[6, 22, 0])
    assert mask_of(less, 1).box == (70, 30, 82, 56)
    assert [click[2] for click in less["objects"][0]["clicks"]["0"]] == [1, 1, 0]


def test_a_click_beside_everything_says_so(desk: StudioClient) -> None:
    assert "there is no object here" in desk.refusal("click", click=[40, 60, 1])
    assert "choose the object" in desk.refusal("click", click=[6, 22, 0])
    desk.post("click", click=[6, 22, 1])
    assert "nothing can be added" in desk.refusal("click", object=1, click=[40, 60, 1])
    assert "not there any more" in desk.refusal("click", object=99, click=[6, 22, 1])


def test_a_box_shows_one_object_and_an_example_finds_all(desk: StudioClient) -> None:
    assert counts(desk.post("click", box=[50, 6, 58, 14], label="ball")) == [("ball", True)]
    assert counts(desk.post("like", boxes=[[4, 20, 16, 44]], label="person"))[1:] == [("person", True)] * 2


def test_paint_adds_and_erases_pixels(desk: StudioClient) -> None:
    view = desk.post("paint", stroke=[[20, 20], [40, 20]], radius=3)
    mask = mask_of(view, 1)
    assert mask.box[0] <= 18 and mask.box[2] >= 42 and 100 < mask.area < 200
    less = desk.post("paint", object=1, stroke=[[20, 20]], radius=6, add=False)
    assert mask_of(less, 1).area < mask.area
    assert "delete it instead" in desk.refusal("paint", object=1, stroke=[[30, 20]], radius=60, add=False)


def test_undo_and_redo_go_through_every_kind_of_change(desk: StudioClient) -> None:
    views = [desk.look(), desk.post("find", phrases=["player"]), desk.post("click", object=1, click=[72, 40, 1])]
    views += [desk.post("edit", objects=[1], label="keeper"), desk.post("edit", objects=[2], kept=False)]
    views += [desk.post("remove", objects=[1]), desk.post("accept", accepted=True)]
    shown = [(view["objects"], view["masks"], view["accepted"]) for view in views]
    view = views[-1]
    for before in reversed(shown[:-1]):
        view = desk.post("undo")
        assert (view["objects"], view["masks"], view["accepted"]) == before
    assert view["undo"] is None and desk.post("undo")["version"] == 0
    for after in shown[1:]:
        view = desk.post("redo")
        assert (view["objects"], view["masks"], view["accepted"]) == after
    assert view["redo"] is None


def test_a_change_after_undo_starts_a_new_history(desk: StudioClient) -> None:
    desk.post("find", phrases=["player"])
    desk.post("undo")
    view = desk.post("click", click=[52, 8, 1])
    assert view["redo"] is None and [one["id"] for one in view["objects"]] == [3], "ids are never used again"


def test_a_rejected_object_says_who_rejected_it_and_stays_rejected(desk: StudioClient) -> None:
    desk.post("find", phrases=["player"])
    view = desk.post("edit", objects=[1], kept=False)
    assert view["objects"][0]["why"].startswith("You rejected it.")
    assert counts(desk.post("find", phrases=["player"]))[0] == ("player", False)


def test_everything_is_there_after_a_kill(folder: Path, tmp_path: Path) -> None:
    with studio(folder, tmp_path / "out") as first:
        first.post("find", phrases=["player"])
        first.post("accept", accepted=True)
        seen = first.look()
        first.desks.engine.store._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        # A copy of the files as they are while the first studio runs is what a kill leaves behind.
        left = tmp_path / "left"
        left.mkdir()
        for path in (tmp_path / "out").glob("studio.sqlite*"):
            (left / path.name).write_bytes(path.read_bytes())
    with studio(folder, left) as second:
        assert second.look() == seen
        assert counts(second.post("undo")) == [("player", True)] * 2


def test_a_replaced_file_is_refused_instead_of_showing_wrong_masks(desk: StudioClient, folder: Path) -> None:
    from PIL import Image

    desk.post("find", phrases=["player"])
    Image.new("RGB", (200, 100)).save(folder / "one.png")
    assert "has changed since it was labelled" in desk.refusal("find", phrases=["player"])


def test_opening_an_image_does_not_wait_for_the_model(folder: Path, tmp_path: Path) -> None:
    segmenter = PathSegmenter()
    with studio(folder, tmp_path / "out", Agent(segmenter, tracker=ScriptedTracker(PATHS))) as desk:
        desk.look()
        assert (
            desk.client.get(f"/api/items/{desk.items['one.png']}/image?side=64").headers["content-type"] == "image/jpeg"
        )
        assert segmenter.encoded == 0
        desk.post("warm")
        desk.post("find", phrases=["player"])
        assert segmenter.encoded == 1


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("find", {"phrases": [" "]}, "write what to find"),
        ("click", {"click": [1, 2]}, "click"),
        ("click", {"click": [1e9, 2, 1]}, "click.0"),
        ("click", {}, "click on an object"),
        ("edit", {"objects": [1], "label": " "}, "not there any more"),
        ("find", {"phrases": ["a"], "frame": 3}, "there is no frame 3"),
        ("find", {"phrases": ["a"], "more": 1}, "more"),
        ("ask", {"question": ""}, "write a question"),
        ("follow", {}, "single image"),
    ],
)
def test_bad_requests_get_a_sentence(desk: StudioClient, name: str, body: dict, words: str) -> None:
    assert words in desk.refusal(name, **body)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_folder_of_masks_and_exports_is_private(desk: StudioClient, tmp_path: Path) -> None:
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


def test_what_changes_nothing_is_not_told_as_done(desk: StudioClient) -> None:
    desk.post("find", phrases=["player"])
    version = desk.look()["version"]
    for name, body in (("remove", {"objects": [1, 99]}), ("paint", {"object": 99, "stroke": [[9, 9]], "radius": 3})):
        assert "not there any more" in desk.refusal(name, **body)
    assert desk.post("stop")["stopped"] is False
    assert desk.look()["version"] == version


def test_labels_are_one_line_that_can_be_shown(desk: StudioClient) -> None:
    desk.post("find", phrases=["player"])
    view = desk.post("edit", objects=[1, 1], label=" red\n\x1b[2Jplayer ")
    assert view["objects"][0]["label"] == "red [2Jplayer"
    assert view["undo"] == "rename to red [2Jplayer object 1"


@pytest.mark.parametrize("query", ["?frame=-1", "?frame=x", "?frame=99999999999"])
def test_a_frame_that_is_no_number_is_not_the_first_one(desk: StudioClient, query: str) -> None:
    reply = desk.client.get(f"/api/items/{desk.items['one.png']}{query}")
    assert reply.status_code == 400 and "whole number" in reply.json()["error"]

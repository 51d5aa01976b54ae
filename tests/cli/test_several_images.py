"""One command over several images: what is found, the journal, going on after a kill, and what is left out."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam3agent.answer import Selection
from sam3agent.cli.app import guarded
from sam3agent.cli.ask import run_ask
from sam3agent.cli.batch import folder_names
from sam3agent.cli.flags import Screen
from sam3agent.cli.image_sources import expand_sources, split_question
from sam3agent.cli.mask_files import write_formats
from sam3agent.cli.segment import Examples, TypedClicks, run_segment
from sam3agent.masks import Masklet
from sam3agent.media import ImageMedia
from sam3agent.mllm.errors import MLLMBusyError
from sam3agent.pool import MaskPool, masklets
from sam3agent.testing import ScriptedBackend, ScriptLine, call
from sam3agent.written_lists import split_phrases
from sam3model.errors import InputError
from sam3model.ops.masks import encode_rle
from tests.agent.moving_blocks import clip, pixels
from tests.agent.test_policy import YES
from tests.agent.world import World

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with images; the weights are a known world."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("sam3agent.api.make_segmenter", lambda *_: World())
    monkeypatch.setattr("sam3agent.cli.segment.make_segmenter", lambda *_: World())
    (tmp_path / "photos").mkdir()
    for name in ("2.png", "10.png", "1.png"):
        World().image.save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return tmp_path


def ask(*words: str, as_json: bool = True, **flags: object) -> int:
    return guarded(lambda: run_ask(words, flags, Screen(as_json=as_json)))


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("words", "images"),
    [
        (("a.png", "leftmost player in white"), 1),
        (("a.png", "leftmost", "player", "in", "white"), 1),
        (("a.png", "b.jpg", "leftmost player in white"), 2),
        (("photos/", "https://example.org/x", "*.gif", "leftmost player in white"), 3),
        (("photos", "./more/photos", "leftmost", "player", "in", "white"), 2),
        (("-", "leftmost", "player in", "white"), 1),
    ],
)
def test_a_question_needs_no_quotes(words: tuple[str, ...], images: int) -> None:
    assert split_question(words) == (words[:images], "leftmost player in white")


def test_words_of_a_question_that_are_also_folders_stay_words(place: Path) -> None:
    (place / "ball").mkdir()
    World().image.save(place / "x.png")
    assert split_question(("x.png", "ball", "on", "the", "left?")) == (("x.png",), "ball on the left?")


@pytest.mark.parametrize("word", ["red/white", "and/or", "1/2", "/", "w/", "ball/"])
def test_a_slash_in_a_question_is_no_path(word: str) -> None:
    assert split_question(("a.png", word, "player")) == (("a.png",), f"{word} player")


@pytest.mark.parametrize(
    "word", ["photos/", "photos/1.png", "photos/missing", "/data/photos", "../photos", "no/such.png"]
)
def test_a_path_before_the_question_is_an_image(word: str, place: Path) -> None:
    assert split_question(("a.png", word, "player")) == (("a.png", word), "player")


def test_words_of_a_question_are_not_taken_for_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ball").write_text("a file that is named like a thing")
    assert split_question(("x.png", "ball")) == (("x.png",), "ball")


def test_folders_and_patterns_are_expanded_in_natural_order(place: Path) -> None:
    photos = ["photos/1.png", "photos/2.png", "photos/10.png"]
    assert expand_sources(["photos"]) == (photos, True)
    assert expand_sources(["photos/*.png", "photos/2.png"]) == (photos, True)
    assert expand_sources(["photos/2.png"]) == (["photos/2.png"], False)
    for pattern in ("*.nothing", "~nobody-of-this-name/*.png"):
        with pytest.raises(InputError, match="no file matches"):
            expand_sources([pattern])


def test_several_images_have_one_journal(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("photos", "leftmost player") == 0
    results = printed(capsys)
    assert [result["source"] for result in results] == ["photos/1.png", "photos/2.png", "photos/10.png"]
    assert all(result["status"] == "answered" and Path(result["overlay"]).is_file() for result in results)
    (journal,) = place.glob("sam3agent-out/*/journal.jsonl")
    assert len(journal.read_text().splitlines()) == 4
    assert {path.name for path in journal.parent.iterdir()} == {"1", "2", "10", "journal.jsonl"}


def test_a_warning_of_many_images_is_printed_once(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        World().image.save(place / f"{number}.tif", save_all=True, append_images=[World().image.rotate(90)])
    assert ask("*.tif", "the ball", as_json=False) == 0
    shown = capsys.readouterr().out
    assert shown.count("warning: the file has 2 frames or pages: only the first is used (3 images)") == 1


def test_an_unreadable_image_is_named_and_the_others_go_on(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "photos" / "3.jpg").write_text("no image")
    assert ask("photos", "leftmost player", as_json=False) == 1
    shown = capsys.readouterr()
    assert "photos/3.jpg is not an image in a supported format" in shown.err
    assert "4 images: 3 answered, 1 failed; results in sam3agent-out/" in shown.out
    World().image.save(place / "photos" / "3.jpg")
    assert ask("photos", "leftmost player", as_json=False) == 0
    assert "4 answered (3 of them done before)" in capsys.readouterr().out


def test_a_rerun_goes_on_where_a_kill_stopped(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask("photos", "leftmost player", out="o")
    whole = printed(capsys)
    journal = place / "o" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:50])  # killed while it wrote the second result
    os.utime(place / "o" / "1" / "overlay.png", (1, 1))
    assert ask("photos", "leftmost player", out="o") == 0
    again = printed(capsys)
    assert [result["masks"] for result in again] == [result["masks"] for result in whole]
    assert (place / "o" / "1" / "overlay.png").stat().st_mtime == 1  # not done again
    assert len(journal.read_bytes().splitlines()) == 4


def test_a_changed_image_is_done_again(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask("photos", "leftmost player", out="o", as_json=False)
    World().image.rotate(180).save(place / "photos" / "1.png")
    ask("photos", "leftmost player", out="o", as_json=False)
    assert "(2 of them done before)" in capsys.readouterr().out


def test_answers_that_ran_out_are_asked_again_with_a_larger_budget_only(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = list[str]()
    for seconds, calls in ((1e-6, 60), (1e-6, 60), (1e-7, 60), (1e-6, 61), (300, 61), (1e-6, 61)):
        assert ask("photos", "leftmost player", as_json=False, max_seconds=seconds, max_calls=calls) == 0
        ends.append(capsys.readouterr().out)
    known = ["of them done before" in end for end in ends]
    assert known == [False, True, True, False, False, True], ends
    assert all("3 exhausted" in end and "exhausted are not final" in end for end in ends[:4])
    assert all("3 answered" in end and "not final" not in end for end in ends[4:])
    assert len(list((place / "sam3agent-out").iterdir())) == 1


def test_answers_that_a_failing_server_cut_short_are_asked_again(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    search, select = call("segment_phrase", phrases=["player"]), call("select_masks", what="player", ids=[1, 2, 3])
    backend = ScriptedBackend([search, MLLMBusyError("gone"), search, select, search, select])
    monkeypatch.setattr("sam3agent.api.make_backend", lambda _: backend)
    for status in ("exhausted", "answered", "answered"):
        assert ask("photos/1.png", "photos/2.png", "all players", out="o") == 0
        results = printed(capsys)
        assert [result["status"] for result in results] == [status, "answered"]
        assert all("interrupted" not in result and "budgets" not in result for result in results)


def test_answers_that_a_failing_server_left_unchecked_are_asked_again(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    search = call("segment_phrase", phrases=["player"])
    select = call("select_masks", what="player", ids=[3], keep=["leftmost"])
    judge: dict[int | None, ScriptLine] = {None: MLLMBusyError("gone")}
    monkeypatch.setattr("sam3agent.api.make_backend", lambda _: ScriptedBackend([search, select] * 2, judge))
    for unchecked in (True, False):
        assert ask("photos/1.png", "photos/2.png", "leftmost player", out="o") == 0
        for result in printed(capsys):
            assert result["status"] == "answered"
            assert unchecked == any("further looks were not made: gone" in text for text in result["warnings"])
        judge[None] = YES


def test_a_folder_of_another_run_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask("photos", "leftmost player", out="o")
    assert ask("photos", "the ball", out="o") == 2
    assert "o holds another run (query leftmost player, now the ball)" in capsys.readouterr().err
    (place / "o" / "journal.jsonl").write_text("{}\n")
    assert ask("photos", "the ball", out="o") == 2
    assert "line 1 is damaged" in capsys.readouterr().err


def test_weights_that_were_written_anew_make_another_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = place / "a-folder-of-a-run-with-a-long-name" / "best.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"first")
    assert ask("photos", "leftmost player", out="o", weights=str(weights)) == 0
    assert ask("photos", "leftmost player", out="o", weights=str(weights)) == 0
    weights.write_bytes(b"later")
    assert ask("photos", "leftmost player", out="o", weights=str(weights)) == 2
    before, now = capsys.readouterr().err.partition("(weights ")[2].partition(")")[0].split(", now ")
    assert before != now


def test_two_processes_do_not_share_a_folder(place: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom sam3agent.cli.screen import output_folder\n"
        "with output_folder(Path('o'), 'x'):\n    print('locked', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as other:
        assert other.stdout and other.stdout.readline()
        for words in (("photos", "leftmost player"), ("photos/1.png", "leftmost player")):
            assert ask(*words, out="o") == 2
        other.communicate()
    assert ask("photos", "leftmost player", out="o") == 0


def test_images_of_one_name_get_folders_of_their_own() -> None:
    assert folder_names(["https://example.org/a/.."]) == ["image"]
    names = folder_names(["a/x.png", "b/X.jpg", "b/y.png"])
    assert len({name.lower() for name in names}) == 3 and names[2] == "y"


def test_a_later_run_leaves_the_folders_of_an_earlier_one_alone(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "more").mkdir()
    World().image.rotate(180).save(place / "more" / "1.PNG")
    kept = dict[str, bytes]()
    for words in (("photos",), ("more/*",), ("photos", "more/*")):
        assert ask(*words, "leftmost player", out="o") == 0
        for result in printed(capsys):
            path = Path(result["overlay"])
            assert kept.setdefault(result["source"], path.read_bytes()) == path.read_bytes()
    assert len(kept) == 4
    World().image.save(place / "more" / "1.PNG")  # what has changed is done again, in its own folder
    assert ask("more/*", "leftmost player", out="o") == 0
    assert len([path for path in (place / "o").iterdir() if path.is_dir()]) == 4


@pytest.mark.parametrize(
    ("flags", "difference"),
    [
        ({"effort": "high"}, "effort None, now high"),
        ({"without": "check"}, "without None, now check"),
        ({"max_segmenter_calls": 3}, "max_segmenter_calls 20, now 3"),
        ({"temperature": 0.5}, "temperature None, now 0.5"),
    ],
)
def test_what_decides_an_answer_makes_another_run(
    flags: dict[str, object], difference: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask("photos", "leftmost player", out="o") == 0
    assert ask("photos", "leftmost player", out="o", **flags) == 2
    assert f"o holds another run ({difference})" in capsys.readouterr().err


def test_phrases_with_commas_are_several(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert split_phrases(("player,ball", "car", " ball ")) == ("player", "ball", "car")
    for empty in (",;,", " ", "", "\u3000", "\u00a0,"):
        with pytest.raises(InputError, match="a phrase is empty"):
            split_phrases(("car", empty))
    none = Examples(), TypedClicks()
    assert guarded(lambda: run_segment(("photos/1.png",), ("player, ball",), *none, {}, Screen(as_json=True))) == 0
    shown = capsys.readouterr()
    assert "searching for 2 phrases: player, ball" in shown.err
    assert {mask["phrase"] for mask in json.loads(shown.out)["masks"]} == {"player", "ball"}


def test_pages_that_are_left_out_are_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [World().image, World().image.rotate(90, expand=False)]
    for name, said in (("x.tif", "2 frames or pages: only the first is used"), ("x.gif", "2 frames: only the first")):
        frames[0].save(place / name, save_all=True, append_images=frames[1:])
        none = Examples(), TypedClicks()
        assert guarded(lambda n=name, e=none: run_segment((n,), ("ball",), *e, {}, Screen())) == 0
        shown = capsys.readouterr().out
        assert "warning: " in shown and said in shown
        assert ask(name, "the ball", as_json=False) == 0
        assert ("tracking 'ball'" if name == "x.gif" else said) in capsys.readouterr().err  # a GIF is a clip


def test_a_gif_is_an_image_where_clips_cannot_be_read(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    World().image.save(place / "x.gif", save_all=True, append_images=[World().image.rotate(90)], duration=50)
    monkeypatch.setitem(sys.modules, "av", None)
    assert ask("x.gif", "the ball", as_json=False) == 0
    assert "2 frames or pages: only the first is used" in capsys.readouterr().err
    (place / "x.mp4").write_bytes(bytes(4) + b"ftypisom" + bytes(99))
    assert ask("x.mp4", "the ball") == 2
    assert "needs PyAV, which is not installed" in capsys.readouterr().err


accounts: list[str | None] = []
"""The `Authorization` of every request to the server."""


@pytest.fixture
def web(place: Path) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            accounts.append(self.headers.get("Authorization"))
            self.send_response({"/gone": 404, "/file": 302, "/loop": 302, "/away": 302}.get(self.path, 200))
            if self.path in ("/file", "/loop", "/away"):
                away = f"http://localhost:{self.server.server_port}/image.png"
                self.send_header("Location", {"/file": "file:///etc/passwd", "/away": away}.get(self.path, "/loop"))
            self.end_headers()
            if self.path == "/image.png":
                self.wfile.write((place / "photos" / "1.png").read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_images_behind_urls(web: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(f"{web}/image.png", "leftmost player") == 0
    assert printed(capsys)[0]["overlay"] == "sam3agent-out/image-1/overlay.png"
    for path, said in (("gone", "answers 404"), ("file", "answers 302"), ("loop", "answers 302")):
        assert ask(f"{web}/{path}", "leftmost player") == 2
        assert said in capsys.readouterr().err
    assert ask(f"{web}/image.png", f"{web}/gone", "leftmost player") == 1


def test_a_password_of_a_url_is_neither_shown_nor_kept(
    web: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = web.replace("://", "://me:hunter2@")
    accounts.clear()
    assert ask(f"{secret}/image.png", "leftmost player") == 0
    assert accounts == ["Basic bWU6aHVudGVyMg=="]
    accounts.clear()
    assert ask(f"{secret}/away", "leftmost player") == 0
    assert accounts == ["Basic bWU6aHVudGVyMg==", None]
    assert ask(f"{secret}/gone", "leftmost player") == 2
    assert ask(f"{secret}/image.png", f"{secret}/gone", "leftmost player", as_json=False) == 1
    assert ask(f"{secret}/image.png", f"{secret}/gone", "leftmost player") == 1
    shown = capsys.readouterr()
    assert "hunter2" not in shown.out + shown.err
    assert all(b"hunter2" not in path.read_bytes() for path in place.rglob("*") if path.is_file())


def test_every_mask_of_a_clip_has_a_file(tmp_path: Path) -> None:
    media = clip()
    first, late = ({t: encode_rle(pixels(t)[..., 0] > 220) for t in frames} for frames in ((0, 1), (8,)))
    found = [(masklet, 0.9) for rles in (first, late) if (masklet := Masklet.from_rles(rles))]
    chosen = Selection.from_pool(media, MaskPool().add("player", found)[0])
    written = write_formats(chosen, tmp_path, ("png",))["png"]
    assert [Path(path).name for path in written] == ["png-1.png", "png-2.png"]
    for mask, path in zip(chosen.masks, written, strict=True):
        assert np.array_equal(np.asarray(Image.open(path)) == 255, mask.mask)


def test_saving_an_answer_deletes_no_file_of_others(tmp_path: Path) -> None:
    media, others = clip(), ("strip.png", "overlay.mp4", "png-7.png")
    for name in others:
        (tmp_path / name).write_text("of somebody else")
    none = Selection.from_pool(media, MaskPool(), ()).save(tmp_path, "clip", "the dog")
    write_formats(none, tmp_path, ("png",))
    assert all((tmp_path / name).read_text() == "of somebody else" for name in others)


def test_masks_as_images_and_cutouts(tmp_path: Path) -> None:
    world = World()
    media = ImageMedia(world.image)
    pool, _ = MaskPool().add("player", masklets(world.segment_phrases(["player"])[0]))
    selection = Selection.from_pool(media, pool)
    written = write_formats(selection, tmp_path, ("png", "cutout"))
    for mask, png, cutout in zip(selection.masks, written["png"], written["cutout"], strict=True):
        assert np.array_equal(np.asarray(Image.open(png)) == 255, mask.mask)
        cut = Image.open(cutout)
        x0, y0, x1, y1 = mask.box
        assert cut.mode == "RGBA" and cut.size == (x1 - x0, y1 - y0)
        assert np.array_equal(np.asarray(cut)[..., 3] == 255, mask.stored.crop)
        assert np.array_equal(np.asarray(cut)[..., :3], np.asarray(world.image)[y0:y1, x0:x1])

"""Open images: a call on one does not wait while another is encoded."""

import threading
from pathlib import Path

import pytest

from sam3agent.media import Media
from sam3agent.segmenter import SegmenterSession
from sam3agent.sessions import Sessions
from sam3agent.testing import ScriptedSegmenter
from sam3model.errors import InputError
from tests.drawn_match import PLAYERS, drawing


class SlowSegmenter(ScriptedSegmenter):
    """Waits for `go_on` before it encodes a second image."""

    def __init__(self) -> None:
        super().__init__(PLAYERS)
        self.encoding, self.go_on = threading.Event(), threading.Event()

    def open(self, media: Media) -> SegmenterSession:
        if self.opened:
            self.encoding.set()
            assert self.go_on.wait(20)
        return super().open(media)


def test_an_open_image_is_usable_while_another_is_encoded(tmp_path: Path) -> None:
    for name in ("open.png", "new.png"):
        drawing().save(tmp_path / name)
    segmenter = SlowSegmenter()
    sessions = Sessions(segmenter)
    with sessions.image(tmp_path / "open.png"):
        pass

    def open_another() -> None:
        with sessions.image(tmp_path / "new.png"):
            pass

    other = threading.Thread(target=open_another)
    other.start()
    assert segmenter.encoding.wait(20)
    used = threading.Event()

    def use() -> None:
        with sessions.image(tmp_path / "open.png") as opened:
            assert opened.bench.size == (96, 64)
            used.set()

    threading.Thread(target=use, daemon=True).start()
    assert used.wait(5)
    segmenter.go_on.set()
    other.join()
    assert segmenter.opened == 2


def test_two_calls_at_once_encode_an_image_once(tmp_path: Path) -> None:
    drawing().save(tmp_path / "a.png")
    segmenter = ScriptedSegmenter(PLAYERS)
    sessions, together = Sessions(segmenter), threading.Barrier(8)

    def use() -> None:
        together.wait(10)
        with sessions.image(tmp_path / "a.png"):
            pass

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert segmenter.opened == 1


def test_a_file_that_could_not_be_opened_is_tried_again(tmp_path: Path) -> None:
    class OnceBroken(ScriptedSegmenter):
        def open(self, media: Media) -> SegmenterSession:
            if not self.opened:
                self.opened = 1
                raise InputError("no memory")
            return super().open(media)

    drawing().save(tmp_path / "a.png")
    sessions = Sessions(OnceBroken(PLAYERS))
    with pytest.raises(InputError, match="no memory"), sessions.image(tmp_path / "a.png"):
        pass
    with sessions.image(tmp_path / "a.png") as opened:
        assert opened.bench.size == (96, 64)

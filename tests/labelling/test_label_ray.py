"""Ray actors as workers: the same data set, also when one is killed in the middle."""

import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sam3agent.config import Settings
from sam3agent.labelling.label_data_set import Workers, label_data_set
from tests.labelling.coloured_blocks import draw, draw_folder, tree
from tests.labelling.test_label_runs import ALL, Watched, job

ROOT = Path(__file__).parents[2]

pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
pytestmark = pytest.mark.ray


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a folder of images, and a Ray of this machine with two cores for actors."""
    import ray

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    draw_folder(tmp_path / "photos", 30)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield tmp_path
    ray.shutdown()


def test_two_actors_write_what_one_process_writes(place: Path) -> None:
    absolute = {"sources": (str(place / "photos"),)}
    one = label_data_set(replace(job(str(place / "one")), **absolute), ALL)
    two = label_data_set(replace(job(str(place / "two")), **absolute), ALL, Workers(2, ray=True))
    assert one.images == two.images and one.images["labelled"] > 15
    assert tree(place / "one") == tree(place / "two")


def test_an_actor_that_dies_costs_what_it_had_in_hand(place: Path) -> None:
    draw(place / "photos" / "16.png", 16, corner=(0, 250, 0))
    once = {"sources": (str(place / "photos"),), "settings": Settings(weights=str(place / "flag.die-once"))}
    watched = Watched()
    label_data_set(replace(job(str(place / "two")), **once), ALL, Workers(2, ray=True), watched)
    assert (place / "flag.died").exists()
    assert 0 < len(watched.sources("lost")) <= 4
    assert sorted(watched.sources("done")) == sorted(str(path) for path in (place / "photos").iterdir())
    label_data_set(replace(job(str(place / "one")), **once), ALL)
    assert tree(place / "one") == tree(place / "two")


def test_an_actor_killed_from_outside(place: Path) -> None:
    """As a node that goes down: the process of an actor is killed while images stream."""
    killed = list[int]()

    class Killing(Watched):
        def __call__(self, event: str, values: Mapping[str, Any]) -> None:
            super().__call__(event, values)
            if event == "done" and not killed:
                killed.append(_pid_of_an_actor())
                os.kill(killed[0], signal.SIGKILL)

    watched = Killing()
    absolute = {"sources": (str(place / "photos"),)}
    label_data_set(replace(job(str(place / "two")), **absolute), workers=Workers(2, ray=True), watch=watched)
    assert killed and watched.sources("lost")
    label_data_set(replace(job(str(place / "one")), **absolute))
    assert tree(place / "one") == tree(place / "two")


def _pid_of_an_actor() -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"ray::Labeller" in path.read_bytes():
                return int(path.parent.name)
        except OSError:
            continue
    raise AssertionError("no actor is running")

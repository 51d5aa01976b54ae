"""How Ray is used, with a stand-in for it: what is sent to actors, and what is left as it was."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sam3agent.config import Settings
from sam3agent.labelling.label_items import ImageFile, LabelItem, WebImage
from sam3agent.labelling.ray_crew import RayCrew
from tests.labelling.test_label_runs import job


class StandIn(SimpleNamespace):
    """Ray with one core: it keeps what actors are made with and called with."""

    def __init__(self, connected: bool) -> None:
        super().__init__(exceptions=SimpleNamespace(), connected=connected, made=[], sent=[])

    def is_initialized(self) -> bool:
        return self.connected

    def init(self, *_: Any, **__: Any) -> None:
        self.connected = True

    def shutdown(self) -> None:
        self.connected = False

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 1.0}

    def kill(self, _: Any) -> None:
        return

    def remote(self, _: Any) -> Any:
        label = SimpleNamespace(remote=lambda item: self.sent.append(item) or len(self.sent))
        make = SimpleNamespace(remote=lambda *values: self.made.append(values) or SimpleNamespace(label=label))
        return SimpleNamespace(options=lambda **_: make)


@pytest.fixture(params=[True, False], ids=["connected before", "connected here"])
def ray(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn(request.param)
    monkeypatch.setitem(sys.modules, "ray", stand_in)  # pyright: ignore[reportArgumentType]
    monkeypatch.setitem(sys.modules, "ray.exceptions", stand_in.exceptions)
    return stand_in


def test_a_cluster_that_was_connected_before_stays_connected(ray: StandIn) -> None:
    before = ray.connected
    RayCrew(job("out")).close()
    assert ray.connected == before


def test_actors_get_paths_that_do_not_depend_on_their_working_directory(
    ray: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best.safetensors").touch()
    crew = RayCrew(job("out", settings=Settings(weights="best.safetensors")))
    for place in (ImageFile("photos/1.png"), WebImage("https://example.org/1.png")):
        crew.submit((0, len(ray.sent)), LabelItem("photos/1.png", "1.png", "photos", place))
    ((sent, _),) = ray.made
    assert sent.out == tmp_path / "out" and sent.settings.weights == str(tmp_path / "best.safetensors")
    assert [item.place for item in ray.sent] == [
        ImageFile(str(tmp_path / "photos" / "1.png")),
        WebImage("https://example.org/1.png"),
    ]
    assert {item.source for item in ray.sent} == {"photos/1.png"}, "messages and journal name it as typed"

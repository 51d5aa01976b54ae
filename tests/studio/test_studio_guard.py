"""Who is let in: the token, Host, Origin, and paths outside what was opened."""

import os
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from sam3agent.api import Agent
from sam3agent.servers.studio.studio_guard import kept_token
from sam3agent.servers.studio.studio_server import StudioAddress, guarded_app, open_desks, serve_studio
from sam3model.errors import InputError
from tests.studio.studio_desk import BASE, TOKEN, PathSegmenter, StudioClient, drawn


def test_without_the_token_nothing_is_served(desk: StudioClient) -> None:
    stranger = TestClient(desk.client.app, base_url=BASE)
    item = desk.items["one.png"]
    for path in ("/", "/page/app.js", "/api/items", f"/api/items/{item}", f"/api/items/{item}/image", "/api/events"):
        assert stranger.get(path).status_code == 403, path
    assert stranger.post("/api/find", json={"item": item, "phrases": ["player"]}).status_code == 403
    assert stranger.get("/?token=wrong").status_code == 403
    for wrong in (b"Bearer x", b"Bearer \xe9", b"Basic " + TOKEN.encode(), TOKEN.encode()):
        assert stranger.get("/api/items", headers={b"authorization": wrong}).status_code == 403, wrong


def test_the_token_moves_from_the_address_into_a_cookie(desk: StudioClient) -> None:
    page = TestClient(desk.client.app, base_url=BASE, follow_redirects=False)
    moved = page.get(f"/?token={TOKEN}&small")
    assert moved.status_code == 303 and moved.headers["location"] == "/?small"
    cookie = moved.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert page.get("/").status_code == 200
    headers = page.get("/").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8400"},
        {"host": "127.0.0.1:9999"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_other_names_and_other_pages_are_refused_even_with_the_token(desk: StudioClient, headers: dict) -> None:
    assert desk.client.get("/api/items", headers=headers).status_code == 403
    body = {"item": desk.items["one.png"], "phrases": ["player"]}
    assert desk.client.post("/api/find", json=body, headers=headers).status_code == 403
    assert desk.look()["version"] == 0


def test_changes_must_be_json(desk: StudioClient) -> None:
    body = f'{{"item": "{desk.items["one.png"]}", "accepted": true}}'
    assert desk.client.post("/api/accept", content=body, headers={"content-type": "text/plain"}).status_code == 415
    assert desk.client.post("/api/accept", content=b"x" * 5_000_000).status_code == 413
    assert desk.client.post("/api/accept", content=iter([b"{}"])).status_code == 411


def test_only_what_was_opened_can_be_reached(desk: StudioClient, tmp_path: Path, folder: Path) -> None:
    drawn().save(tmp_path / "outside.png")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    os.mkfifo(folder / "pipe.png")
    assert [item["name"] for item in desk.get("items")["items"]] == ["bad.jpg", "one.png", "two.png", "walk.mp4"]
    for name in ("../outside.png", "%2e%2e%2foutside.png", str(tmp_path / "outside.png"), "0" * 12):
        assert desk.client.get(f"/api/items/{name}").status_code in (400, 404)
    assert desk.client.get("/page/../studio_app.py").status_code == 404
    assert desk.client.get("/page/%2e%2e/studio_app.py").status_code == 404


def test_the_token_is_kept_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = set[int]()
    chmod = Path.chmod

    def seen(path: Path, mode: int, **given: bool) -> None:
        modes.add(path.stat().st_mode & 0o077)
        chmod(path, mode, **given)

    monkeypatch.setattr(Path, "chmod", seen)
    token = kept_token(tmp_path)
    assert modes == {0}, "it could be read by others for a moment"
    assert len(token) > 32 and kept_token(tmp_path) == token
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0


def test_mistakes_at_the_start_are_one_sentence(tmp_path: Path) -> None:
    agent, out = Agent(PathSegmenter()), tmp_path / "out"

    def start(paths: list[Path], address: StudioAddress = StudioAddress(), **given: bool) -> None:  # noqa: B008
        serve_studio(agent, paths, out, address, ready=lambda _: pytest.fail("it must not start"), **given)

    with pytest.raises(InputError, match="there is no file or folder"):
        start([tmp_path / "missing"])
    with pytest.raises(InputError, match="for this machine only"):
        start([tmp_path], StudioAddress("0.0.0.0"), with_token=False)
    with pytest.raises(InputError, match="cannot listen on"):
        start([tmp_path], StudioAddress("203.0.113.7", 8400))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "studio.sqlite").write_text("not a database, and long enough to be read as one" * 40)
    with pytest.raises(InputError, match="is not a store of the studio"):
        open_desks(agent, [tmp_path], tmp_path / "bad")


def test_names_given_on_the_command_line_are_let_in(tmp_path: Path) -> None:
    desks = open_desks(Agent(PathSegmenter()), [tmp_path], tmp_path / "out")
    app = guarded_app(desks, StudioAddress("0.0.0.0", hosts=("lab.example",)), 8400, None)
    with TestClient(app, base_url="http://lab.example:8400") as client:
        assert client.get("/api/items").json()["items"] == []
        assert client.get("/api/items", headers={"host": "other.example:8400"}).status_code == 403

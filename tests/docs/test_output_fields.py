"""The fields in output.md are those of real runs; statuses, settings and messages match the code."""

import ast
import json
import os
import re
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, get_args

import pytest

from sam3agent.api import Agent
from sam3agent.cli import main
from sam3agent.config import Settings
from sam3agent.states import Status
from sam3agent.testing import ScriptedBackend, call
from tests.agent.moving_blocks import tracker, write_clip
from tests.agent.world import World
from tests.docs.fenced_blocks import table_keys

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "docs" / "output.md"
ACCEPT = {None: '{"verdict": "accept", "reason": "yes"}'}


def leaves(value: Any, name: str = "") -> Iterator[str]:
    """Names of all values that are not objects, as `masks[].box`; RLE, `info` and lists per frame count as values."""
    if isinstance(value, dict) and "counts" not in value and name != "info":
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict) and "counts" not in value[0]:
        for inner in value:
            yield from leaves(inner, f"{name}[]")
    else:
        yield name


def check_fields(heading: str, *values: Any) -> None:
    """All fields of the values are under the heading, and all under the heading are in some value."""
    listed, found = table_keys(OUTPUT, heading), {name for value in values for name in leaves(value)}
    assert not found - listed, f"not in output.md under {heading!r}: {sorted(found - listed)}"
    parents = {name[: match.start()] for name in found for match in re.finditer(r"\[\]\.|\.|\[\]", name)}
    assert not listed - found - parents, f"output.md, {heading!r}, lists {sorted(listed - found - parents)}"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, with a known world in place of weights."""
    from sam3agent import api
    from sam3agent.cli import segment, track

    for name in [name for name in os.environ if name.startswith("SAM3AGENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for module in (api, segment):
        monkeypatch.setattr(module, "make_segmenter", lambda *_: World())
    for module in (api, track):
        monkeypatch.setattr(module, "make_tracker", lambda *_: tracker())
    World().image.save(tmp_path / "match.png")
    write_clip(tmp_path / "clip.mp4")
    return tmp_path


def printed(capsys: Any, *arguments: str) -> Any:
    """The JSON object that a command prints."""
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--json"])
    out = capsys.readouterr()
    assert end.value.code == 0, out.err
    return json.loads(out.out)


def test_ask(desk: Path, capsys: Any) -> None:
    formats = ("--format", "png", "--format", "cutout")
    answered = printed(capsys, "ask", "match.png", "leftmost player in white", "--out", "a", *formats)
    nothing = printed(capsys, "ask", "match.png", "the red player", "--out", "b")
    on_clip = printed(capsys, "ask", "clip.mp4", "the player in white that moves to the right", "--out", "c")
    absent = printed(capsys, "ask", "clip.mp4", "the player in red that stops", "--out", "d")
    check_fields("ask --json", answered, nothing, on_clip, absent)
    check_fields("masks.json", *(json.loads((desk / name / "masks.json").read_text()) for name in ("a", "c")))
    assert (answered["status"], nothing["status"]) == ("answered", "no_match")
    check_files("ask", "a", "c")
    assert table_keys(OUTPUT, "The status of an answer") == set(get_args(Status))


def test_segment(desk: Path, capsys: Any) -> None:
    formats = ("--format", "png,cutout")
    value = printed(capsys, "segment", "match.png", "--phrase", "player", "--out", "a", *formats)
    listed = table_keys(OUTPUT, "segment --json")
    assert listed - set(leaves(value)) == {"masks", "masks[].predicted_iou"}  # the world cannot be clicked
    assert set(leaves(value)) <= listed
    check_files("segment", "a")


def test_several_images(desk: Path, capsys: Any) -> None:
    (desk / "broken.png").write_text("no image")
    with pytest.raises(SystemExit) as end:
        main(["ask", "match.png", "broken.png", "the ball", "--out", "a", "--json"])
    good, bad = map(json.loads, capsys.readouterr().out.splitlines())
    assert end.value.code == 1
    assert set(leaves(good)) <= table_keys(OUTPUT, "ask --json") | {"source"}
    assert set(bad) == {"source", "status", "reason"} and bad["status"] == "failed"
    start, *records = map(json.loads, (desk / "a" / "journal.jsonl").read_text().splitlines())
    assert start["query"] == "the ball"
    kept = {"event", "stamp"}
    assert [set(record) for record in records] == [{*good, *kept, "budgets", "interrupted"}, {*bad, *kept}]


def test_track(desk: Path, capsys: Any) -> None:
    formats = [word for name in ("davis", "coco-vid", "mot") for word in ("--format", name)]
    first = printed(capsys, "track", "clip.mp4", "--phrase", "player", "--out", "a", *formats)
    second = printed(capsys, "track", "clip.mp4", "--phrase", "player", "--out", "b", "--preview")
    check_fields("track --json", first, second)
    check_fields("tracks.json", json.loads((desk / "a" / "tracks.json").read_text()))
    check_files("track", "a", "b")


def check_files(command: str, *folders: str) -> None:
    """The files of a command are listed, and those listed are written."""
    lines = OUTPUT.read_text().split("## Files")[1].split("\n## ")[0].splitlines()
    rows = [line.split("|") for line in lines if re.match(r"\| `(ask|segment|track)`.*\| `", line)]
    listed = [row[2].strip(" `") for row in rows if f"`{command}`" in row[1]]
    patterns = {name: re.escape(name).replace("ID", r"\d+").replace(r"\*", r"[\w-]+") for name in listed}
    files = ((folder, path) for folder in folders for path in Path(folder).rglob("*"))
    written = {str(path.relative_to(folder)) for folder, path in files if path.is_file()}
    unlisted = [name for name in written if not any(re.fullmatch(pattern, name) for pattern in patterns.values())]
    assert not unlisted, f"files of {command} that output.md lacks: {unlisted}"
    missing = [name for name, pattern in patterns.items() if not any(re.fullmatch(pattern, one) for one in written)]
    assert set(missing) <= {"journal.jsonl"}, f"files of {command} that are not written: {missing}"


def trace_fields() -> dict[str, set[str]]:
    """The fields of each record of a trace, as output.md lists them."""
    section = OUTPUT.read_text().split("## trace.jsonl")[1].split("\n## ")[0]
    fields, event = dict[str, set[str]](), ""
    for row in (line.split("|") for line in section.splitlines() if line.startswith("| ")):
        event = row[1].strip(" `") or event
        fields.setdefault(event, set()).update(re.findall(r"`([^`]+)`", row[2]))
    fields["end"] |= {name.split(".")[0] for name in table_keys(OUTPUT, "ask --json")}
    return fields


def test_trace(tmp_path: Path) -> None:
    world = World()
    script = [
        "no call",
        call("segment_phrase", phrases=["player"], depth=3),
        call("select_masks", what="player", ids=[3], keep=["leftmost"]),
    ]
    Agent(world, ScriptedBackend(script, ACCEPT)).ask(world.image, "leftmost player", out=tmp_path / "a")
    Agent(world).ask(world.image, "the dog", out=tmp_path / "b")
    fields, events = trace_fields(), set[str]()
    for name in ("a", "b"):
        for record in map(json.loads, (tmp_path / name / "trace.jsonl").read_text().splitlines()):
            events.add(record["event"])
            assert set(record) - {"t", "event"} <= fields[record["event"]], record
    assert events >= {"start", "ask", "reply", "tool", "finding", "complaint", "dropped_arguments", "state", "end"}


def test_the_table_of_settings_is_up_to_date() -> None:
    spec = spec_from_file_location("settings_table", ROOT / "docs" / "settings_table.py")
    assert spec is not None and spec.loader is not None
    settings_table = module_from_spec(spec)
    spec.loader.exec_module(settings_table)
    text = settings_table.DOCUMENT.read_text(encoding="utf-8")
    assert settings_table.updated(text) == text, "run: python docs/settings_table.py"
    assert all(f"`{name}`" in settings_table.table() for name in Settings.model_fields)


def constants() -> list[str]:
    """Every text in the code, with "\\0" for what is filled in, one per line."""
    texts = []
    for folder in ("sam3agent", "sam3model"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = (part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
                    texts.append("".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(re.sub(r"\{\w*\}", "\0", node.value))
    return texts


def test_the_messages_of_troubleshooting_are_those_of_the_code() -> None:
    """Every message in the first column of a table of troubleshooting.md is one that the code can print."""
    texts = [text for text in constants() if len(text) > 12]
    lines = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8").splitlines()
    messages = [found[1] for line in lines if (found := re.match(r"\| `([^`]+)` \|", line))]
    assert len(messages) > 20
    unknown = [message for message in messages if not any(can_be(text, message) for text in texts)]
    assert not unknown, f"the code prints no such message: {unknown}"


def can_be(text: str, message: str) -> bool:
    """Whether a text of the code, once filled in, can be a message in which "…" stands for anything."""
    parts = [" ".join(part.split()) for part in text.split("\0")]
    longest = max(parts, key=len)
    if len(longest) > 12 and longest in message:
        return bool(re.search(".*".join(map(re.escape, parts)), message))
    place, whole = 0, " ".join(text.replace("\0", "…").split())
    for piece in (piece.strip() for piece in message.split("…")):
        place = whole.find(piece, place)
        if place < 0:
            return False
    return any(len(piece) > 12 for piece in message.split("…"))

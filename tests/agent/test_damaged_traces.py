"""A trace is a file from outside: whatever it holds, replaying it draws an answer or says what is wrong in a line."""

import copy
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sam3agent.agent.policy import EVERY_CANDIDATE, Policy
from sam3agent.api import Agent
from sam3agent.cli.app import guarded
from sam3agent.cli.replay import run_replay
from sam3agent.testing import ScriptedBackend
from tests.agent.test_loop import ACCEPT
from tests.agent.test_trace import SCRIPT
from tests.agent.world import World

VALUES = [
    None, -1, 0, 1.5, 10**9, 10**30, float("nan"), float("inf"), True, "", "1", "x" * 5000, "\x1b[31mx",
    "../../../../etc/passwd", "/etc/passwd", "\ud800", "a\0b", [], {}, [[]], {"a": 1},
    {"size": [10**9, 10**9], "counts": "0"}, {"size": [10**9, 768], "counts": "0"}, {"size": [10, 10], "counts": "zz"},
]  # fmt: skip


@pytest.fixture(scope="module", params=[EVERY_CANDIDATE, Policy()], ids=["every", "weighed"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    policy: Policy = request.param
    folder = tmp_path_factory.mktemp("recorded")
    judge = {2: '{"verdict": "reject"}', None: ACCEPT[None]}
    Agent(World(), ScriptedBackend(SCRIPT, judge), policy=policy).ask(World().image, "a player and a car", out=folder)
    return folder


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from leaves(inner, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    if new is lines:  # stands for "delete"
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return value


class Replayed:
    """Replays a trace with other bytes, both ways."""

    def __init__(self, recorded: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder / "trace", capsys
        shutil.copytree(recorded, self.folder)

    def __call__(self, data: bytes | list[Any], name: object) -> list[int]:
        text = data if isinstance(data, bytes) else "".join(json.dumps(line) + "\n" for line in data).encode()
        (self.folder / "trace.jsonl").write_bytes(text)
        codes = []
        for rerun in (False, True):
            out = self.folder.parent / "out"
            codes.append(
                guarded(lambda r=rerun, o=out: run_replay(self.folder, rerun=r, out=o, as_json=r, verbose=False))
            )
            shown = self.capsys.readouterr()
            assert codes[-1] in (0, 2), (name, shown.err)
            assert (shown.out + shown.err).replace("\n", "").isprintable(), name
            said = [line for line in shown.err.splitlines() if not line.startswith("skipped")]
            assert len(said) == (codes[-1] == 2), (name, shown.err)
            shutil.rmtree(out, ignore_errors=True)
        return codes


@pytest.fixture
def replayed(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Replayed:
    return Replayed(recorded, tmp_path, capsys)


def test_the_unchanged_trace_is_replayed(recorded: Path, replayed: Replayed) -> None:
    assert replayed(lines(recorded), "unchanged") == [0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_mutated_traces(seed: int, recorded: Path, replayed: Replayed) -> None:
    whole, chosen = lines(recorded), random.Random(seed)
    places = list(leaves(whole))
    codes = []
    for _ in range(60):
        place, new = chosen.choice(places), chosen.choice([*VALUES, lines, lines])
        codes += replayed(changed(whole, place, new), (place, new))
    assert 2 in codes


def test_every_field_is_checked(recorded: Path, replayed: Replayed) -> None:
    whole = lines(recorded)
    for place in leaves(whole):
        if len(place) <= 2:
            replayed(changed(whole, place, lines), place)


def test_broken_files(recorded: Path, replayed: Replayed) -> None:
    whole = lines(recorded)
    data = (recorded / "trace.jsonl").read_bytes()
    broken: dict[str, bytes | list[Any]] = {
        "empty": b"",
        "bytes": bytes(range(256)),
        "deep": b"[" * 100_000,
        "deep record": b'{"event":"start","x":' + b"[" * 100_000,
        "null bytes": bytes(100),
        "long number": b'{"event":"start","x":' + b"9" * 5000 + b"}\n",
        "utf-16": json.dumps(whole[0]).encode("utf-16"),
        "only the start": whole[:1],
        "twice": whole + whole,
        "backwards": whole[:1] + whole[:0:-1],
    }
    broken |= {f"without line {n}": whole[:n] + whole[n + 1 :] for n in range(len(whole))}
    broken |= {f"cut {n}": data[: len(data) * n // 7] for n in range(1, 7)}
    for name, content in broken.items():
        replayed(content, name)


@pytest.mark.parametrize("name", ["/etc/passwd", "../other.png", "link.png", "images", "", "."])
def test_only_the_image_beside_the_trace_is_opened(name: str, recorded: Path, replayed: Replayed) -> None:
    other = replayed.folder.parent / "other.png"
    World().image.save(other)
    (replayed.folder / "link.png").symlink_to(other)
    assert replayed(changed(lines(recorded), (0, "image"), name), name) == [2, 2]


def test_an_image_of_another_size_is_refused(recorded: Path, replayed: Replayed) -> None:
    assert replayed(changed(lines(recorded), (0, "width"), 9), "size") == [2, 2]
    World().image.resize((9, 9)).save(replayed.folder / "image.png")
    assert replayed(lines(recorded), "another image") == [2, 2]


def test_the_line_and_the_field_are_named(recorded: Path, replayed: Replayed) -> None:
    (replayed.folder / "trace.jsonl").write_text(
        "\n".join(json.dumps(line) for line in changed(lines(recorded), (-1, "elapsed_s"), None))
    )
    guarded(lambda: run_replay(replayed.folder, rerun=False, out=None, as_json=False, verbose=False))
    assert f"line {len(lines(recorded))} of the trace: end.elapsed_s: " in replayed.capsys.readouterr().err

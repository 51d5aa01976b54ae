"""Traces: replaying any damage draws an answer, or says in one line what is wrong."""

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from sam3agent.api import Agent
from sam3agent.testing import ScriptedBackend
from tests.agent.test_loop import ACCEPT
from tests.agent.test_trace import SCRIPT
from tests.agent.world import World
from tests.fuzz.commands import sam3agent
from tests.fuzz.fuzzing import fuzzed
from tests.fuzz.mutations import damaged_bytes, damaged_json


@cache
def recorded() -> tuple[bytes, bytes]:
    """A trace and the image beside it."""
    with tempfile.TemporaryDirectory() as folder:
        judge = {2: '{"verdict": "reject"}', None: ACCEPT[None]}
        Agent(World(), ScriptedBackend(SCRIPT, judge)).ask(World().image, "a player and a car", out=Path(folder))
        return (Path(folder) / "trace.jsonl").read_bytes(), (Path(folder) / "image.png").read_bytes()


def records() -> list[Any]:
    return [json.loads(line) for line in recorded()[0].splitlines()]


def replayed(folder: Path, trace: bytes, image: bytes) -> None:
    (folder / "trace").mkdir()
    (folder / "trace/trace.jsonl").write_bytes(trace)
    (folder / "trace/image.png").write_bytes(image)
    for flags in ((), ("--rerun", "--json")):
        ended = sam3agent("replay", str(folder / "trace"), "--out", str(folder / "out"), *flags, codes=(0, 2))
        errors = [line for line in ended.err.splitlines() if line.startswith("sam3agent: ")]
        assert len(errors) == (ended.code == 2), ended.err
        shutil.rmtree(folder / "out", ignore_errors=True)


@fuzzed(st.deferred(lambda: damaged_json(records())), quick=25)
def test_records_with_other_values(folder: Path, changed: list[Any]) -> None:
    lines = "".join(json.dumps(line) + "\n" for line in changed)
    replayed(folder, lines.encode("utf-8", "surrogatepass"), recorded()[1])


@fuzzed(st.deferred(lambda: damaged_bytes(recorded()[0])), quick=20)
def test_a_file_with_other_bytes(folder: Path, trace: bytes) -> None:
    replayed(folder, trace, recorded()[1])


@fuzzed(st.deferred(lambda: damaged_bytes(recorded()[1])), quick=6)
def test_an_image_with_other_bytes(folder: Path, image: bytes) -> None:
    replayed(folder, recorded()[0], image)

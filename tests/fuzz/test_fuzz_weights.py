"""Weights files: a model, or one line that names the file, at once and in bounded memory."""

import io
import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st

from sam3agent.knowledge import read_knowledge
from sam3model.checkpoint import load, read_config
from sam3model.errors import CheckpointError, ConfigError
from sam3model.resources import TINY_WEIGHTS, asset
from tests.fuzz.commands import sam3agent
from tests.fuzz.fuzzing import fuzzed
from tests.fuzz.mutations import damaged_bytes, damaged_json

TRANSFORMERS = Path(__file__).parents[1] / "goldens/transformers_small"


@cache
def header() -> dict[str, Any]:
    """The header of the shipped weights, as a safetensors file begins with."""
    data = asset(TINY_WEIGHTS).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length])


@cache
def body() -> bytes:
    data = asset(TINY_WEIGHTS).read_bytes()
    return data[8 + struct.unpack("<Q", data[:8])[0] :]


@cache
def configuration() -> Any:
    return json.loads(header()["__metadata__"]["config"])


@cache
def pickled() -> bytes:
    buffer = io.BytesIO()
    torch.save({"model": {"detector.a": torch.zeros(3), "detector.b": torch.ones(2, 2)}, "epoch": 1}, buffer)
    return buffer.getvalue()


def file_of(head: Any) -> bytes:
    text = head if isinstance(head, bytes) else json.dumps(head).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + body()


def with_config(config: Any) -> Any:
    """The header with another configuration."""
    whole = header()
    return {**whole, "__metadata__": {**whole["__metadata__"], "config": json.dumps(config)}}


CONFIGS = st.deferred(lambda: damaged_json(configuration())).map(with_config)
METADATA = st.deferred(lambda: damaged_json(header()["__metadata__"])).map(
    lambda metadata: {**header(), "__metadata__": metadata}
)
HEADERS = st.deferred(lambda: damaged_bytes(json.dumps(header()).encode(), within=3000))
TENSORS = st.deferred(lambda: damaged_json({k: v for k, v in header().items() if k != "__metadata__"})).map(
    lambda tensors: {**tensors, "__metadata__": header()["__metadata__"]}
)


def refused_or_loaded(path: Path) -> None:
    """Reading the configuration and loading agree, and say in one line what is wrong."""
    for read in (read_config, lambda file: load(file, parts=None), lambda file: read_knowledge(str(file))):
        try:
            read(path)
        except (CheckpointError, ConfigError) as error:
            assert path.name in str(error)
            assert "\n" not in str(error) and len(str(error)) < 1500


@fuzzed(CONFIGS | METADATA | TENSORS | HEADERS, quick=8)
def test_another_header(folder: Path, head: Any) -> None:
    (folder / "w.safetensors").write_bytes(file_of(head))
    refused_or_loaded(folder / "w.safetensors")


@fuzzed(st.binary(max_size=300) | st.integers(0, 2**64 - 1).map(lambda size: struct.pack("<Q", size) + b"{}"), quick=20)
def test_a_file_with_other_bytes(folder: Path, data: bytes) -> None:
    (folder / "w.safetensors").write_bytes(data)
    refused_or_loaded(folder / "w.safetensors")


@fuzzed(st.deferred(lambda: damaged_bytes(pickled())) | st.binary(max_size=100), quick=20)
def test_a_pickle_with_other_bytes(folder: Path, data: bytes) -> None:
    (folder / "w.pt").write_bytes(data)
    refused_or_loaded(folder / "w.pt")


@fuzzed(
    st.deferred(lambda: damaged_json(json.loads((TRANSFORMERS / "config.json").read_text()))).map(json.dumps)
    | st.deferred(lambda: damaged_bytes((TRANSFORMERS / "config.json").read_bytes())),
    quick=8,
)
def test_a_transformers_folder_with_another_configuration(folder: Path, content: str | bytes) -> None:
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    (folder / "config.json").write_bytes(data)
    (folder / "model.safetensors").symlink_to(TRANSFORMERS / "model.safetensors")
    for read in (read_config, lambda file: load(file, parts=None)):
        try:
            read(folder)
        except (CheckpointError, ConfigError) as error:
            assert "\n" not in str(error) and len(str(error)) < 1500


@fuzzed(CONFIGS | HEADERS, quick=2)
def test_the_commands_refuse_in_one_line(folder: Path, head: Any) -> None:
    path = folder / "w.safetensors"
    path.write_bytes(file_of(head))
    ended = sam3agent("weights", "info", str(path), codes=(0, 2))
    assert ended.code == 0 or str(path) in ended.err

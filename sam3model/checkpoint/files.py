"""Reading tensors from disk without holding two copies, and writing them atomically."""

import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sam3model.errors import CheckpointError
from sam3model.files import replacing

PICKLE_SUFFIXES = (".pt", ".pth", ".bin")


class TensorFile(Mapping[str, Tensor]):
    """Tensors by name, memory-mapped: each is read when it is asked for.

    `metadata` holds the text fields of a safetensors header, or the text that a pickle keeps under `config`; `location`
    is the file or folder, for messages.
    """

    def __init__(self, location: Path, readers: dict[str, Callable[[], Tensor]], metadata: Mapping[str, str]) -> None:
        self.location = location
        self.metadata = dict(metadata)
        self._readers = readers

    def __getitem__(self, name: str) -> Tensor:
        return self._readers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


def open_tensors(path: Path) -> TensorFile:
    """Open a `.safetensors` file, a folder with one or several of them, or a pickle of tensors (`.pt`, `.pth`, `.bin`).

    Pickles are loaded with `weights_only=True`: a file that would run code is refused. A training checkpoint that
    keeps its weights under `model` or `state_dict` is looked into.

    Raises:
        CheckpointError: nothing there, damaged, or not a file of tensors.
    """
    if path.is_dir():
        parts = [_open_safetensors(part) for part in sorted(path.glob("*.safetensors"))]
        if not parts:
            raise CheckpointError(
                f"{path} holds no .safetensors file: name a weights file or a folder of a saved model"
            )
        readers = {name: reader for part in parts for name, reader in part._readers.items()}
        return TensorFile(path, readers, parts[0].metadata)
    if not path.is_file():
        raise CheckpointError(
            f"no weights at {path}: give 'tiny', a hub name such as facebook/sam3, or the path of a file"
        )
    if path.suffix == ".safetensors":
        return _open_safetensors(path)
    if path.suffix in PICKLE_SUFFIXES:
        return _open_pickle(path)
    raise CheckpointError(f"{path} has no known suffix: weights are .safetensors, {', '.join(PICKLE_SUFFIXES)}")


def _open_safetensors(path: Path) -> TensorFile:
    try:
        file = safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}): download or export it again"
        ) from error
    readers = {name: _bind(file.get_tensor, name) for name in file.keys()}  # noqa: SIM118 - a handle, not a dict
    return TensorFile(path, readers, file.metadata() or {})


def _open_pickle(path: Path) -> TensorFile:
    try:
        with path.open("rb") as file:
            legacy = file.read(1) == pickle.PROTO  # a bare pickle, as before PyTorch 1.6: no zip to map
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=not legacy)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors and is refused, since loading it could run code: export it as safetensors"
        ) from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise CheckpointError(f"{path} is damaged or not a PyTorch file: download or export it again") from error
    tensors = _find_state(content)
    if tensors is None:
        raise CheckpointError(f"{path} holds no table of tensors: expected names to tensors, possibly under 'model'")
    config = content.get("config")
    metadata = {"config": config} if isinstance(config, str) else {}
    return TensorFile(path, {name: _bind(tensors.__getitem__, name) for name in tensors}, metadata)


def _find_state(content: Any) -> dict[str, Tensor] | None:
    if not isinstance(content, dict):
        return None
    for key in ("model", "state_dict", "module"):  # first: a training checkpoint may hold single tensors beside it
        if key in content and (found := _find_state(content[key])):
            return found
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)} or None


def _bind(function: Callable[[str], Tensor], name: str) -> Callable[[], Tensor]:
    return lambda: function(name)


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file atomically; the folder is made if absent.

    Raises:
        OutputError: the folder cannot be made or written to, or the disk is full.
    """
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(contiguous, temporary, dict(metadata or {}))
        except SafetensorError as error:
            raise OSError(str(error)) from error


def write_pickle(path: Path, content: Any) -> None:
    """Write a PyTorch file atomically; the folder is made if absent. Raises `OutputError` as `write_safetensors`."""
    with replacing(path) as temporary:
        torch.save(content, temporary)

"""Read tensors from disk without holding two copies, and write them atomically."""

import json
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sam3model.errors import CheckpointError
from sam3model.files import replacing

PICKLE_SUFFIXES = (".pt", ".pth", ".bin")
_MAX_DEPTH = 4
WRAPPERS = ("module.", "model.")
"""What DistributedDataParallel and Lightning put in front of every name."""


class TensorFile(Mapping[str, Tensor]):
    """Tensors by name, memory-mapped: each is read on access. Names lose what wrappers put in front of them.

    `metadata` holds the text fields of a safetensors header, or those beside the tensors in a pickle; `location` is the
    file or folder, for messages.

    Raises:
        CheckpointError: two tensors have the same name without wrappers.
    """

    def __init__(self, location: Path, readers: dict[str, Callable[[], Tensor]], metadata: Mapping[str, str]) -> None:
        self.location = location
        self.metadata = dict(metadata)
        self._readers = dict(zip(_without_wrappers(readers), readers.values(), strict=True))
        if len(self._readers) < len(readers):
            raise CheckpointError(f"{location} holds the same weights with and without '_orig_mod.': save one of them")

    def renamed(self, rename: Callable[[str], str]) -> "TensorFile":
        """The same tensors under other names."""
        readers = {rename(name): reader for name, reader in self._readers.items()}
        return TensorFile(self.location, readers, self.metadata)

    def __getitem__(self, name: str) -> Tensor:
        return self._readers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


def open_tensors(path: Path) -> TensorFile:
    """Open a `.safetensors` file, a folder with one or several of them, or a pickle of tensors (`.pt`, `.pth`, `.bin`).

    Pickles are loaded with `weights_only=True`: a file that would run code is refused. The weights of a training
    checkpoint are found under `model`, `state_dict` or `module`.

    Raises:
        CheckpointError: the file is missing, damaged, or does not hold tensors.
    """
    if path.is_dir():
        parts = [_open_safetensors(part) for part in sorted(path.glob("*.safetensors")) if part.is_file()]
        if not parts:
            raise CheckpointError(
                f"{path} contains no .safetensors file: give a weights file or the folder of a saved model"
            )
        readers = {name: reader for part in parts for name, reader in part._readers.items()}
        if len(readers) < sum(map(len, parts)):  # such as best.safetensors and final.safetensors of a run
            files = ", ".join(part.location.name for part in parts)
            raise CheckpointError(
                f"{path} holds several models, with the same tensors ({files}): give one of these files"
            )
        return TensorFile(path, readers, parts[0].metadata)
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path} is no regular file: give a weights file or the folder of a saved model")
    if not path.is_file():
        raise CheckpointError(f"no weights at {path}: give 'tiny', a hub name such as facebook/sam3, or a path")
    if path.suffix == ".safetensors":
        return _open_safetensors(path)
    if path.suffix in PICKLE_SUFFIXES:
        return _open_pickle(path)
    raise CheckpointError(f"{path} has an unknown suffix: weights end in .safetensors, {', '.join(PICKLE_SUFFIXES)}")


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
            legacy = file.read(1) == pickle.PROTO  # a bare pickle, as before PyTorch 1.6, cannot be mapped
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=not legacy)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} contains more than tensors, and loading it could run code: export it as safetensors"
        ) from error
    except Exception as error:  # a damaged pickle can raise anything
        raise CheckpointError(f"{path} is damaged or not a PyTorch file: download or export it again") from error
    if isinstance(content, dict) and {"model", "optimizer", "ema", "progress"} <= content.keys():
        raise CheckpointError(
            f"{path} is the state of a training run: give best.safetensors or final.safetensors of it"
        )
    tensors = _find_state(content)
    if tensors is None:
        raise CheckpointError(f"{path} contains no state dict: expected tensors by name, possibly under 'model'")
    metadata = {str(key): value for key, value in content.items() if isinstance(value, str)}
    return TensorFile(path, {name: _bind(tensors.__getitem__, name) for name in tensors}, metadata)


def _find_state(content: Any, depth: int = 0) -> dict[str, Tensor] | None:
    if not isinstance(content, dict) or depth > _MAX_DEPTH:
        return None
    for key in ("model", "state_dict", "module"):  # these first: a training checkpoint may have single tensors besides
        if key in content and (found := _find_state(content[key], depth + 1)):
            return found
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)} or None


def _bind(function: Callable[[str], Tensor], name: str) -> Callable[[], Tensor]:
    return lambda: function(name)


def _without_wrappers(names: Iterable[str]) -> list[str]:
    """Names without `_orig_mod.` anywhere, and without the wrappers that all of them begin with."""
    names = [name.replace("_orig_mod.", "") for name in names]
    while names and (common := next((w for w in WRAPPERS if all(name.startswith(w) for name in names)), None)):
        names = [name.removeprefix(common) for name in names]
    return names


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file atomically, creating folders; raises `OutputError`. Equal contents give equal bytes."""
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        try:
            save_file(contiguous, temporary, dict(metadata or {}))
        except SafetensorError as error:
            raise OSError(str(error)) from error
        _sort_header(temporary)


def _sort_header(path: Path) -> None:
    """Sort the metadata in place: safetensors writes its fields in random order."""
    with path.open("rb+") as file:
        size = int.from_bytes(file.read(8), "little")
        content = json.loads(file.read(size))
        content["__metadata__"] = dict(sorted(content.get("__metadata__", {}).items()))
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        if len(text) <= size:
            file.seek(8, os.SEEK_SET)
            file.write(text.ljust(size))


def write_pickle(path: Path, content: Any) -> None:
    """Write a PyTorch file atomically, creating folders; raises `OutputError`. Equal contents give equal bytes."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(content, file)  # to a path, it would store the temporary name inside

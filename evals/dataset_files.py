"""Reading untrusted files of data sets. Every error is a `DataError` that names file and field."""

import io
import json
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sam3model.data.coco_file import is_number
from sam3model.data.dataset_paths import first_existing, inside
from sam3model.errors import DataError, InputError
from sam3model.files import read_regular
from sam3model.ops.rgb import convert_to_rgb
from sam3model.raster_files import opened_raster

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 4 << 30
"""Maximum size of a JSON or pickle file; no benchmark has a larger one."""
MAX_SIDE = 1 << 16
T = TypeVar("T")


def results_file(predictions: Path, *names: str) -> Path:
    """The predictions if they are a file, else the first of these names in their folder. Raises `DataError`."""
    try:
        return first_existing(predictions, *names) if predictions.is_dir() else predictions
    except (OSError, RuntimeError) as error:  # Python 3.11 raises RuntimeError for a loop of links
        raise DataError(f"cannot read {predictions}: {getattr(error, 'strerror', None) or error}") from error


def read_bytes(path: Path) -> bytes:
    """Content of a regular file of at most `MAX_BYTES`. Raises `DataError`, also for a FIFO or a device."""
    try:
        return read_regular(path, MAX_BYTES)
    except InputError as error:
        raise DataError(str(error)) from error


def read_text(path: Path) -> str:
    """Text in UTF-8, or else in cp1252 (some files of ReasonSeg)."""
    data = read_bytes(path)
    if b"\0" in data[:4096]:
        raise DataError(f"{path} is not a text file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_json(path: Path) -> Any:
    """Content of a JSON file in UTF-8 or cp1252."""
    return parse_json(read_text(path), str(path))


def read_json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """The values of a file with one JSON value per line, each with its place for error messages."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            where = f"{path}: line {number}"
            yield where, parse_json(line, where)


def parse_json(text: str, name: str) -> Any:
    """Parse JSON text; errors start with `name`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is not valid JSON: {error}") from error


def read_pickle(path: Path) -> Any:
    """A pickle of containers, strings, numbers and numpy scalars. Nothing else is imported or called."""
    try:
        return _PlainUnpickler(io.BytesIO(read_bytes(path)), encoding="latin1").load()
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:  # a damaged pickle can raise any exception
        raise DataError(f"{path} is a damaged pickle: {type(error).__name__}: {error}") from error


class _PlainUnpickler(pickle.Unpickler):
    """Loads numpy scalars, dtypes and sets, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in {("builtins", "set"), ("builtins", "frozenset"), ("__builtin__", "set")}:
            return set if name == "set" else frozenset
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "scalar":
            return _scalar
        if (module, name) == ("numpy", "dtype"):
            return _dtype
        if (module, name) == ("_codecs", "encode"):
            return _bytes
        raise DataError(f"it contains {module}.{name}, which is not allowed")


def _bytes(text: Any, encoding: Any) -> bytes:
    """Bytes as written by the oldest protocols."""
    if not isinstance(text, str) or encoding != "latin1":
        raise DataError("it contains bytes in an unknown encoding")
    return text.encode("latin1")


class _Dtype:
    """Replaces numpy's dtype while a pickle is read; numbers only."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1] if len(state) > 1 and state[1] in ("<", ">") else "="


def _dtype(code: Any, *_: Any) -> _Dtype:
    text = str(code)
    if len(text) > 3 or text[0] not in "iufb":
        raise DataError(f"it contains a numpy value of type {text!r}, which is not allowed")
    return _Dtype(text)


def _scalar(kind: Any, data: Any) -> Any:
    import numpy as np

    if not isinstance(kind, _Dtype) or not isinstance(data, bytes | str):
        raise DataError("it contains a numpy value that is not a number")
    raw = data if isinstance(data, bytes) else data.encode("latin1")
    return np.frombuffer(raw, np.dtype(kind.order + kind.code), count=1)[0].item()


def field(entry: Any, name: str, kind: type[T] | tuple[type, ...], where: str) -> Any:
    """A field of an entry. where: file and entry, for error messages.

    Raises `DataError` if it is missing or not of type `kind`; booleans do not count as numbers.
    """
    if not isinstance(entry, Mapping) or name not in entry:
        raise DataError(f"{where}: the field {name!r} is missing")
    value = entry[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, float, (int, float))):
        raise DataError(f"{where}: the field {name!r} has type {type(value).__name__}")
    return value


def numbers(values: Any, count: int | None, where: str) -> tuple[float, ...]:
    """A list of finite numbers, exactly `count` unless None."""
    if not isinstance(values, list | tuple) or not all(map(is_number, values)) or count not in (None, len(values)):
        raise DataError(f"{where}: expected {'a list of' if count is None else count} finite numbers")
    return tuple(float(v) for v in values)


def integers(entry: Any, name: str, where: str) -> list[int]:
    """A field with a list of integers."""
    values = field(entry, name, (list, tuple), where)
    if not all(type(value) is int for value in values):
        raise DataError(f"{where}: the field {name!r} contains something other than integers")
    return list(values)


def image_size(entry: Any, where: str) -> tuple[int, int]:
    """Validated height and width of an entry."""
    height, width = (field(entry, name, int, where) for name in ("height", "width"))
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise DataError(f"{where}: image size {width}x{height} is invalid")
    return height, width


def image_opener(
    root: Path, folders: Sequence[str], name: str, size: tuple[int, int] | None = None
) -> "Callable[[], Image.Image]":
    """A callable that opens an image as upright RGB, from the first of the folders that has it.

    size: height and width of its annotations, if they are known. It is not turned upright if they are those of the
    image as stored.

    Raises `DataError` at once for a name outside the root, and when called if the file is missing, not an image, or
    of another size than its annotations: boxes would be compared with those of another scale.
    """
    paths = [inside(root, folder, name) for folder in folders]

    def open_image() -> "Image.Image":
        from sam3agent import images

        path = next((path for path in paths if path.is_file()), paths[0])
        try:
            image = images.open_image(path)
            if size is None or image.size == size[::-1]:
                return image
            return _as_stored(path, (size[1], size[0]))
        except InputError as error:
            raise DataError(str(error)) from error

    return open_image


def _as_stored(path: Path, size: tuple[int, int]) -> "Image.Image":
    """An image as RGB, not turned upright. Raises `DataError` unless it has this width and height."""
    with opened_raster(path) as image:
        if image.size == size:
            return convert_to_rgb(image)
        width, height = image.size
    raise DataError(f"{path} is {width}x{height} pixels, but its annotations are for {size[0]}x{size[1]}")

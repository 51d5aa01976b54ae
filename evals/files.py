"""Reading files of a data set as what they are: somebody else's. Every error is a `DataError` with file and field."""

import io
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sam3model.errors import DataError, InputError

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 4 << 30
"""A JSON or pickle file larger than this is refused: no benchmark has one."""
MAX_SIDE = 1 << 16
LARGEST = 1e15
"""No coordinate or area comes near it."""
T = TypeVar("T")


def inside(root: Path, *names: str) -> Path:
    """The path of a file that a data set names, under its root.

    Raises `DataError` for an absolute name or one that leads out of the root, links included.
    """
    path = root.joinpath(*names)
    base = root.resolve()
    try:
        escapes = not path.resolve().is_relative_to(base)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{root}: {'/'.join(names)!r} is no usable path") from error
    if escapes:
        raise DataError(f"{root}: {'/'.join(names)!r} leads out of the data set")
    return path


def first_existing(root: Path, *names: str) -> Path:
    """The first of several usual places of a file; raises `DataError` where none is there."""
    for name in names:
        if (path := inside(root, name)).exists():
            return path
    raise DataError(f"{root}: there is no {' or '.join(names)}")


def read_bytes(path: Path) -> bytes:
    """Content of a file of bearable size."""
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise DataError(f"{path} has {size} bytes, more than any file of this data set should have")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def read_text(path: Path) -> str:
    """UTF-8 text, or cp1252 where it is not UTF-8 (ReasonSeg has such files)."""
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_json(path: Path) -> Any:
    """A JSON file, UTF-8 or cp1252."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str, name: str) -> Any:
    """JSON from text; `name` is what errors call it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is not JSON: {error}") from error


def read_pickle(path: Path) -> Any:
    """A pickle of containers, text, numbers and numpy numbers. Nothing else is ever imported or called."""

    try:
        return _PlainUnpickler(io.BytesIO(read_bytes(path)), encoding="latin1").load()
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataError(f"{path} is a damaged pickle: {type(error).__name__}: {error}") from error


class _PlainUnpickler(pickle.Unpickler):
    """Knows numpy's scalars and dtypes, sets, and nothing that acts."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in {("builtins", "set"), ("builtins", "frozenset"), ("__builtin__", "set")}:
            return set if name == "set" else frozenset
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "scalar":
            return _scalar
        if (module, name) == ("numpy", "dtype"):
            return _dtype
        if (module, name) == ("_codecs", "encode"):
            return _bytes
        raise DataError(f"it holds {module}.{name}, which is refused")


def _bytes(text: Any, encoding: Any) -> bytes:
    """How the oldest protocols write bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise DataError("it holds bytes in an unknown form")
    return text.encode("latin1")


class _Dtype:
    """Stands in for numpy's dtype while a pickle is read: takes number kinds only."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1] if len(state) > 1 and state[1] in ("<", ">") else "="


def _dtype(code: Any, *_: Any) -> _Dtype:
    text = str(code)
    if len(text) > 3 or text[0] not in "iufb":
        raise DataError(f"it holds a numpy value of type {text!r}, which is refused")
    return _Dtype(text)


def _scalar(kind: Any, data: Any) -> Any:
    import numpy as np

    if not isinstance(kind, _Dtype) or not isinstance(data, bytes | str):
        raise DataError("it holds a numpy value that is no number")
    raw = data if isinstance(data, bytes) else data.encode("latin1")
    return np.frombuffer(raw, np.dtype(kind.order + kind.code), count=1)[0].item()


def field(entry: Any, name: str, kind: type[T] | tuple[type, ...], where: str) -> Any:
    """A field of an entry, of the right type. `where` names the file and the entry in errors.

    Booleans are no numbers here. Raises `DataError`.
    """
    if not isinstance(entry, Mapping) or name not in entry:
        raise DataError(f"{where}: the field {name!r} is missing")
    value = entry[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, float, (int, float))):
        raise DataError(f"{where}: the field {name!r} is a {type(value).__name__}")
    return value


def table(data: Any, name: str, path: Path) -> list[Mapping[str, Any]]:
    """A list of objects in a JSON file."""
    rows = field(data, name, list, str(path))
    if not all(isinstance(row, Mapping) for row in rows):
        raise DataError(f"{path}: {name!r} holds something that is no object")
    return rows


def numbers(values: Any, count: int | None, where: str) -> tuple[float, ...]:
    """A list of finite numbers, `count` of them unless None."""
    good = isinstance(values, list | tuple) and all(
        isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < LARGEST for v in values
    )
    if not good or (count is not None and len(values) != count):
        raise DataError(f"{where}: expected {count if count is not None else 'a list of'} numbers")
    return tuple(float(v) for v in values)


def integers(entry: Any, name: str, where: str) -> list[int]:
    """A field that is a list of whole numbers."""
    values = field(entry, name, (list, tuple), where)
    if not all(type(value) is int for value in values):
        raise DataError(f"{where}: the field {name!r} holds something that is no whole number")
    return list(values)


def image_size(entry: Any, where: str) -> tuple[int, int]:
    """Height and width of an entry of `images`, checked."""
    height, width = (field(entry, name, int, where) for name in ("height", "width"))
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise DataError(f"{where}: a picture of {width}x{height} pixels is not believable")
    return height, width


def picture(root: Path, folders: Sequence[str], name: str) -> "Callable[[], Image.Image]":
    """A callable that opens a picture as upright RGB, from the first of the usual folders that has it.

    Raises `DataError` at once for a name that leads out of the root, when called on what is missing or no picture.
    """
    places = [inside(root, folder, name) for folder in folders]

    def open_it() -> "Image.Image":
        from sam3agent.images import open_image

        path = next((place for place in places if place.is_file()), places[0])
        try:
            return open_image(path)
        except InputError as error:
            raise DataError(str(error)) from error

    return open_it

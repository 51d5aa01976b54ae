"""Puts a labelled image into the data set: as a link, as a copy of its bytes, or not at all."""

from contextlib import suppress
from pathlib import Path

from sam3agent.labelling.label_items import ImageFile, LabelItem, OpenedItem
from sam3agent.labelling.label_job import LabelJob
from sam3model.errors import InputError, OutputError
from sam3model.files import replacing

IMAGES = "images"
"""Folder of the images inside the output folder."""

QUALITY = 95
"""JPEG quality of frames of clips, with full chroma resolution."""


def place_image(item: LabelItem, opened: OpenedItem, job: LabelJob) -> None:
    """Write the image of an item under its name. Raises `OutputError` if it cannot be written."""
    if job.images == "none":
        return
    path = job.out / IMAGES / item.name
    if isinstance(item.place, ImageFile) and job.images == "link" and _linked(path, Path(item.place.path)):
        return
    with replacing(path) as temporary:
        if opened.data is not None:
            temporary.write_bytes(opened.data)
        else:
            opened.media.frame(0).save(temporary, "JPEG", quality=QUALITY, subsampling=0)


def image_path_of(out: Path, name: str) -> Path:
    """Where an image of the data set is. Raises `InputError` if it is not there."""
    path = out / IMAGES / name
    if not path.exists():
        raise InputError(f"there is no image {path}")
    return path


def _linked(path: Path, target: Path) -> bool:
    """Make `path` a link to an existing file; False where there are no links."""
    target = target.absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            if path.is_symlink() and path.readlink() == target:
                return True
            path.unlink()
        path.symlink_to(target)
    except OSError as error:
        if error.errno in (28, 30, 122):  # full, read-only, over quota: a copy would fail too
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        return False
    return True

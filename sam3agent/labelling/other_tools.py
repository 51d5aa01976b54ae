"""What other tools expect of a data set: where they look for its files, and how they are told its classes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import quote


def yolo_settings(images: Mapping[str, str], classes: Sequence[str]) -> str:
    """The text of Ultralytics' data.yaml. images: the list or folder of each split, relative to the file.

    It has no `path`, which would be relative to the working directory of whoever trains.
    """
    splits = "".join(f"{split}: {place}\n" for split, place in images.items())
    names = (f"  {number}: {json.dumps(name, ensure_ascii=False)}\n" for number, name in enumerate(classes))
    return f"{splits}names:\n{''.join(names)}"


def yolo_labels_of(image: str) -> str:
    """Where Ultralytics looks for the labels of an image: in `labels` in place of the last folder `images` of its path.

    >>> yolo_labels_of("images/photos/1.png"), yolo_labels_of("images/images/1.png")
    ('labels/photos/1.txt', 'images/labels/1.txt')
    """
    before, after = f"/{PurePosixPath(image).with_suffix('.txt')}".rsplit("/images/", 1)
    return f"{before}/labels/{after}"[1:]


def label_studio_url(image: str) -> str:
    """Where Label Studio finds a file of its local storage, whose root is the data set.

    >>> label_studio_url("images/a b#1.png")
    '/data/local-files/?d=images/a%20b%231.png'
    """
    return f"/data/local-files/?d={quote(image)}"

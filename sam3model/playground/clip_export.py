"""Clips as data sets in the layouts of YouTube-VIS, SA-Co/VEval, DAVIS and SA-V.

`python -m sam3model.playground.clip_export FOLDER --layout davis --clips 20` writes 20 clips. Any range of clips of any
split can be written, and exports of the same layout may share a folder if their subsets differ.

    ytvis      SUBSET/JPEGImages/VIDEO/00000.jpg, SUBSET.json: an annotation per object, the kind as its category
    veval      JPEGImages/VIDEO/00000.jpg, annotation/saco_veval_SUBSET.json: noun phrases, also some without a match
    davis      JPEGImages/480p/VIDEO/00000.jpg, Annotations/480p/VIDEO/00000.png, ImageSets/2017/SUBSET.txt
    sav        sav_SUBSET/JPEGImages_24fps/VIDEO/00000.jpg, Annotations_6fps/VIDEO/OBJECT/00000.png, sav_SUBSET.txt
    files      SUBSET/VIDEO.mp4, SUBSET.json: questions about each clip and the ids of the objects that answer them
    sav-train  sav_SUBSET/VIDEO.mp4, VIDEO_manual.json: masklets on every fourth frame

Labels and object folders are numbered by object; objects that are never visible have no annotation. In `sav` and
`sav-train`, every fourth frame is annotated. Sizes of masks are those of the frames.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from sam3model.errors import InputError, Sam3Error
from sam3model.playground import clip_writers as writers
from sam3model.playground.clip import Clip, clip


@dataclass(frozen=True, slots=True)
class ClipLayout:
    """A layout: default name of the subset, and the function that writes clips (folder, subset, clips by name)."""

    subset: str
    write: Callable[[Path, str, Iterator[tuple[str, Clip]]], Path]


LAYOUTS = {
    "ytvis": ClipLayout("valid", writers.write_ytvis),
    "veval": ClipLayout("sav_val", writers.write_veval),
    "davis": ClipLayout("val", writers.write_davis),
    "sav": ClipLayout("val", writers.write_sav),
    "sav-train": ClipLayout("train", writers.write_sav_train),
    "files": ClipLayout("clips", writers.write_files),
}


def export_clips(
    folder: Path,
    layout: str,
    split: str,
    indices: range,
    *,
    subset: str = "",
    size: tuple[int, int] | None = None,
    frames: int | None = None,
) -> Path:
    """Write clips of a Playground split as a data set; returns the file that lists them.

    subset: name of the split in the data set, by default the one that is scored. size: (W, H) in pixels.

    Raises:
        InputError: an unknown layout, no clips, an invalid size or number of frames, or odd sides for `sav-train`,
            whose files would be padded to even ones and no longer fit their masks.
        OutputError: the folder cannot be written to.
    """
    if layout not in LAYOUTS:
        raise InputError(f"unknown layout {layout!r}; use one of {', '.join(LAYOUTS)}")
    if not indices or min(indices) < 0:
        raise InputError(f"no clips to export: {indices}")
    if layout == "sav-train" and size and any(side % 2 for side in size):
        raise InputError(f"mp4 files have even sides: choose an even width and height, not {size[0]}x{size[1]}")
    chosen = LAYOUTS[layout]
    name = subset or chosen.subset
    if not name.replace("_", "").replace("-", "").isalnum():
        raise InputError(f"invalid name of a subset: {name!r}")
    return chosen.write(folder, name, _named(split, indices, size, frames))


def _named(split: str, indices: range, size: tuple[int, int] | None, frames: int | None) -> Iterator[tuple[str, Clip]]:
    prefix = split.replace("/", "_")
    for index in tqdm(indices, desc=split, unit="clip", disable=None):
        yield f"{prefix}_{index:06d}", clip(split, index, size=size, frames=frames)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Write Playground clips as a video data set.")
    parser.add_argument("folder", type=Path, help="where to write the data set")
    parser.add_argument("--layout", choices=sorted(LAYOUTS), required=True, help="layout of the data set")
    parser.add_argument("--clips", type=int, default=20, help="number of clips (default: 20)")
    parser.add_argument("--first", type=int, default=0, help="index of the first clip (default: 0)")
    parser.add_argument("--split", default="heldout", help="Playground split (default: heldout)")
    parser.add_argument("--subset", default="", help="name of the split in the data set (default: the scored one)")
    parser.add_argument("--size", type=int, nargs=2, metavar=("W", "H"), help="size of the frames in pixels")
    parser.add_argument("--frames", type=int, help="number of frames per clip (default: 8 to 120)")
    args = parser.parse_args(arguments)
    indices = range(args.first, args.first + max(0, args.clips))
    try:
        size = tuple(args.size) if args.size else None
        export_clips(args.folder, args.layout, args.split, indices, subset=args.subset, size=size, frames=args.frames)
    except Sam3Error as error:
        parser.exit(2, f"clip_export: {error}\n")


if __name__ == "__main__":
    main()

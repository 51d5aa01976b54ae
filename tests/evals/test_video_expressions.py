"""MeViS and ReVOS: expressions about videos."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .video_datasets import SIZE, error_of, figures, rle, square, write_json, write_png

A, B = square(1, 1), square(1, 9)
NOTHING = np.zeros(SIZE, bool)
FRAMES = ["00000", "00001"]


def predict(root: Path, expression: str, *masks: np.ndarray) -> None:
    for frame, mask in zip(FRAMES, masks, strict=False):
        write_png(root / expression / f"{frame}.png", 255 * mask, indexed=False)


def expressions(**entries: dict[str, Any]) -> dict[str, Any]:
    return {name[1:]: {"exp": "the object", "obj_id": [0], **entry} for name, entry in entries.items()}


def mevis(root: Path) -> tuple[Path, Path]:
    """Expression 0 has two objects, lost in frame 1; 1 has no folder; 2 has no target and an empty prediction."""
    video = expressions(e0={"anno_id": [5, 6]}, e1={"anno_id": [5]}, e2={"anno_id": []})
    meta = {"videos": {"0ab4": {"vid_id": 1, "frames": FRAMES, "expressions": video}}}
    write_json(root / "valid_u/meta_expressions.json", meta)
    write_json(root / "valid_u/mask_dict.json", {"5": [rle(A)] * 2, "6": [rle(B), None]})
    predict(root / "out", "0ab4/0", A | B, NOTHING)
    predict(root / "out", "0ab4/2", NOTHING, NOTHING)
    return root, root / "out"


def test_mevis_joins_objects_and_scores_all_frames(tmp_path):
    found = figures("mevis", *mevis(tmp_path))
    assert [found["J&F"], found["J"], found["F"]] == pytest.approx([50, 50, 50])
    assert (found["expressions"], found["missing"]) == (3, 1)


def revos(root: Path) -> tuple[Path, Path]:
    video = expressions(
        e0={"anno_id": [1], "type_id": 0},
        e1={"anno_id": [1], "type_id": 1},
        e2={"anno_id": [1], "type_id": 1},
        e3={"anno_id": [], "type_id": 2},
    )
    entry = {"vid_id": 1, "height": 12, "width": 16, "frames": FRAMES, "expressions": video}
    write_json(root / "meta_expressions_valid_.json", {"videos": {"LVVIS/train/00001": entry}})
    write_json(root / "mask_dict.json", {"1": [rle(A)] * 2})
    seen = {"masks_rle": [rle(A | B)] * 2, "foreground_ratio": [0.17, 0.17]}
    write_json(root / "mask_dict_foreground.json", {"LVVIS/train/00001": seen})
    predict(root / "out", "LVVIS/train/00001/0", A, A)
    predict(root / "out", "LVVIS/train/00001/1", A | B, A | B)
    return root, root / "out"


def test_revos_averages_referring_and_reasoning(tmp_path):
    found = figures("revos", *revos(tmp_path))
    # reasoning: one expression with half its pixels outside the target but in the foreground, one missing
    assert [found["J"], found["referring J"], found["reasoning J"]] == pytest.approx([62.5, 100, 25])
    assert [found["R"], found["referring R"], found["reasoning R"]] == pytest.approx([62.5, 100, 25], abs=1e-4)
    assert (found["expressions"], found["missing"]) == (3, 1)


def test_robustness_is_undefined_without_the_foreground(tmp_path):
    root, predictions = revos(tmp_path)
    (root / "mask_dict_foreground.json").unlink()
    assert figures("revos", root, predictions)["R"] is None


def _delete_frame(root: Path) -> None:
    (root / "out/0ab4/2/00001.png").unlink()


def _use_outside_path(root: Path) -> None:
    meta = {"videos": {"../../0ab4": {"frames": FRAMES, "expressions": expressions(e0={"anno_id": [5]})}}}
    write_json(root / "valid_u/meta_expressions.json", meta)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_delete_frame, "there is no file"),
        (_use_outside_path, "is outside the data set"),
        (lambda root: predict(root / "out", "0ab4/2", NOTHING, np.zeros((3, 3), bool)), "3x3 pixels, not 16x12"),
        (lambda root: write_json(root / "valid_u/mask_dict.json", {"5": [None]}), "mask_dict.json: 5: 1 masks for 2"),
        (lambda root: write_json(root / "valid_u/mask_dict.json", {"5": [rle(A)] * 2}), "the field '6' is missing"),
        (lambda root: write_json(root / "valid_u/mask_dict.json", {"5": [rle(A[:9])] * 2, "6": [None] * 2}), "0ab4/0"),
        (lambda root: (root / "valid_u/mask_dict.json").unlink(), "the challenge server"),
    ],
)
def test_invalid_files_are_reported(tmp_path, capsys, damage, message):
    root, predictions = mevis(tmp_path / "set")
    damage(root)
    assert message in error_of(capsys, "mevis", root, predictions)

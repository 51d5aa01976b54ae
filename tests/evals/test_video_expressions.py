"""MeViS and ReVOS: expressions about videos."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evals.command import main
from evals.samples import DatasetSplit, PredictedTrack, QuestionPrediction, VideoFiles, VideoPrediction, VideoSample
from evals.video.expression_runs import mevis_writer, read_mevis, revos_writer
from evals.video.expressions import UNANSWERED_FILE, Expression
from sam3agent.mllm.base import MLLMError
from sam3agent.testing import ScriptedBackend, ScriptedSegmenter, ScriptedTracker
from sam3model.errors import DataError

from .failing_server import Failing
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


def test_an_expression_of_revos_without_an_answer_counts_0_in_every_figure(tmp_path, capsys):
    root, predictions = revos(tmp_path)
    predict(predictions, "LVVIS/train/00001/2", NOTHING, NOTHING)  # an empty mask, officially
    assert figures("revos", root, predictions)["reasoning R"] == pytest.approx(75, abs=1e-4)
    write_json(predictions / UNANSWERED_FILE, ["LVVIS/train/00001/2"])
    found = figures("revos", root, predictions)
    assert (found["reasoning R"], found["missing"]) == (pytest.approx(25, abs=1e-4), 0)
    write_json(predictions / UNANSWERED_FILE, {"0": 1})
    (root / "run/metrics.json").unlink()
    assert "is not a list of expressions" in error_of(capsys, "revos", root, predictions)


def unread() -> VideoFiles:
    raise AssertionError("a writer reads no video")


@pytest.mark.parametrize(("make", "listed"), [(revos_writer, ["v/0"]), (mevis_writer, None)])
def test_a_run_lists_what_it_could_not_answer(tmp_path, make, listed):
    ends = (("exhausted", None), ("no_match", None), ("not_understood", rle(A)))
    for again in (False, True):
        writer = make(DatasetSplit(tmp_path, "valid"), tmp_path / "out")
        for number, (status, mask) in enumerate(ends):
            target = Expression("v", str(number), ("00000",), ("1",), "referring")
            sample = VideoSample(target.key, unread, ("the ball",), target)
            answer = QuestionPrediction("the ball", "no_match" if again else status, SIZE, ())
            track = PredictedTrack("answer", 1.0, (mask,))
            writer.add(sample, VideoPrediction(("the ball",), ("00000",), SIZE, (track,), answer))
        path = writer.close() / UNANSWERED_FILE
        assert (json.loads(path.read_text()) if path.exists() else None) == (None if again else listed)


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


def clip_root(root: Path) -> tuple[list[str], ScriptedTracker]:
    """MeViS with frames: a block that moves right, one that stays, and a question that is not understood."""
    moving, still = [block(20 + 8 * t, 10) for t in range(5)], [block(20, 40)] * 5
    frames = [f"{t:05d}" for t in range(5)]
    video = expressions(
        e0={"anno_id": [5], "exp": "the block that moves to the right"},
        e1={"anno_id": [6], "exp": "the block that stays still"},
        e2={"anno_id": [5], "exp": "the block that ponders"},
    )
    write_json(root / "valid_u/meta_expressions.json", {"videos": {"v": {"frames": frames, "expressions": video}}})
    write_json(root / "valid_u/mask_dict.json", {"5": [rle(m) for m in moving], "6": [rle(m) for m in still]})
    for name, one, two in zip(frames, moving, still, strict=True):
        image = np.where((one | two)[..., None], np.uint8([200, 40, 40]), np.uint8([60, 120, 60]))
        path = root / f"valid_u/JPEGImages/v/{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, quality=95)
    tracker = ScriptedTracker({"block": [lambda t: box_of(moving[t]), lambda t: box_of(still[t])]})
    return ["mevis", "--root", str(root), "--out", str(root / "run")], tracker


def test_the_agent_answers_expressions_end_to_end(tmp_path):
    command, tracker = clip_root(tmp_path)
    assert main([*command, "--keep-images"], segmenter=ScriptedSegmenter({}), predictor=tracker) == 0
    found = json.loads((tmp_path / "run/metrics.json").read_text())["figures"]
    assert found["J&F"] == pytest.approx(200 / 3) and found["expressions"] == 3
    assert (tmp_path / "run/predictions/v/0/00004.png").is_file()
    (trace,) = (tmp_path / "run/traces").glob("v-0-*")
    assert {"trace.jsonl", "masks.json"} <= {path.name for path in trace.iterdir()}
    with pytest.raises(DataError, match="is missing; the frames of the videos are needed"):
        (tmp_path / "valid_u/JPEGImages/v/00003.jpg").unlink()
        read_mevis(DatasetSplit(tmp_path, "valid_u"))[0].load()


def test_an_expression_cut_short_by_the_server_is_a_failure(tmp_path, capsys):
    command, tracker = clip_root(tmp_path)
    overloaded = Failing(good=5, error=MLLMError("The server is overloaded."))
    assert main(command, segmenter=ScriptedSegmenter({}), predictor=tracker, backend=overloaded) == 1
    result = json.loads((tmp_path / "run/metrics.json").read_text())
    assert "The server is overloaded." in result["failures"]["v/1"] and "v/0" not in result["failures"]
    assert result["figures"]["J&F"] == pytest.approx(50), "the first, and the one that is not understood"
    (trace,) = (tmp_path / "run/traces").glob("v-1-*")
    assert [path.name for path in trace.iterdir()] == ["trace.jsonl"]


@pytest.mark.parametrize("flags", [(), ("--max-seconds", "0.000001")], ids=["unusable", "exhausted"])
def test_expressions_without_an_answer_count_0(tmp_path, capsys, flags):
    command, tracker = clip_root(tmp_path)
    path = tmp_path / "valid_u/meta_expressions.json"
    meta = json.loads(path.read_text())
    meta["videos"]["v"]["expressions"]["1"]["anno_id"] = []  # nothing is the answer
    write_json(path, meta)
    backend = ScriptedBackend(["banana"] * 99)
    assert main([*command, *flags], segmenter=ScriptedSegmenter({}), predictor=tracker, backend=backend) == 1
    result = json.loads((tmp_path / "run/metrics.json").read_text())
    assert result["scored"] == 3 and result["figures"]["J&F"] == 0 and not result["figures"]["missing"]
    assert result["costs"]["statuses"] == {"exhausted": 3}
    assert "3 of 3 questions failed technically" in capsys.readouterr().err


def test_nothing_is_right_where_nothing_is_the_answer_but_not_if_not_understood(tmp_path):
    command, tracker = clip_root(tmp_path)
    path = tmp_path / "valid_u/meta_expressions.json"
    for text, found in (("the block that ponders", 0), ("the ball", 100)):
        one = expressions(e0={"anno_id": [], "exp": text})
        write_json(path, {"videos": {"v": {"frames": [f"{t:05d}" for t in range(5)], "expressions": one}}})
        arguments = [*command[:-1], str(tmp_path / text)]
        assert main(arguments, segmenter=ScriptedSegmenter({}), predictor=tracker) == 0
        assert json.loads((tmp_path / text / "metrics.json").read_text())["figures"]["J&F"] == found


def block(x: int, y: int) -> np.ndarray:
    mask = np.zeros((64, 96), bool)
    mask[y : y + 12, x : x + 12] = True
    return mask


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1

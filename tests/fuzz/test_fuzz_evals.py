"""Files of benchmarks: results, predictions and data sets of any content end with figures or with one line."""

import json
import pickle
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from sam3agent.rules import RulesBackend
from tests.evals.block_images import Blocks, draw, rle_of
from tests.evals.test_coco_predictions import FOUND, tiny
from tests.evals.test_question_benchmarks import coco_root, reasonseg_json, refs
from tests.evals.test_video_burst import predictions as burst_predictions
from tests.evals.test_video_burst import truth as burst_truth
from tests.evals.test_video_json_tracks import veval, vis
from tests.fuzz.commands import Ended, evals
from tests.fuzz.fuzzing import fuzzed
from tests.fuzz.mutations import damaged_bytes, damaged_json

BOX = (8, 8, 24, 24)
QUICK = ("--resamples", "10", "--concurrency", "1")


def grounding(root: Path) -> None:
    """Three captions about one image."""
    draw(root / "0.png", ("red", BOX))
    row = {"image_path": "0.png", "class_id": 0, "box": list(BOX), "segmentation": rle_of(BOX)}
    texts = ("the red block", "the leftmost red block", "the blue block")
    rows = [{"idx": i, **row, "caption": text} for i, text in enumerate(texts)]
    (root / "GroundingSuite-Eval.jsonl").write_text("\n".join(map(json.dumps, rows)))


def counting(root: Path) -> None:
    draw(root / "images/0.png", ("red", BOX))
    draw(root / "images/1.png", ("red", BOX))
    row = {"question": "How many red blocks are there?", "number": 1}
    (root / "countbenchqa.jsonl").write_text("\n".join(json.dumps({**row, "image": f"{i}.png"}) for i in (0, 1)))


def reasoning(root: Path) -> None:
    corners = [[8, 8], [23, 8], [23, 23], [8, 23]]
    draw(root / "val/1.jpg", ("red", BOX))
    shape = {"label": "target", "shape_type": "polygon", "points": corners}
    (root / "val/1.json").write_text(reasonseg_json("the red block", [shape]))


def referring(root: Path) -> None:
    coco_root(root, "refcoco")
    entries = refs((581857, 11, "val", ["the leftmost red block"]), (581857, 12, "val", ["the blue block"]))
    (root / "refcoco/refs(unc).p").write_bytes(pickle.dumps(entries))


SETS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "grounding": ("groundingsuite", grounding, "GroundingSuite-Eval.jsonl"),
    "counting": ("countbench", counting, "countbenchqa.jsonl"),
    "reasoning": ("reasonseg", reasoning, "val/1.json"),
    "refs": ("refcoco", referring, "refcoco/refs(unc).p"),
    "instances": ("refcoco", referring, "refcoco/instances.json"),
}


def run(name: str, root: Path, out: Path, *flags: str) -> Ended:
    return evals(name, "--root", str(root), "--out", str(out), *flags, segmenter=Blocks(), backend=RulesBackend())


@cache
def original(kind: str) -> Path:
    """A data set, which stays until the tests end, with a finished run in `run`."""
    root = Path(tempfile.mkdtemp(prefix="sam3agent-fuzz-")) / "data"
    root.mkdir()
    name, write, _ = SETS[kind]
    write(root)
    ended = run(name, root, root.parent / "run", *QUICK)
    assert ended.code == 0, ended.err
    return root


def damaged(data: bytes) -> st.SearchStrategy[bytes]:
    """A file of JSON or of JSON lines with other values, or any file with other bytes."""
    try:
        value = [json.loads(line) for line in data.splitlines()]
    except ValueError:
        try:
            whole = json.loads(data)
        except ValueError:
            return damaged_bytes(data)
        return damaged_bytes(data) | damaged_json(whole).map(_json)
    return damaged_bytes(data) | damaged_json(value).map(lambda lines: b"\n".join(map(_json, lines)))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@fuzzed(
    st.sampled_from(sorted(SETS)).flatmap(
        lambda kind: st.tuples(st.just(kind), damaged((original(kind) / SETS[kind][2]).read_bytes()))
    ),
    quick=20,
)
def test_data_sets(folder: Path, case: tuple[str, bytes]) -> None:
    kind, content = case
    name, _, file = SETS[kind]
    shutil.copytree(original(kind), folder / "data")
    (folder / "data" / file).write_bytes(content)
    run(name, folder / "data", folder / "out", *QUICK)


RUN_FILES = ["metrics.json", "run.json", "predictions.jsonl", "failures.jsonl"]


@fuzzed(
    st.sampled_from(RUN_FILES).flatmap(
        lambda name: st.tuples(st.just(name), st.deferred(lambda: damaged(_run_file(name))))
    ),
    quick=20,
)
def test_folders_of_runs(folder: Path, case: tuple[str, bytes]) -> None:
    """`report` on a damaged run, and the same run again, which goes on with it."""
    name, content = case
    shutil.copytree(original("grounding").parent / "run", folder / "run")
    (folder / "run" / name).write_bytes(content)
    evals("report", str(folder / "run"), "--out", str(folder / "report"))
    run("groundingsuite", original("grounding"), folder / "run", *QUICK)


def _run_file(name: str) -> bytes:
    path = original("grounding").parent / "run" / name
    return path.read_bytes() if path.is_file() else b'{"key": "0", "error": "it broke"}\n'


SCORED: dict[str, tuple[str, Any, Any]] = {
    "coco": ("annotations/instances_val2017.json", tiny(), [{**FOUND, "segmentation": rle_of(BOX)}]),
    "ytvis": ("valid.json", *vis()),
    "saco-veval": ("annotation/saco_veval_sav_test.json", *veval()),
    "burst": ("test/all_classes.json", burst_truth(), burst_predictions()),
}


@fuzzed(
    st.sampled_from(sorted(SCORED)).flatmap(
        lambda name: st.tuples(
            st.just(name), damaged(_json(SCORED[name][1])) | st.none(), damaged(_json(SCORED[name][2])) | st.none()
        )
    ),
    quick=30,
)
def test_predictions_made_elsewhere(folder: Path, case: tuple[str, bytes | None, bytes | None]) -> None:
    name, truth, found = case
    file, whole, predictions = SCORED[name]
    (folder / "data" / file).parent.mkdir(parents=True)
    (folder / "data" / file).write_bytes(_json(whole) if truth is None else truth)
    (folder / "found.json").write_bytes(_json(predictions) if found is None else found)
    ended = run(name, folder / "data", folder / "out", "--predictions", str(folder / "found.json"))
    assert (truth, found) != (None, None) or ended.code == 0, ended.err

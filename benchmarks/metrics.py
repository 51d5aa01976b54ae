"""Time every metric on synthetic data sets, in one process, and compare it with the official evaluators.

    python -m benchmarks.metrics [--sets DIR] [--only NAME] [--repeat 3] [--json FILE]

The data sets are generated on the first run, checked by MD5 and kept in DIR. Timings include reading the JSON files,
evaluation and summary, but not imports. The figures must equal those of the official evaluators.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.metric_images import category_set, phrase_set
from benchmarks.metric_sets import write_json
from benchmarks.metric_videos import object_videos, phrase_videos
from sam3model.metrics import (
    JAndF,
    evaluate_cgf1,
    evaluate_coco,
    evaluate_hota,
    evaluate_saco_veval,
    evaluate_teta,
    evaluate_video_cgf1,
    evaluate_ytvis,
)
from sam3model.metrics.annotation_files import read_json
from sam3model.metrics.veval import official_cgf1

REFERENCE = json.loads(Path(__file__).with_name("metrics_reference.json").read_text())
Figures = Mapping[str, float]
SMALL = ("cgF1", "positive_micro_F1", "IL_MCC")


def make_sets(folder: Path) -> None:
    """Write the four data sets unless they exist, and check that they are those of the reference timings."""
    if not all((folder / name).exists() for name in REFERENCE["md5"]):
        files, predictions = phrase_set(20260, 300, 20, 640, 480)
        sets: dict[str, Any] = {f"images/gt_{a}.json": f for a, f in zip("abc", files, strict=True)}
        sets["images/pred.json"] = predictions
        sets["coco/gt.json"], sets["coco/pred.json"] = category_set(20261, 300, 20, 640, 480)
        sets["videos/gt.json"], sets["videos/pred.json"] = phrase_videos(20262, 10, 60, 8, 640, 480)
        sets["jf/masks.json"] = object_videos(20263, 10, 60, 8, 640, 480)
        for name, value in sets.items():
            write_json(value, folder / name)
    for name, digest in REFERENCE["md5"].items():
        if hashlib.md5((folder / name).read_bytes()).hexdigest() != digest:
            print(f"warning: {name} differs from the reference data set (another libm?); figures may differ, too")


def select(figures: Figures, names: tuple[str, ...], prefix: str = "") -> dict[str, float]:
    """Some of the figures, with a prefix added to their names."""
    return {prefix + name: figures[name] for name in names}


def image_metrics(folder: Path) -> dict[str, Callable[[], Figures]]:
    """Metrics of the image data sets, by name of the reference run."""
    annotators = [str(folder / f"images/gt_{a}.json") for a in "abc"]
    predictions, coco, coco_predictions = (
        str(folder / n) for n in ("images/pred.json", "coco/gt.json", "coco/pred.json")
    )

    def average_precision(kind: str) -> Figures:
        stats = evaluate_coco(coco, coco_predictions, kind).summary()
        return select(stats, ("AP", "AP_50", "AP_75"), f"coco_eval_{kind}_")

    return {
        "image_cgf1_segm_1_annotator": lambda: select(evaluate_cgf1(annotators[0], predictions).summary(), SMALL),
        "image_cgf1_segm_3_annotators": lambda: select(evaluate_cgf1(annotators, predictions).summary(), SMALL),
        "image_cgf1_bbox_1_annotator": lambda: select(
            evaluate_cgf1(annotators[0], predictions, "bbox").summary(), SMALL
        ),
        "coco_ap_segm": lambda: average_precision("segm"),
        "coco_ap_bbox": lambda: average_precision("bbox"),
    }


def video_metrics(folder: Path) -> dict[str, Callable[[], Figures]]:
    """Metrics of the video data sets, by name of the reference run."""
    files = str(folder / "videos/gt.json"), str(folder / "videos/pred.json")

    def class_ap() -> Figures:
        return {"video_mask_mAP_50_95": evaluate_ytvis(*files).ap}

    def phrase_hota() -> Figures:
        names = ("HOTA", "DetA", "AssA", "LocA")
        return select(evaluate_hota(*files).summary(), names, "video_mask_all_phrase_")

    def teta(kind: str, name: str) -> Figures:
        figures = evaluate_teta(*files, kind, reference_behaviour=True).summary()
        return select(figures, ("teta", "loc_a", "assoc_a", "cls_a"), f"video_{name}_")

    def region_and_boundary() -> Figures:
        metric = JAndF()
        for video, content in read_json(folder / "jf/masks.json").items():
            for name, tracks in content["objects"].items():
                metric.update(video, name, tracks["gt"], tracks["pred"])
        result = metric.compute()
        return {"JF": result.jf, "J": result.j, "F": result.f}

    return {
        "video_class_ap_segm": class_ap,
        "video_cgf1_segm": lambda: official_cgf1(evaluate_video_cgf1(*files), "mask"),
        "video_phrase_hota_segm_serial": phrase_hota,
        "video_teta_mask_exhaustive_1_process": lambda: teta("segm", "mask"),
        "video_teta_bbox_exhaustive_8_processes": lambda: teta("bbox", "bbox"),
        "saco_veval_all_five": lambda: evaluate_saco_veval(*files, reference_behaviour=True).summary(),
        "jf_sav_format_1_process_png": region_and_boundary,
    }


def timed(run: Callable[[], Figures], repeat: int) -> tuple[float, float, Figures]:
    """Minimum wall time and CPU time in seconds, and the figures."""
    walls, cpus, figures = [], [], {}
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), time.process_time()
        figures = run()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus), figures


def agrees(figures: Figures, expected: Figures) -> bool:
    """Whether the figures equal the official ones to 1e-6, or to the five digits that TETA reports."""
    percent = any(name.endswith("_teta") for name in expected)
    return all(abs(figures[name] - value) <= (6e-4 if percent else 1e-6) for name, value in expected.items())


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, default=Path(tempfile.gettempdir()) / "sam3-metric-sets")
    parser.add_argument("--only", default="", help="only run metrics whose name contains this")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the table to this file")
    args = parser.parse_args()
    make_sets(args.sets)
    rows = []
    print(
        f"| {'metric':<40} | official s | here s | CPU s | times faster | figures |\n|{'-' * 42}|--:|--:|--:|--:|---|"
    )
    for name, run in {**image_metrics(args.sets), **video_metrics(args.sets)}.items():
        if args.only in name:
            reference = REFERENCE["evaluators"][name]
            wall, cpu, figures = timed(run, args.repeat)
            verdict = "equal" if agrees(figures, reference["result"]) else "DIFFER"
            ratio = min(reference["cpu_seconds"], reference["seconds"]) / min(wall, cpu)
            print(
                f"| {name:<40} | {reference['seconds']:.2f} | {wall:.3f} | {cpu:.3f} | {ratio:.1f} | {verdict} |",
                flush=True,
            )
            rows.append(
                {"metric": name, "official_s": reference["seconds"], "s": wall, "cpu_s": cpu, "figures": verdict}
            )
    if args.json:
        write_json(rows, args.json)
    if any(row["figures"] == "DIFFER" for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

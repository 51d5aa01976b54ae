"""SA-Co/VEval: the five evaluators of the benchmark in one call, with the official names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sam3model.metrics.annotation_files import JsonSource
from sam3model.metrics.concept_f1 import ConceptF1Result
from sam3model.metrics.metric_result import MetricResult
from sam3model.metrics.video_cgf1 import phrase_table, video_concept_f1
from sam3model.metrics.video_hota import hota_shard
from sam3model.metrics.video_teta import teta_shard
from sam3model.metrics.video_tracks import VideoData, load_videos
from sam3model.metrics.ytvis import ytvis_shard

OFFICIAL = {"segm": "mask", "bbox": "bbox"}


@dataclass(frozen=True, slots=True)
class VEvalResult(MetricResult):
    """dataset_results: figures over all videos. video_np_results: one row per (video, phrase) pair, sorted."""

    dataset_results: Mapping[str, float]
    video_np_results: tuple[Mapping[str, Any], ...]

    def summary(self) -> dict[str, float]:
        """Figures by official name, e.g. video_mask_demo_cgf1_micro_50_95 or video_mask_all_phrase_HOTA."""
        return dict(self.dataset_results)


def evaluate_saco_veval(
    ground_truth: JsonSource, predictions: JsonSource, reference_behaviour: bool = False
) -> VEvalResult:
    """Class AP, phrase AP, phrase HOTA and cgF1 of boxes and masks, and TETA of masks.

    reference_behaviour: reproduce bugs of the official TETA (see `Teta`). Raises `MetricError` if a file is invalid.
    """
    data = load_videos(ground_truth, predictions)
    figures: dict[str, float] = {}
    rows: dict[Any, dict[str, Any]] = {}
    for kind, name in OFFICIAL.items():
        figures |= _average_precision(data, kind, name)
        hota = hota_shard(data, kind).compute() if data.phrases else None
        if hota is not None:
            figures |= {f"video_{name}_all_phrase_{k}": v for k, v in hota.summary().items()}
        metric = video_concept_f1(data, kind)
        figures |= official_cgf1(metric.compute(), name)
        for row in phrase_table(metric.samples):
            key = row.pop("video_id"), row.pop("category_id")
            rows.setdefault(key, {}).update({f"{name}_{k}": v for k, v in row.items()})
        for key, curves in hota.sequences.items() if hota is not None else ():
            means = {f"{name}_{k}": float(v.mean()) for k, v in curves.items() if not k.startswith("HOTA_")}
            rows.setdefault(key, {}).update(means)
    teta = teta_shard(data, reference_behaviour=reference_behaviour).compute()
    figures |= {f"video_mask_{k}": v for k, v in teta.summary().items()}
    table = tuple({"video_id": v, "category_id": c, **row} for (v, c), row in sorted(rows.items()))
    return VEvalResult(figures, table)


def _average_precision(data: VideoData, kind: str, name: str) -> dict[str, float]:
    classes, phrases = (ytvis_shard(data, kind, by_phrase=by).compute().stats for by in (False, True))
    prefix = f"video_{name}_phrase_ap"
    ap = {f"{prefix}_50_95": phrases["AP"], f"{prefix}_50": phrases["AP_50"], f"{prefix}_75": phrases["AP_75"]}
    return {f"video_{name}_mAP_50_95": classes["AP"], **ap}


def official_cgf1(result: ConceptF1Result, name: str) -> dict[str, float]:
    """cgF1, IL_MCC and pmF1 by the names of the official video evaluator. name: "mask" or "bbox"."""
    summary, figures = result.summary(), {}
    for suffix, at in (("50_95", ""), ("50", "@0.5"), ("75", "@0.75")):
        figures[f"video_{name}_demo_cgf1_micro_{suffix}"] = summary["cgF1" + at]
        figures[f"video_{name}_demo_ilmcc_{suffix}"] = summary["IL_MCC"]
        figures[f"video_{name}_demo_positive_micro_f1_{suffix}"] = summary["positive_micro_F1" + at]
    return figures

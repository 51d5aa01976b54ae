import pickle

import numpy as np
import pytest

from sam3model.errors import MetricError
from sam3model.metrics.hota import Hota
from sam3model.metrics.track_nms import suppress_tracks
from sam3model.metrics.video_hota import evaluate_hota, hota_shard
from sam3model.metrics.video_tracks import TrackSet, load_videos
from tests.metrics.conftest import close, golden
from tests.metrics.test_video_tracks import CASES, EDGE, EXPECTED, FOUND, KINDS, OFFICIAL, TOLERANCE, TRUTH

MODES = [
    ("phrase", "phota", "phrase"),
    ("class", "hota_class_based", "class"),
    ("agnostic", "hota_mot_class_agnostic", "phrase"),
]


def named(summary, kind, level):
    return {f"video_{OFFICIAL[kind]}_all_{level}_{name}": value for name, value in summary.items()}


@KINDS
@pytest.mark.parametrize(("mode", "name", "level"), MODES)
def test_reference_set(mode, name, level, kind):
    expected = EXPECTED[name]
    result = evaluate_hota(TRUTH, FOUND, kind, mode, reference_behaviour=True)
    prefix = f"video_{OFFICIAL[kind]}"
    official = {k: v for k, v in expected["results"].items() if k.startswith(prefix)}
    close(named(result.summary(), kind, level), official, TOLERANCE[kind])
    combined = {k: v.tolist() for k, v in result.combined.items()}
    close(combined, expected["combined_per_alpha_" + kind], TOLERANCE[kind])
    for row in expected["video_np_results"]:
        key = (row["video_id"], row["category_id"] if mode == "phrase" else None)
        for figure in ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "OWTA"):
            value = row[f"{OFFICIAL[kind]}_{figure}"]
            close(result.sequences[key][figure].mean(), value, TOLERANCE[kind])


@KINDS
@CASES
def test_edge(case, kind):
    for mode, name in (("phrase", "phota"), ("agnostic", "hota_mot")):
        expected = case["expected"][name]
        result = evaluate_hota(case["gt"], case["pred"], kind, mode, reference_behaviour=True)
        if "raises" in expected:  # without targets our HOTA is 0
            assert result.hota == 0
            continue
        expected = expected.get("results", expected)
        official = {k: v for k, v in expected.items() if k.startswith(f"video_{OFFICIAL[kind]}")}
        close(named(result.summary(), kind, "phrase"), official, TOLERANCE[kind])


@KINDS
def test_sequences_and_the_sum_over_classes(kind):
    expected, result = EXPECTED["phota"]["sequences_" + kind], evaluate_hota(TRUTH, FOUND, kind)
    rows = [(r["video_id"], r["category_id"]) for r in EXPECTED["phota"]["video_np_results"]]
    for i, key in enumerate(rows, 1):
        figures = expected[f"remapped_vid_{i:012d}"]["_REMAPPED_FOR_PHRASE_METRICS_"]
        close({k: v.tolist() for k, v in result.sequences[key].items()}, figures, TOLERANCE[kind])
    metric = hota_shard(load_videos(TRUTH, FOUND), kind, "class")
    metric.class_average = False
    summed = {k: v.tolist() for k, v in metric.compute().combined.items()}
    close(summed, EXPECTED["hota_class_based"]["det_averaged_per_alpha_" + kind], TOLERANCE[kind])


def test_a_score_of_exactly_half_is_dropped_unless_keep_equal():
    case = next(c for c in EDGE if c["name"] == "score_exactly_half")
    assert evaluate_hota(case["gt"], case["pred"]).hota == 0
    assert evaluate_hota(case["gt"], case["pred"], keep_equal=True).hota == pytest.approx(1)


def test_suppression_removes_masks_except_in_reference_behaviour():
    case = next(c for c in EDGE if c["name"] == "duplicate_tracks")
    masks = [evaluate_hota(case["gt"], case["pred"], "segm", "agnostic", reference_behaviour=r) for r in (True, False)]
    assert masks[0].combined["HOTA_FP"].max() == 5
    assert masks[1].combined["HOTA_FP"].max() == 0


def test_shards_of_sequences_merge():
    whole, parts = hota_shard(load_videos(TRUTH, FOUND)), [Hota(), Hota()]
    for i, (key, counts) in enumerate(whole.samples.items()):
        parts[i % 2].add(key, counts)
    parts[0].merge(pickle.loads(pickle.dumps(parts[1])))
    assert parts[0].compute().summary() == pytest.approx(whole.compute().summary(), abs=1e-12)
    assert "HOTA" in parts[0].compute().table()
    with pytest.raises(MetricError, match="same settings"):
        parts[0].merge(Hota(class_average=True))


@pytest.mark.parametrize("run", golden("metrics_nms.json")["runs"], ids=lambda r: f"{r['kind']}-{r['threshold']}")
def test_suppression_reference_set(run):
    videos = {}
    for i, entry in enumerate(FOUND):
        videos.setdefault(entry["video_id"], []).append(i)
    for members in videos.values():
        entries = [FOUND[i] for i in members]
        tracks = TrackSet.of("bbox", entries, len(entries[0]["bboxes"]))
        kept = suppress_tracks(tracks.boxes, [e["score"] for e in entries], run["threshold"], run["kind"] == "frame")
        for i, row in zip(members, kept, strict=True):
            assert row.astype(int).tolist() == run["kept_frames"][str(i)]


def test_suppression_refuses_mismatched_shapes():
    with pytest.raises(MetricError, match="boxes"):
        suppress_tracks(np.zeros((2, 3, 4)), [0.5])

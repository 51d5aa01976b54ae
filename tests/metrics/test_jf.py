import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from sam3model.errors import MetricError
from sam3model.metrics.boundary import boundary_radius, disk_widths, region_and_boundary
from sam3model.metrics.column_runs import decode_runs
from sam3model.metrics.jf import JAndF, object_quality, without_overlaps
from sam3model.metrics.overlap import as_rle
from sam3model.metrics.referring_video import union_track
from tests.metrics.conftest import close, golden

REFERENCE = golden("metrics_jf.json")


@pytest.mark.parametrize("rules", sorted(REFERENCE["expected"]))
def test_reference_videos(rules):
    expected, metric = REFERENCE["expected"][rules], JAndF(skip_ends=rules.endswith("1"))
    for video, content in REFERENCE["videos"].items():
        targets = {k: o["gt"] for k, o in content["objects"].items()}
        predictions = {k: o["pred"] for k, o in content["objects"].items()}
        if rules.startswith("davis"):
            names = dict(zip(targets, map(str, range(1, 9)), strict=False))
            metric.update_label_maps(
                video, {names[k]: v for k, v in targets.items()}, {names[k]: v for k, v in predictions.items()}
            )
        else:
            for name, track in targets.items():
                metric.update(video, name, track, predictions[name])
    result = metric.compute()
    close([result.jf, result.j, result.f], [expected["JF"], expected["J"], expected["F"]])
    for video, scores in expected["objects"].items():
        for name in scores["J"]:
            close(list(result.objects[f"{video}/{name}"]), [scores["J"][name], scores["F"][name]])


@pytest.mark.parametrize("case", REFERENCE["edge"]["cases"], ids=lambda c: c["name"])
def test_edge(case):
    quality = object_quality(case["gt"], case["pred"], skip_ends=False)
    if case["J"] is None:
        assert not quality.j.size
        return
    close(quality.j.tolist(), case["per_frame_J"])
    close(quality.f.tolist(), case["per_frame_F"])


def test_an_object_without_target_pixels_is_unscored_or_refused():
    case = next(c for c in REFERENCE["edge"]["cases"] if c["name"] == "target_never")
    metric = JAndF(skip_ends=False)
    metric.update("v", "seen", case["pred"], case["pred"])
    metric.update("v", "ghost", case["gt"], case["pred"])
    assert metric.compute().unscored == ("v/ghost",)
    assert metric.compute().jf == 100
    with pytest.raises(MetricError, match="v/ghost: no target pixel"):
        JAndF(skip_ends=False, reference_behaviour=True).update("v", "ghost", case["gt"], case["pred"])


def jf_from_pixels(target, prediction, radius):
    """J and F computed slowly, with boundaries and disks as pixel arrays."""
    edges = []
    for mask in (target, prediction):
        padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
        edges.append((mask != padded[1:, :-1]) | (mask != padded[:-1, 1:]) | (mask != padded[1:, 1:]))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    near = [ndimage.binary_dilation(e, x * x + y * y <= radius * radius) for e in edges]
    union = (target | prediction).sum()
    j = (target & prediction).sum() / union if union else 1.0
    if not edges[0].any() or not edges[1].any():
        return j, float(edges[0].any() == edges[1].any())
    p, r = (edges[1] & near[0]).sum() / edges[1].sum(), (edges[0] & near[1]).sum() / edges[0].sum()
    return j, 2 * p * r / (p + r) if p + r else 0.0


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 17), st.integers(1, 17), st.integers(1, 5))
def test_bits_agree_with_pixels(data, height, width, radius):
    masks = [data.draw(arrays(bool, (height, width))) for _ in range(2)]
    runs = decode_runs([as_rle(m) for m in masks], height, width)
    for mask, run in zip(masks, runs, strict=True):
        assert run.area == mask.sum()
    assert region_and_boundary(*runs, height, width, radius) == pytest.approx(jf_from_pixels(*masks, radius))


def test_disks_and_radius():
    assert boundary_radius(1080, 1920) == 18
    assert sum(2 * (2 * w + 1) for w in disk_widths(7)[1:]) + 15 == 149  # pixels of a disk of radius 7


def test_later_objects_hide_earlier_ones():
    square, corner = np.ones((3, 3)), np.eye(3)
    first, second = without_overlaps([[as_rle(square), None], [as_rle(corner), as_rle(corner)]])
    assert decode_runs([first[0], second[0]], 3, 3)[0].area == 6
    assert first[1] is None
    assert second[1]["counts"] == as_rle(corner)["counts"]


def test_shards_merge_and_invalid_input_is_reported():
    track = [as_rle(np.eye(4))] * 4
    left, right = JAndF(), JAndF()
    left.update("a", 1, track, track)
    right.update("b", 1, track, [None] * 4)
    left.merge(pickle.loads(pickle.dumps(right)))
    assert (left.compute().j, left.compute().f) == (50, 50)
    with pytest.raises(MetricError, match="a/2: 2 frames of ground truth but 1"):
        left.update("a", 2, track, track[1:])
    with pytest.raises(MetricError, match=r"a/2: a mask of size \[5, 5\]"):
        left.update("a", 2, track, [as_rle(np.eye(5))] * 4)
    with pytest.raises(MetricError, match="no object has a target"):
        JAndF().compute()
    with pytest.raises(MetricError, match="do not add up"):
        decode_runs([{"size": [2, 3], "counts": "5"}], 2, 3)


def test_tracks_of_different_lengths_are_refused():
    pixel = as_rle(np.eye(4))
    tracks = {"1": [pixel] * 3, "2": [pixel] * 2}
    for call in (lambda: JAndF().update_label_maps("v", tracks, {}), lambda: union_track(list(tracks.values()))):
        with pytest.raises(MetricError, match="have 2 and 3 frames"):
            call()
    assert without_overlaps([[], []]) == [[], []]

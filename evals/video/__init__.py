"""Video benchmarks: predictions of the model, or in the layout of the official evaluators, scored as those do.

`vos` scores label maps (DAVIS, MOSE, SA-V), `tracks` YouTube-VIS JSON (YTVIS, LV-VIS, SA-Co/VEval), `burst` BURST's own
JSON, `expressions` referring expressions (MeViS, ReVOS).
"""

from pathlib import Path

from evals.benchmark_types import VideoBenchmark, VideoReading
from evals.samples import DatasetSplit
from evals.video.burst import score_burst
from evals.video.expression_runs import mevis_writer, read_mevis, read_revos, revos_writer
from evals.video.expressions import score_mevis, score_revos
from evals.video.prediction_writers import BurstWriter, LabelMapWriter, ObjectFolderWriter, TrackWriter
from evals.video.track_reader import read_burst, read_lvvis, read_veval, read_ytvis
from evals.video.tracks import score_lvvis, score_veval, score_ytvis
from evals.video.vos import score_davis, score_mose, score_sav
from evals.video.vos_reader import read_davis, read_mose, read_sav

JF = ("J&F", "J", "F")
LABELS = "a folder of VIDEO/FRAME.png, indexed PNGs with a label per object; all annotated frames except first and last"
EXPRESSIONS = "a folder of VIDEO/EXPRESSION/FRAME.png, a mask per frame; an expression without a folder counts 0"
TRACKS = "[{video_id, category_id, score, segmentations: an RLE or null per frame}, ...]"
RESULTS = f"results.json (or its folder): {TRACKS}"


def _label_maps(_: DatasetSplit, folder: Path) -> LabelMapWriter:
    return LabelMapWriter(folder)


def _object_folders(_: DatasetSplit, folder: Path) -> ObjectFolderWriter:
    return ObjectFolderWriter(folder)


def _results(_: DatasetSplit, folder: Path) -> TrackWriter:
    return TrackWriter(folder / "results.json")


def _veval_results(dataset: DatasetSplit, folder: Path) -> TrackWriter:
    return TrackWriter(folder / f"saco_veval_{dataset.split}_preds.json")


def _burst_results(_: DatasetSplit, folder: Path) -> BurstWriter:
    return BurstWriter(folder / "predictions.json")


BENCHMARKS: tuple[VideoBenchmark, ...] = (
    VideoBenchmark(
        name="saco-veval",
        title="SA-Co/VEval: every instance of a noun phrase, tracked through a video",
        splits=("sav_test", "yt1b_test", "smartglasses_test", "sav_val", "yt1b_val", "smartglasses_val"),
        files=("annotation/saco_veval_SPLIT.json", "media/saco_{sav,yt1b,sg}/JPEGImages_*fps/ (to run the model)"),
        get="hf download facebook/SACo-VEval --repo-type dataset (gated)",
        headline=("cgF1", "pHOTA", "pmF1", "IL_MCC"),
        score=score_veval,
        run=VideoReading(read_veval, _veval_results, score_veval),
        layout=f"saco_veval_SPLIT_preds.json (or its folder): {TRACKS}",
    ),
    VideoBenchmark(
        name="davis",
        title="DAVIS 2017, semi-supervised, 480p",
        splits=("val", "train"),
        files=(
            "ImageSets/2017/SPLIT.txt",
            "Annotations/480p/VIDEO/FRAME.png",
            "JPEGImages/480p/VIDEO/FRAME.jpg (to run the model)",
        ),
        get="davischallenge.org/davis2017/code.html, DAVIS-2017-trainval-480p.zip; set --root to its folder DAVIS",
        headline=JF,
        score=score_davis,
        run=VideoReading(read_davis, _label_maps, score_davis),
        layout=LABELS,
    ),
    VideoBenchmark(
        name="mose",
        title="MOSE: coherent video object segmentation in complex scenes",
        splits=("valid", "train"),
        files=("SPLIT/Annotations/VIDEO/FRAME.png", "SPLIT/JPEGImages/VIDEO/FRAME.jpg (to run the model)"),
        get="henghuiding.github.io/MOSE; ground truth of valid is only on its server: upload there, or score train",
        headline=JF,
        score=score_mose,
        run=VideoReading(read_mose, _label_maps, score_mose),
        layout=LABELS,
    ),
    VideoBenchmark(
        name="sav",
        title="SA-V: segment anything in videos",
        splits=("val", "test"),
        files=(
            "sav_SPLIT/sav_SPLIT.txt",
            "sav_SPLIT/Annotations_6fps/VIDEO/OBJECT/FRAME.png",
            "sav_SPLIT/JPEGImages_24fps/VIDEO/FRAME.jpg (to run the model)",
        ),
        get="ai.meta.com/datasets/segment-anything-video-downloads, sav_val.tar and sav_test.tar",
        headline=JF,
        score=score_sav,
        run=VideoReading(read_sav, _object_folders, score_sav),
        layout="a folder of VIDEO/OBJECT/FRAME.png, one object per file; all annotated frames except first and last",
    ),
    VideoBenchmark(
        name="ytvis",
        title="YouTube-VIS: video instance segmentation (2019, 2021 or any data set in this format)",
        splits=("valid", "train", "test"),
        files=("SPLIT.json or SPLIT/instances.json, with annotations", "SPLIT/JPEGImages/ (to run the model)"),
        get="youtube-vos.org/dataset/vis; ground truth of valid and test is only on its server: upload, or score train",
        headline=("AP", "AP_50", "AP_75"),
        score=score_ytvis,
        run=VideoReading(read_ytvis, _results, score_ytvis),
        layout=RESULTS,
    ),
    VideoBenchmark(
        name="lvvis",
        title="LV-VIS: video instance segmentation with 1,196 categories",
        splits=("val", "train", "test"),
        files=("SPLIT/SPLIT_instances.json or SPLIT_instances.json", "SPLIT/JPEGImages/ (to run the model)"),
        get="github.com/haochenheheda/LVVIS; the annotations of test are not public",
        headline=("AP", "AP_50", "AP_75"),
        score=score_lvvis,
        run=VideoReading(read_lvvis, _results, score_lvvis),
        layout=RESULTS,
    ),
    VideoBenchmark(
        name="burst",
        title="BURST, class-guided: objects of 482 classes, tracked with masks at 1 frame per second",
        splits=("test", "val"),
        files=("SPLIT/all_classes.json", "frames/SPLIT/DATASET/SEQUENCE/ (to run the model)"),
        get="github.com/Ali2500/BURST-benchmark, annotations.zip",
        headline=("HOTA", "HOTA common", "HOTA uncommon"),
        score=score_burst,
        run=VideoReading(read_burst, _burst_results, score_burst),
        layout="predictions.json (or its folder): the annotation file with your segmentations and track_category_ids",
    ),
    VideoBenchmark(
        name="mevis",
        title="MeViS: expressions about motion",
        splits=("valid_u", "train", "valid"),
        files=("SPLIT/meta_expressions.json", "SPLIT/mask_dict.json", "SPLIT/JPEGImages/ (to run the agent)"),
        get="henghuiding.github.io/MeViS; the ground truth of valid is only on the challenge server",
        headline=JF,
        score=score_mevis,
        run=VideoReading(read_mevis, mevis_writer, score_mevis),
        questions=True,
        layout=EXPRESSIONS,
    ),
    VideoBenchmark(
        name="revos",
        title="ReVOS: referring and reasoning expressions",
        splits=("valid", "train"),
        files=(
            "meta_expressions_SPLIT_.json",
            "mask_dict.json",
            "mask_dict_foreground.json (optional, for R)",
            "JPEGImages/ (to run the agent)",
        ),
        get="github.com/cilinyan/ReVOS-api; mask_dict_foreground.json comes with github.com/cilinyan/VISA",
        headline=("J&F", "referring J&F", "reasoning J&F", "R"),
        score=score_revos,
        run=VideoReading(read_revos, revos_writer, score_revos),
        questions=True,
        layout=EXPRESSIONS,
    ),
)

"""Video benchmarks: folders or files of predictions, scored against the official annotations.

`vos` scores label pictures (DAVIS, MOSE, SA-V), `tracks` YouTube-VIS JSON (YTVIS, LV-VIS, SA-Co/VEval), `burst` its own
JSON, `referring` expressions (MeViS, ReVOS). Predictions are laid out as for the official evaluators and servers.
"""

from evals.registry import PredictionBenchmark
from evals.video.burst import score_burst
from evals.video.referring import score_mevis, score_revos
from evals.video.tracks import score_lvvis, score_veval, score_ytvis
from evals.video.vos import score_davis, score_mose, score_sav

JF = ("J&F", "J", "F")
LABELS = (
    "a folder of VIDEO/FRAME.png, indexed PNGs with a label per object; all annotated frames but the first and last"
)
EXPRESSIONS = "a folder of VIDEO/EXPRESSION/FRAME.png, a mask for every frame; an expression without a folder counts 0"
TRACKS = "[{video_id, category_id, score, segmentations: an RLE or null per frame}, …]"
RESULTS = f"results.json (or its folder): {TRACKS}"

BENCHMARKS: tuple[PredictionBenchmark, ...] = (
    PredictionBenchmark(
        name="saco-veval",
        title="SA-Co/VEval: every instance of a noun phrase, tracked through a video",
        splits=("sav_test", "yt1b_test", "smartglasses_test", "sav_val", "yt1b_val", "smartglasses_val"),
        files=("annotation/saco_veval_SPLIT.json",),
        get="hf download facebook/SACo-VEval --repo-type dataset (gated); annotations are enough to score predictions",
        headline=("cgF1", "pHOTA", "pmF1", "IL_MCC"),
        score=score_veval,
        layout=f"saco_veval_SPLIT_preds.json (or its folder): {TRACKS}",
    ),
    PredictionBenchmark(
        name="davis",
        title="DAVIS 2017, semi-supervised, 480p",
        splits=("val", "train"),
        files=("ImageSets/2017/SPLIT.txt", "Annotations/480p/VIDEO/FRAME.png"),
        get="davischallenge.org/davis2017/code.html, DAVIS-2017-trainval-480p.zip; --root is its folder DAVIS",
        headline=JF,
        score=score_davis,
        layout=LABELS,
    ),
    PredictionBenchmark(
        name="mose",
        title="MOSE: coherent video object segmentation in complex scenes",
        splits=("valid", "train"),
        files=("SPLIT/Annotations/VIDEO/FRAME.png",),
        get="henghuiding.github.io/MOSE; the challenge server keeps the truth of valid: upload there, or score train",
        headline=JF,
        score=score_mose,
        layout=LABELS,
    ),
    PredictionBenchmark(
        name="sav",
        title="SA-V: segment anything in videos",
        splits=("val", "test"),
        files=("sav_SPLIT/sav_SPLIT.txt", "sav_SPLIT/Annotations_6fps/VIDEO/OBJECT/FRAME.png"),
        get="ai.meta.com/datasets/segment-anything-video-downloads, sav_val.tar and sav_test.tar",
        headline=JF,
        score=score_sav,
        layout="a folder of VIDEO/OBJECT/FRAME.png, one object a file; all annotated frames but the first and last",
    ),
    PredictionBenchmark(
        name="ytvis",
        title="YouTube-VIS: video instance segmentation (2019, 2021 or any data set in its format)",
        splits=("valid", "train", "test"),
        files=("SPLIT.json or SPLIT/instances.json, with annotations",),
        get="youtube-vos.org/dataset/vis; its server keeps the truth of valid and test: upload there, or score train",
        headline=("AP", "AP_50", "AP_75"),
        score=score_ytvis,
        layout=RESULTS,
    ),
    PredictionBenchmark(
        name="lvvis",
        title="LV-VIS: video instance segmentation with 1,196 categories",
        splits=("val", "train", "test"),
        files=("SPLIT/SPLIT_instances.json or SPLIT_instances.json",),
        get="github.com/haochenheheda/LVVIS; the annotations of test are not public",
        headline=("AP", "AP_50", "AP_75"),
        score=score_lvvis,
        layout=RESULTS,
    ),
    PredictionBenchmark(
        name="burst",
        title="BURST, class-guided: objects of 482 classes, tracked with masks at one frame a second",
        splits=("test", "val"),
        files=("SPLIT/all_classes.json",),
        get="github.com/Ali2500/BURST-benchmark, annotations.zip",
        headline=("HOTA", "HOTA common", "HOTA uncommon"),
        score=score_burst,
        layout="predictions.json (or its folder): the truth file with your own segmentations and track_category_ids",
    ),
    PredictionBenchmark(
        name="mevis",
        title="MeViS: expressions of motion",
        splits=("valid_u", "train", "valid"),
        files=("SPLIT/meta_expressions.json", "SPLIT/mask_dict.json"),
        get="henghuiding.github.io/MeViS; the challenge server keeps the truth of valid",
        headline=JF,
        score=score_mevis,
        layout=EXPRESSIONS,
    ),
    PredictionBenchmark(
        name="revos",
        title="ReVOS: referring and reasoning expressions",
        splits=("valid", "train"),
        files=("meta_expressions_SPLIT_.json", "mask_dict.json", "mask_dict_foreground.json (for R; may be absent)"),
        get="github.com/cilinyan/ReVOS-api; mask_dict_foreground.json comes with github.com/cilinyan/VISA",
        headline=("J&F", "referring J&F", "reasoning J&F", "R"),
        score=score_revos,
        layout=EXPRESSIONS,
    ),
)

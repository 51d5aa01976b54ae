"""All benchmarks by name."""

from functools import partial

from evals.benchmark_types import AnyBenchmark, ClickBenchmark, MaskletBenchmark, PhraseBenchmark, QuestionBenchmark
from evals.coco_predictions import score_coco
from evals.readers import (
    coco,
    countbench,
    detection_sets,
    groundingsuite,
    lvis,
    mmr,
    omnilabel,
    playground,
    playground_clip_questions,
    playground_clips,
    playground_phrasings,
    reasonseg,
    refcoco,
    saco,
)
from evals.scorers.clicks import ClickScorer
from evals.scorers.concepts import ConceptScorer
from evals.scorers.counting import CountingScorer
from evals.scorers.detection import LVIS_RULES, DetectionScorer
from evals.scorers.grounding import GroundingScorer
from evals.scorers.mmr import MmrScorer
from evals.scorers.omnilabel import OmniLabelScorer
from evals.scorers.phrasings import PhrasingScorer
from evals.scorers.playground_clips import MaskletScorer
from evals.scorers.referring import PlaygroundScorer, ReasoningScorer, ReferringScorer
from evals.video import BENCHMARKS as VIDEO
from sam3model.errors import ConfigError

PLAYGROUND = (
    PhraseBenchmark(
        name="playground",
        title="500 held-out Playground scenes with all phrases",
        splits=playground.SPLITS,
        get="not needed: scenes are generated",
        headline=("cgF1", "pmF1", "IL_MCC", "AP"),
        read=playground.read_phrases,
        scorer=partial(ConceptScorer, ap=True),
        threshold=0.05,
    ),
    QuestionBenchmark(
        name="playground-questions",
        title="200 held-out Playground questions for the agent",
        splits=playground.SPLITS,
        get="not needed: scenes are generated",
        headline=("gIoU", "gIoU answerable", "no match reported", "cIoU"),
        read=playground.read_questions,
        scorer=PlaygroundScorer,
    ),
    QuestionBenchmark(
        name="playground-phrasings",
        title="654 questions about Playground scenes in many wordings, with true masks unless --weights is given",
        splits=playground_phrasings.SPLITS,
        get="not needed: scenes are generated",
        headline=("silently wrong", "not understood", "right"),
        read=playground_phrasings.read,
        scorer=PhrasingScorer,
        segmenter=playground_phrasings.true_masks,
    ),
    QuestionBenchmark(
        name="playground-video-questions",
        title="Questions about what happens in 50 held-out Playground clips, with true masks unless --weights is given",
        splits=playground.SPLITS,
        get="not needed: clips are generated",
        headline=("gIoU", "gIoU answerable", "no match reported"),
        read=playground_clip_questions.read,
        scorer=PlaygroundScorer,
        segmenter=playground_clip_questions.true_clips,
        tracker=playground_clip_questions.true_tracker,
    ),
    ClickBenchmark(
        name="playground-clicks",
        title="All objects of 200 held-out Playground scenes, with simulated clicks",
        splits=playground.SPLITS,
        get="not needed: scenes are generated",
        headline=("IoU 1 click", "IoU 3 clicks", "IoU 5 clicks", "IoU 8 clicks", "IoU box"),
        read=playground_clips.read_clicks,
        scorer=ClickScorer,
    ),
    MaskletBenchmark(
        name="playground-video",
        title="50 held-out Playground clips: objects given by a mask or one click, and phrases",
        splits=playground.SPLITS,
        get="not needed: clips are generated",
        headline=("mask J&F", "click J&F", "cgF1", "pHOTA", "ID switches"),
        read=playground_clips.read_clips,
        scorer=MaskletScorer,
    ),
)

JUST_BELOW_HALF = 0.4999
"""cgF1 keeps scores of exactly 0.5; the segmenter only keeps scores above its threshold."""
MIN_RANKED_SCORE = 0.01
"""Minimum score of detections ranked for AP."""
COCO2017 = "val2017/ and annotations/ of COCO 2017: https://cocodataset.org/#download"

PHRASES = (
    PhraseBenchmark(
        name="saco-gold",
        title="SA-Co/Gold: concept segmentation, seven subsets, three annotators",
        splits=("all", *saco.GOLD),
        files=("gt-annotations/gold_SUBSET_merged_{a,b,c}_release_test.json", "metaclip-images/", "sa1b-images/"),
        get="https://huggingface.co/datasets/facebook/SACo-Gold; images as described there",
        headline=("cgF1", "pmF1", "IL_MCC"),
        read=saco.read_gold,
        scorer=ConceptScorer,
        threshold=JUST_BELOW_HALF,
    ),
    PhraseBenchmark(
        name="saco-silver",
        title="SA-Co/Silver: concept segmentation, ten subsets",
        splits=("all", *saco.SILVER),
        files=("gt-annotations/silver_SUBSET_merged_test.json", "SUBSET/ with the images of each subset"),
        get="https://huggingface.co/datasets/facebook/SACo-Silver; images as described there",
        headline=("cgF1", "pmF1", "IL_MCC"),
        read=saco.read_silver,
        scorer=ConceptScorer,
        threshold=JUST_BELOW_HALF,
    ),
    PhraseBenchmark(
        name="coco",
        title="COCO 2017 detection and instance segmentation, every image prompted with all 80 categories",
        splits=("val",),
        files=("annotations/instances_val2017.json", "val2017/"),
        get=COCO2017,
        headline=("box AP", "mask AP", "box AP_50", "mask AP_50"),
        read=coco.read,
        scorer=DetectionScorer,
        threshold=MIN_RANKED_SCORE,
        score=score_coco,
        layout="[{image_id, category_id, bbox (xywh) or segmentation, score}, ...]; --root: any COCO file",
    ),
    PhraseBenchmark(
        name="lvis",
        title="LVIS v1 detection and instance segmentation",
        splits=("val", "minival"),
        files=("annotations/lvis_v1_val.json", "train2017/ and val2017/ of COCO"),
        get="https://www.lvisdataset.org/dataset; " + COCO2017,
        headline=("mask AP", "box AP", "cgF1", "mask AP_rare", "mask AP_common", "mask AP_frequent"),
        read=lvis.read,
        scorer=partial(DetectionScorer, rules=LVIS_RULES, max_per_image=300, concepts=True),
        threshold=MIN_RANKED_SCORE,
    ),
    PhraseBenchmark(
        name="odinw",
        title="ODinW13: zero-shot detection on 13 small data sets",
        splits=("test", "val"),
        files=("the 13 folders, from AerialMaritimeDrone/ to thermalDogsAndPeople/",),
        get="https://huggingface.co/GLIPModel/GLIP/tree/main/odinw_35",
        headline=("box AP", "box AP_50"),
        read=detection_sets.read_odinw,
        scorer=partial(DetectionScorer, kinds=("bbox",)),
        threshold=MIN_RANKED_SCORE,
    ),
    PhraseBenchmark(
        name="rf100vl",
        title="Roboflow100-VL: zero-shot detection on 100 data sets",
        splits=("test", "valid"),
        files=("SET/test/_annotations.coco.json and the images next to it, for every set",),
        get="pip install rf100vl, then rf100vl.download_rf100vl(path=ROOT)",
        headline=("box AP", "box AP_50"),
        read=detection_sets.read_rf100vl,
        scorer=partial(DetectionScorer, kinds=("bbox",)),
        threshold=MIN_RANKED_SCORE,
    ),
    PhraseBenchmark(
        name="countbench",
        title="CountBench: counting the instances of a phrase",
        splits=("test",),
        files=("countbenchqa.jsonl: image, question, number", "images/"),
        get="https://huggingface.co/datasets/vikhyatk/CountBenchQA, unpacked as in docs/benchmarks.md",
        headline=("accuracy", "MAE"),
        read=countbench.read,
        scorer=CountingScorer,
    ),
)


def _referring(name: str, partition: str, splits: tuple[str, ...]) -> QuestionBenchmark:
    return QuestionBenchmark(
        name=name,
        title="Referring expressions as questions for the agent",
        splits=splits,
        files=(f"{name}/refs({partition}).p", f"{name}/instances.json", "train2014/ of COCO"),
        get="https://github.com/lichengunc/refer; images: http://images.cocodataset.org/zips/train2014.zip",
        headline=("gIoU", "cIoU", "Pr@0.5"),
        read=partial(refcoco.read, folder=name, partition=partition),
        scorer=ReferringScorer,
    )


QUESTIONS = (
    QuestionBenchmark(
        name="reasonseg",
        title="ReasonSeg: implicit questions for the agent",
        splits=("val", "test", "train"),
        files=("val/ and test/ with X.jpg and X.json",),
        get="https://github.com/dvlab-research/LISA (ReasonSeg); repacks with boolean masks lack the ignored regions",
        headline=("gIoU", "cIoU"),
        read=reasonseg.read,
        scorer=ReasoningScorer,
    ),
    _referring("refcoco", "unc", ("val", "testA", "testB")),
    _referring("refcoco+", "unc", ("val", "testA", "testB")),
    _referring("refcocog", "umd", ("val", "test")),
    QuestionBenchmark(
        name="grefcoco",
        title="gRefCOCO: expressions with no, one or several targets",
        splits=("val", "testA", "testB"),
        files=("grefcoco/grefs(unc).json (or .p)", "grefcoco/instances.json", "train2014/ of COCO"),
        get="https://github.com/henghuiding/gRefCOCO; images: http://images.cocodataset.org/zips/train2014.zip",
        headline=("gIoU", "cIoU", "N_acc", "T_acc", "Pr@0.7", "Pr@0.8", "Pr@0.9"),
        read=refcoco.read_generalised,
        scorer=ReferringScorer,
    ),
    QuestionBenchmark(
        name="omnilabel",
        title="OmniLabel: boxes for free-form descriptions",
        splits=("val",),
        files=("dataset_all_val_VERSION.json", "images/ (or the root) with coco/, object365/ and openimagesv5/"),
        get="https://www.omnilabel.org/dataset/download",
        headline=("AP", "AP-categ", "AP-descr", "AP-descr-Pos"),
        read=omnilabel.read,
        scorer=OmniLabelScorer,
    ),
    QuestionBenchmark(
        name="groundingsuite",
        title="GroundingSuite-Eval: captions of objects, parts and stuff",
        splits=("test",),
        files=("GroundingSuite-Eval.jsonl", "unlabeled2017/ of COCO"),
        get="https://huggingface.co/datasets/hustvl/GSEval",
        headline=("gIoU", "box Acc@0.5"),
        read=groundingsuite.read,
        scorer=GroundingScorer,
    ),
    QuestionBenchmark(
        name="mmr",
        title="MMR: questions with several targets, objects and parts",
        splits=tuple(mmr.FILES),
        files=("MMR/MMR_val.json, MMR_test_{obj_only,part_only,mixed}.json", "train2017/ and val2017/ of COCO"),
        get="https://github.com/jdg900/MMR; " + COCO2017,
        headline=("gIoU", "cIoU", "union gIoU"),
        read=mmr.read,
        scorer=MmrScorer,
    ),
)

BENCHMARKS: dict[str, AnyBenchmark] = {b.name: b for b in (*PLAYGROUND, *PHRASES, *QUESTIONS, *VIDEO)}


def find(name: str) -> AnyBenchmark:
    """The benchmark of this name. Raises `ConfigError`, with the closest name, if it is unknown."""
    import difflib

    if name in BENCHMARKS:
        return BENCHMARKS[name]
    near = difflib.get_close_matches(name, BENCHMARKS, n=1)
    hint = f": did you mean {near[0]}?" if near else "; see `python -m evals list`"
    raise ConfigError(f"unknown benchmark {name!r}{hint}")

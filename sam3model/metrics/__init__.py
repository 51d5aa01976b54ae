"""Segmentation and tracking metrics: pure functions on arrays and RLEs, and aggregates with update, merge, compute."""

from sam3model.metrics.average_precision import ApResult, ApRules, AveragePrecision
from sam3model.metrics.cgf1 import ConceptF1, evaluate_cgf1
from sam3model.metrics.coco_ap import evaluate_coco
from sam3model.metrics.concept_f1 import ConceptF1Result
from sam3model.metrics.count_accuracy import Counting, CountingResult
from sam3model.metrics.hota import Hota, HotaResult
from sam3model.metrics.jf import JAndF, JFResult
from sam3model.metrics.mask_iou import ReasoningIoU, ReasoningResult, ReferringIoU, ReferringResult
from sam3model.metrics.omnilabel_ap import OmniLabelAp, OmniLabelResult, evaluate_omnilabel
from sam3model.metrics.referring_video import ReferringVideo, ReferringVideoResult
from sam3model.metrics.results_writer import YTVISResultsWriter
from sam3model.metrics.teta import Teta, TetaResult
from sam3model.metrics.track_nms import suppress_tracks
from sam3model.metrics.veval import evaluate_saco_veval
from sam3model.metrics.video_cgf1 import evaluate_video_cgf1
from sam3model.metrics.video_hota import evaluate_hota
from sam3model.metrics.video_teta import evaluate_teta
from sam3model.metrics.video_tracks import iou_masklets, load_videos
from sam3model.metrics.ytvis import evaluate_ytvis

__all__ = [
    "ApResult",
    "ApRules",
    "AveragePrecision",
    "ConceptF1",
    "ConceptF1Result",
    "Counting",
    "CountingResult",
    "Hota",
    "HotaResult",
    "JAndF",
    "JFResult",
    "OmniLabelAp",
    "OmniLabelResult",
    "ReasoningIoU",
    "ReasoningResult",
    "ReferringIoU",
    "ReferringResult",
    "ReferringVideo",
    "ReferringVideoResult",
    "Teta",
    "TetaResult",
    "YTVISResultsWriter",
    "evaluate_cgf1",
    "evaluate_coco",
    "evaluate_hota",
    "evaluate_omnilabel",
    "evaluate_saco_veval",
    "evaluate_teta",
    "evaluate_video_cgf1",
    "evaluate_ytvis",
    "iou_masklets",
    "load_videos",
    "suppress_tracks",
]

"""GroundingSuite: mean IoU of masks, and accuracy of boxes."""

from dataclasses import dataclass

from evals.benchmark_types import Figures
from evals.intervals import Draws
from evals.samples import QuestionPrediction, QuestionSample, Rle
from evals.scorers.referring import answer_mask, resample_iou
from sam3model.metrics.mask_iou import ReferringIoU, referring_iou
from sam3model.metrics.overlap import FloatArray, box_iou_xywh, coco_mask

MIN_BOX_IOU = 0.5
"""A box is correct if its IoU is above this."""


@dataclass(frozen=True, slots=True, eq=False)
class GroundingTarget:
    """Target of a caption. box: xywh in pixels; class_id: as in the file."""

    mask: Rle
    box: tuple[float, float, float, float]
    class_id: str


class GroundingScorer:
    """gIoU (mean IoU), over all captions and per class, and Acc@0.5 of the bounding box of the answer."""

    def __init__(self) -> None:
        self._all = ReferringIoU()
        self._classes: dict[str, ReferringIoU] = {}
        self._correct: dict[str, bool] = {}

    def update(self, sample: QuestionSample[GroundingTarget], prediction: QuestionPrediction) -> dict[str, float]:
        """Add one answer; returns the IoU of the mask and of the box."""
        mask, target = answer_mask(prediction), sample.target
        self._all.update(sample.key, mask, target.mask)
        self._classes.setdefault(target.class_id, ReferringIoU()).update(sample.key, mask, target.mask)
        box_iou = float(box_iou_xywh([coco_mask.toBbox(mask)], [target.box])[0, 0])
        self._correct[sample.key] = box_iou > MIN_BOX_IOU
        return {"IoU": float(referring_iou(self._all.samples[sample.key])[0]), "box IoU": box_iou}

    def resample(self, draws: Draws) -> dict[str, FloatArray]:
        """gIoU and Acc@0.5."""
        accuracy = 100 * draws.mean(list(self._correct), list(self._correct.values()))
        return {"gIoU": resample_iou(self._all.samples, draws, referring_iou)["gIoU"], "box Acc@0.5": accuracy}

    def compute(self) -> Figures:
        """Percentages, and the number of questions."""
        total = self._all.compute()
        figures = {"gIoU": 100 * total.giou, "box Acc@0.5": 100 * sum(self._correct.values()) / len(self._correct)}
        classes = {f"gIoU class {name}": 100 * metric.compute().giou for name, metric in sorted(self._classes.items())}
        return {**figures, "questions": total.samples, **classes}

"""GroundingSuite: mean IoU of masks, and the share of boxes that are right."""

from dataclasses import dataclass

from evals.registry import Answered, Figures, QuestionSample, Rle
from evals.scorers.referring import answer_mask
from sam3model.metrics.overlap import box_iou_xywh, coco_mask
from sam3model.metrics.segmentation import ReferringIoU

RIGHT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Grounded:
    """Truth of a caption: mask, box xywh, and the number of its class."""

    mask: Rle
    box: tuple[float, float, float, float]
    kind: str


class GroundingScorer:
    """gIoU (mean IoU, over all captions and per class) and Acc@0.5 of the box around the answer."""

    def __init__(self) -> None:
        self._all = ReferringIoU()
        self._kinds: dict[str, ReferringIoU] = {}
        self._right: list[bool] = []

    def update(self, sample: QuestionSample[Grounded], prediction: Answered) -> None:
        """Add one answer."""
        mask, truth = answer_mask(prediction), sample.truth
        self._all.update(sample.key, mask, truth.mask)
        self._kinds.setdefault(truth.kind, ReferringIoU()).update(sample.key, mask, truth.mask)
        self._right.append(bool(box_iou_xywh([coco_mask.toBbox(mask)], [truth.box])[0, 0] > RIGHT))

    def compute(self) -> Figures:
        """In percent."""
        total = self._all.compute()
        figures = {"gIoU": 100 * total.giou, "box Acc@0.5": 100 * sum(self._right) / len(self._right)}
        kinds = {f"gIoU class {kind}": 100 * metric.compute().giou for kind, metric in sorted(self._kinds.items())}
        return {**figures, "questions": total.samples, **kinds}

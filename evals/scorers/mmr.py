"""MMR: IoU of every target with the selected mask that fits it best."""

from evals.registry import Answered, Figures, QuestionSample, Rle
from evals.scorers.referring import answer_mask, union
from sam3model.metrics.assignment import best_pairs
from sam3model.metrics.overlap import rle_iou
from sam3model.metrics.segmentation import ReasoningIoU


class MmrScorer:
    """gIoU and cIoU per target mask, and the gIoU of unions.

    The official models say which mask answers which target; the agent does not, so targets and masks are assigned one
    to one for the largest sum of IoU. A target without a mask counts 0; masks beyond the targets cost nothing here,
    but do in the union.
    """

    def __init__(self) -> None:
        self._targets = ReasoningIoU()
        self._unions = ReasoningIoU()

    def update(self, sample: QuestionSample[tuple[Rle, ...]], prediction: Answered) -> None:
        """Add one answer."""
        targets, found = sample.truth, [d.mask for d in prediction.detections]
        rows, columns = best_pairs(rle_iou(targets, found)) if targets and found else ((), ())
        chosen = dict(zip(map(int, rows), map(int, columns), strict=True))
        nothing = union([], prediction.size)
        for number, target in enumerate(targets):
            self._targets.update((sample.key, number), found[chosen[number]] if number in chosen else nothing, target)
        self._unions.update(sample.key, answer_mask(prediction), union(list(targets), prediction.size))

    def compute(self) -> Figures:
        """In percent."""
        each, whole = self._targets.compute(), self._unions.compute()
        figures = {"gIoU": 100 * each.giou, "cIoU": 100 * each.ciou, "union gIoU": 100 * whole.giou}
        return {**figures, "questions": whole.samples, "masks": each.samples}

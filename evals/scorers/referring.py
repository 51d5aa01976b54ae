"""gIoU and cIoU of answers: one mask a question (the union of what the agent selected)."""

from dataclasses import dataclass

from evals.registry import Answered, Figures, QuestionSample, Rle
from sam3model.errors import MetricError
from sam3model.metrics.overlap import coco_mask
from sam3model.metrics.segmentation import ReasoningIoU, ReferringIoU, ReferringResult


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Truth of a question. mask: union of all that answers it, empty where nothing does; ignore: pixels left out."""

    mask: Rle
    kind: str = ""
    ignore: Rle | None = None


def union(masks: list[Rle], size: tuple[int, int]) -> Rle:
    """Union of masks as RLE; `size` (height, width) is that of the picture, for no mask at all."""
    height, width = size
    if not masks:
        return {
            "size": [height, width],
            "counts": coco_mask.frPyObjects([[0, 0, 0, 0, 0, 0]], height, width)[0]["counts"],
        }
    return coco_mask.merge([dict(mask) for mask in masks])


def answer_mask(prediction: Answered) -> Rle:
    """The union of an answer's masks."""
    return union([detection.mask for detection in prediction.detections], prediction.size)


class ReasoningScorer:
    """gIoU and cIoU of ReasonSeg, over all questions and by kind (short phrases, long sentences)."""

    def __init__(self) -> None:
        self._kinds: dict[str, ReasoningIoU] = {}

    def update(self, sample: QuestionSample[Wanted], prediction: Answered) -> None:
        """Add one answer."""
        metric = self._kinds.setdefault(sample.truth.kind, ReasoningIoU())
        metric.update(sample.key, answer_mask(prediction), sample.truth.mask, sample.truth.ignore)

    def compute(self) -> Figures:
        """In percent."""
        total = ReasoningIoU()
        for metric in self._kinds.values():
            total.merge(metric)
        result = total.compute()
        figures = {"gIoU": 100 * result.giou, "cIoU": 100 * result.ciou, "questions": result.samples}
        for kind, part in ((kind, metric.compute()) for kind, metric in sorted(self._kinds.items())):
            figures |= {f"gIoU {kind}": 100 * part.giou, f"cIoU {kind}": 100 * part.ciou}
        return figures


class ReferringScorer:
    """mIoU (gIoU), oIoU (cIoU), Pr@ and, where some samples have no target, N_acc and T_acc."""

    def __init__(self) -> None:
        self._metric = ReferringIoU()

    def update(self, sample: QuestionSample[Wanted], prediction: Answered) -> None:
        """Add one answer."""
        self._metric.update(sample.key, answer_mask(prediction), sample.truth.mask)

    def compute(self) -> Figures:
        """All in percent."""
        return in_percent(self._metric.compute())


class PlaygroundScorer:
    """Generalised referring, with the share of unanswerable questions reported as no match, and gIoU per kind."""

    def __init__(self) -> None:
        self._all = ReferringIoU()
        self._kinds: dict[str, ReferringIoU] = {}
        self._refused: list[bool] = []

    def update(self, sample: QuestionSample[Wanted], prediction: Answered) -> None:
        """Add one answer."""
        mask, wanted = answer_mask(prediction), sample.truth
        self._all.update(sample.key, mask, wanted.mask)
        self._kinds.setdefault(wanted.kind, ReferringIoU()).update(sample.key, mask, wanted.mask)
        if wanted.kind.startswith("none:"):
            self._refused.append(prediction.status == "no_match")

    def compute(self) -> Figures:
        """gIoU over all questions, over the answerable ones, and per kind."""
        answerable = ReferringIoU()
        for kind, metric in self._kinds.items():
            if not kind.startswith("none:"):
                answerable.merge(metric)
        total = self._all.compute()
        figures = {"gIoU": 100 * total.giou}
        if answerable.samples:
            figures |= {"gIoU answerable": 100 * answerable.compute().giou}
        if self._refused:
            figures |= {"no match reported": 100 * sum(self._refused) / len(self._refused)}
        figures |= {"cIoU": 100 * total.ciou, "questions": total.samples, "unanswerable": len(self._refused)}
        return figures | {f"gIoU {kind}": 100 * metric.compute().giou for kind, metric in sorted(self._kinds.items())}


def in_percent(result: ReferringResult) -> dict[str, float]:
    """The figures of a referring result; those of samples without target only where there are such."""
    figures = {"gIoU": 100 * result.giou, "cIoU": 100 * result.ciou}
    if result.n_acc == result.n_acc:
        figures |= {"N_acc": 100 * result.n_acc, "T_acc": 100 * result.t_acc}
    figures |= {f"Pr@{level}": 100 * share for level, share in result.precision_at.items()}
    if not result.samples:
        raise MetricError("no question to score")
    return figures | {"questions": result.samples}

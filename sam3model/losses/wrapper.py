"""The training loss of the image model: all criteria, on every decoder layer, for both sets of queries."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from sam3model.errors import ConfigError
from sam3model.losses.box_loss import Boxes
from sam3model.losses.classification_loss import IABCEMdetr
from sam3model.losses.mask_loss import Masks
from sam3model.losses.matcher import HungarianMatcher, Matches, OneToManyMatcher
from sam3model.losses.semantic_loss import SemanticSegCriterion
from sam3model.losses.terms import LossTerms, mean_over_ranks, ranks
from sam3model.structures import Detections, QueryOutputs
from sam3model.targets import Targets

NORMALIZATIONS = ("global", "local", "none")


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Settings of the training loss. The defaults are those of the published fine-tuning recipe.

    masks, semantic: None trains only boxes. normalization: box and mask losses are divided by the number of targets,
    as "global" (mean over ranks), "local" (of this rank) or "none" (1). normalize_by_valid_object_num: count only
    targets with an area. scale_by_find_batch_size: multiply by the square root of the number of prompts.
    across_ranks: compute these divisors, the means over prompts and the number of prompts over all ranks. The mean of
    the ranks' losses is then the loss of one process with the whole batch. (The official code computes the last two per
    rank.)
    """

    boxes: Boxes = field(default_factory=Boxes)
    classification: IABCEMdetr = field(default_factory=IABCEMdetr)
    masks: Masks | None = field(default_factory=Masks)
    semantic: SemanticSegCriterion | None = field(default_factory=SemanticSegCriterion)
    matcher: HungarianMatcher = field(default_factory=HungarianMatcher)
    o2m_matcher: OneToManyMatcher = field(default_factory=OneToManyMatcher)
    o2m_weight: float = 2.0
    use_o2m_matcher_on_o2m_aux: bool = False
    normalization: Literal["global", "local", "none"] = "local"
    normalize_by_valid_object_num: bool = False
    normalize_by_stage_num: bool = False
    scale_by_find_batch_size: bool = True
    across_ranks: bool = False

    def __post_init__(self) -> None:
        if self.normalization not in NORMALIZATIONS:
            raise ConfigError(
                f"loss.normalization must be one of {', '.join(NORMALIZATIONS)}, not {self.normalization!r}"
            )


@dataclass(frozen=True, slots=True)
class Stage:
    """Detections for one set of prompts, in one or more interaction steps, and their targets."""

    steps: Sequence[Detections]
    targets: Targets


@dataclass(frozen=True, slots=True)
class _Weights:
    """Factors on means over prompts, on means over the prompts that train the semantic head, and on all losses."""

    prompts: float
    segmented: float
    batch: float


@dataclass(frozen=True, slots=True)
class _Layer:
    """One decoder layer for one set of queries, with its matches: the input of the criteria."""

    outputs: QueryOutputs
    matches: Matches
    presence: Tensor | None
    suffix: str
    weight: float


class _Tally:
    """Sums losses and averages metrics over layers, steps and stages."""

    def __init__(self) -> None:
        self.totals: list[Tensor] = []
        self.comparable: list[Tensor] = []
        self.losses: dict[str, Tensor] = {}
        self.metrics: defaultdict[str, list[Tensor]] = defaultdict(list)

    def add(self, terms: LossTerms, scale: float, suffix: str = "", weight: float = 1.0) -> None:
        self.totals.append(terms.total * (scale * weight))
        for name, value in terms.losses.items():
            key = name + suffix
            self.losses[key] = value * weight + self.losses.get(key, 0.0)
        for name, value in terms.metrics.items():
            self.metrics[name + suffix].append(value)

    def compare(self, terms: LossTerms, weight: float) -> None:
        """Count terms of the last layer and the first pass, which validation has too."""
        self.comparable.append(terms.total.detach() * weight)

    def result(self) -> LossTerms:
        metrics = {name: torch.stack(values).mean() for name, values in self.metrics.items()}
        comparable = torch.stack(self.comparable).sum() if self.comparable else None
        return LossTerms(torch.stack(self.totals).sum(), self.losses, metrics, comparable)


class Sam3LossWrapper:
    """All losses of the image model (official `Sam3LossWrapper`).

    Losses are named `loss_bbox`, `loss_ce` and so on, with the suffix `_aux_i` for earlier layers and `_o2m` for the
    one-to-many queries. They are summed over steps and stages, with `o2m_weight` applied. Metrics (F1, accuracy, mIoU)
    are averaged and not weighted. (The official log doubles and sums them.) `comparable` is the loss of the last layer
    and the first pass alone, without the factor for the number of prompts.
    """

    def __init__(self, config: LossConfig | None = None) -> None:
        self.config = config or LossConfig()

    def __call__(self, outputs: Detections, targets: Targets) -> LossTerms:
        """Loss of one pass: `total` to differentiate, `losses` and `metrics` to log."""
        return self.over_passes((outputs,), targets)

    def over_passes(self, passes: Sequence[Detections], targets: Targets) -> LossTerms:
        """Summed loss of several passes over the same targets."""
        return self.over_stages([Stage(passes, targets)])

    def over_stages(self, stages: Sequence[Stage]) -> LossTerms:
        """Summed loss of several stages, each normalised by its own targets."""
        tally = _Tally()
        stage_scale = 1 / len(stages) if self.config.normalize_by_stage_num else 1.0
        for stage in stages:
            num_boxes = self.num_boxes(stage.targets)
            tally.metrics["num_boxes"].append(num_boxes)
            weights = self._weights(stage.targets, stage_scale)
            for number, step in enumerate(stage.steps):
                self._add_step(tally, step, stage.targets, num_boxes, weights, first=number == 0)
        return tally.result()

    def num_boxes(self, targets: Targets) -> Tensor:
        """Divisor of the box and mask losses, a float32 scalar >= 1."""
        if self.config.normalization == "none":
            return torch.ones((), device=targets.device)
        if self.config.normalize_by_valid_object_num:
            count = targets.has_area().sum().float()
        else:
            count = torch.tensor(float(len(targets)), device=targets.device)
        if self.config.normalization == "global" or self.config.across_ranks:
            count = mean_over_ranks(count)
        return count.clamp(min=1)

    def _weights(self, targets: Targets, scale: float) -> _Weights:
        """Weights of this rank's means: with `across_ranks`, its fraction of all prompts times the number of ranks."""
        prompts = segmented = 1.0
        total = float(targets.prompts)
        if self.config.across_ranks and ranks() > 1:
            known = (targets.masked() & targets.pixels_known()).sum()
            own = torch.tensor([targets.prompts, known], dtype=torch.float32, device=targets.device)
            mean = mean_over_ranks(own)
            prompts, segmented = (own / mean.clamp(min=1 / ranks())).tolist()
            total = mean[0].item() * ranks()
        return _Weights(prompts, segmented, scale * (total**0.5 if self.config.scale_by_find_batch_size else 1.0))

    def _add_step(
        self,
        tally: _Tally,
        outputs: Detections,
        targets: Targets,
        num_boxes: Tensor,
        weights: _Weights,
        *,
        first: bool,
    ) -> None:
        config = self.config
        with torch.autocast(targets.device.type, enabled=False):
            for layer in self._layers(outputs, targets):
                for terms, rank_weight in self._layer_terms(layer, targets, num_boxes, weights):
                    tally.add(terms, weights.batch * rank_weight, layer.suffix, layer.weight)
                    if first and not layer.suffix:
                        tally.compare(terms, rank_weight)
            if config.semantic is not None and outputs.semantic is not None:
                terms = config.semantic(outputs.semantic, targets, rows=outputs.main.mask_rows)
                tally.add(terms, weights.batch * weights.segmented)
                if first:
                    tally.compare(terms, weights.segmented)

    def _layer_terms(
        self, layer: _Layer, targets: Targets, num_boxes: Tensor, weights: _Weights
    ) -> Iterator[tuple[LossTerms, float]]:
        config, outputs = self.config, layer.outputs
        yield config.boxes(outputs.boxes, layer.matches, targets, num_boxes), 1.0
        rank_weight = weights.prompts if config.across_ranks else None
        classified = config.classification(
            outputs.logits, outputs.boxes, layer.presence, layer.matches, targets, rank_weight=rank_weight
        )
        yield classified, weights.prompts
        if config.masks is not None and outputs.masks is not None:
            yield config.masks(outputs, layer.matches, targets, num_boxes), 1.0

    def _layers(self, outputs: Detections, targets: Targets) -> list[_Layer]:
        """Every layer with its matches; all one-to-one assignments are solved together."""
        config = self.config
        one_to_one = (outputs.main, *outputs.aux)
        presence = (outputs.presence, *outputs.aux_presence)
        suffixes = ("", *(f"_aux_{i}" for i in range(len(outputs.aux))))
        many = () if outputs.one_to_many is None else (outputs.one_to_many, *outputs.aux_one_to_many)
        by_score = many if config.use_o2m_matcher_on_o2m_aux else many[:1]
        by_cost = config.matcher.match_layers((*one_to_one, *many[len(by_score) :]), targets)
        many_matches = [config.o2m_matcher(layer.logits, layer.boxes, targets) for layer in by_score]
        many_matches += by_cost[len(one_to_one) :]
        layers = [
            _Layer(*parts, 1.0)
            for parts in zip(one_to_one, by_cost[: len(one_to_one)], presence, suffixes, strict=True)
        ]
        layers += [
            _Layer(layer, matches, None, f"{suffix}_o2m", config.o2m_weight)
            for layer, matches, suffix in zip(many, many_matches, suffixes, strict=False)
        ]
        return layers
